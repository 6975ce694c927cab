"""Turn detection: when the visitor speaks, by the server's word, and whether an answer is owed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rtpipe import Recent
from rtpipe_plugins.peers.realtime.dialects.openai.messages import object_of

if TYPE_CHECKING:
    from collections.abc import Mapping

_REMEMBERED = 64  # items
_SERVER_VAD_HANGOVER_S = 0.5
_PADDING_MS = 300.0
_SEMANTIC_HANGOVER_S = {"high": 2.0, "medium": 4.0, "low": 8.0}


class TurnDetection:
    """What the server has said about the visitor.

    Args:
        wanted: The session object that was asked for; holds until the server shows its own.
    """

    def __init__(self, wanted: Mapping[str, Any]) -> None:
        self._settings: dict[str, Any] | None = {"type": "server_vad"}
        self._transcribes = False
        self._speaking = False
        self._began_ms = 0.0
        self._answer_owed = False
        self._own_commits: dict[str, bool] = {}  # whether it wants an answer
        self._pressed = False
        self._untranscribed: set[str] = set()
        self._heard: Recent[str, None] = Recent(_REMEMBERED)
        self.session(wanted)

    @property
    def open(self) -> bool:
        """Whether the visitor speaks, or awaits an answer."""
        return self._speaking or self._answer_owed or any(self._own_commits.values())

    @property
    def detected(self) -> bool:
        """Whether the server detects the visitor's turns; if not, a key begins and ends them."""
        return self._settings is not None

    @property
    def answer_owed(self) -> bool:
        """Whether the server has a turn that it is to answer by itself."""
        return self._answer_owed

    @property
    def transcribing(self) -> bool:
        """Whether words of the visitor's are still unknown."""
        return bool(self._untranscribed)

    @property
    def interrupts(self) -> bool:
        """Whether the server silences the model when the visitor speaks."""
        settings = self._settings
        return settings is not None and settings.get("interrupt_response") is not False

    @property
    def transcribes(self) -> bool:
        """Whether the server tells the words of what the visitor says."""
        return self._transcribes

    @property
    def hangover_s(self) -> float:
        """How long a silence must last before the server takes it for the end of a turn (s)."""
        detection = self._settings
        if detection is None:
            return 0.0
        if detection.get("type") == "semantic_vad":
            return _SEMANTIC_HANGOVER_S.get(str(detection.get("eagerness")), 4.0)
        silence_ms = detection.get("silence_duration_ms")
        if not isinstance(silence_ms, int | float):
            return _SERVER_VAD_HANGOVER_S
        return min(max(silence_ms, 0), 10_000) / 1000

    def session(self, session: Mapping[str, Any]) -> None:
        """Take the session's settings, as far as `session` shows them."""
        heard = object_of(object_of(session, "audio"), "input")
        if "turn_detection" in heard:
            detection = heard["turn_detection"]
            self._settings = detection if isinstance(detection, dict) else None
        if "transcription" in heard:
            self._transcribes = heard["transcription"] is not None

    def speech_started(self, at_ms: float) -> None:
        """The visitor speaks, by the server's clock from `at_ms` on."""
        self._speaking = True
        self._began_ms = at_ms

    def speech_stopped(self, at_ms: float) -> float:
        """The visitor has finished; returns how long the speech was (ms).

        The server's times take in some audio before it and the silence that it waits for after it.
        """
        self._speaking = False
        self._answer_owed = self._answers_by_itself
        padding_ms = (self._settings or {}).get("prefix_padding_ms")
        if not isinstance(padding_ms, int | float):
            padding_ms = _PADDING_MS
        return at_ms - self._began_ms - padding_ms - self.hangover_s * 1000

    @property
    def committing(self) -> bool:
        """Whether the next turn that is committed was ended by us."""
        return bool(self._own_commits)

    @property
    def down(self) -> bool:
        """Whether a push-to-talk key is down."""
        return self._pressed

    def pressed(self) -> None:
        """A push-to-talk key goes down."""
        self._pressed = True

    def released(self) -> bool:
        """It goes up; returns whether it was down."""
        was, self._pressed = self._pressed, False
        return was

    def we_commit(self, event_id: str, *, answer: bool) -> None:
        """We end the visitor's turn ourselves; nobody answers before we ask, if `answer`."""
        self._own_commits[event_id] = answer

    def committed(self, item_id: str) -> bool:
        """What the visitor said is part of the conversation; returns whether we are to ask."""
        self._speaking = False
        ask = False
        if self._own_commits:
            ask = self._own_commits.pop(next(iter(self._own_commits)))
        else:
            self._answer_owed = self._answers_by_itself
        awaited = self._transcribes and bool(item_id) and item_id not in self._heard
        if awaited and len(self._untranscribed) < _REMEMBERED:
            self._untranscribed.add(item_id)
        return ask

    def cleared(self) -> None:
        """What the visitor has said so far is forgotten."""
        self._speaking = False

    def refused(self, event_id: str) -> None:
        """A command of ours was refused."""
        self._own_commits.pop(event_id, None)

    def answered(self) -> None:
        """The model has begun to answer."""
        self._answer_owed = False

    def has_words(self, item_id: str) -> bool:
        """Return whether the words of `item_id` are known, or will not be."""
        return bool(item_id) and item_id in self._heard

    def transcribed(self, item_id: str) -> bool:
        """The words of `item_id` are known, or will not be; returns whether that is news."""
        if not item_id and len(self._untranscribed) == 1:
            (item_id,) = self._untranscribed  # nobody else's words are awaited
        self._untranscribed.discard(item_id)
        fresh = not self.has_words(item_id)
        self._heard[item_id] = None
        return fresh

    @property
    def _answers_by_itself(self) -> bool:
        return self._settings is not None and self._settings.get("create_response") is not False
