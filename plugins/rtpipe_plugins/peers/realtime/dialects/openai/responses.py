"""Responses of the model: generated and played are two things, and both have an end.

The server generates faster than it plays. `response.done` ends the generating;
`output_audio_buffer.stopped` or `.cleared` ends the playing, and comes from another machine at the
server, so that its order among the other events is not fixed. Everything here goes by response id.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum, auto
from typing import TYPE_CHECKING, Any

from rtpipe import Recent
from rtpipe_plugins.peers.realtime.dialects.openai.messages import (
    object_of,
    objects_of,
    text_of,
)
from rtpipe_plugins.peers.realtime.events import AssistantDelta, AssistantTranscript

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

_STATUSES = {"completed", "cancelled", "incomplete", "failed"}
_NAMELESS = "nameless_"  # of responses to which the server gives no id that can be used
_REMEMBERED = 64  # responses; late events of older ones are as good as unknown


class Playing(Enum):
    """Where a response's sound is."""

    NOT_YET = auto()
    AWAITED = auto()
    NOW = auto()
    OVER = auto()
    CUT_OFF = auto()


@dataclass(slots=True)
class Response:
    """One response of the model."""

    id: str
    in_band: bool = True
    begun: bool = False
    generating: bool = False
    status: str = ""
    reason: str = ""
    playing: Playing = Playing.NOT_YET
    spoken: dict[tuple[str, int], str] = field(default_factory=dict)
    """Text by item and content index, in the order of their appearance."""
    voiced: bool = False
    """Whether there is sound in it, by what was said before its end."""
    audio_ms: float | None = None
    """How much of it has come, where it comes in the events."""
    reported: bool = False

    @property
    def over(self) -> bool:
        """Whether nothing more will be heard of it."""
        return not self.generating and self.playing not in {Playing.NOW, Playing.AWAITED}

    @property
    def interrupted(self) -> bool:
        """Whether it was cut off, while generated or while played."""
        return self.status == "cancelled" or self.playing is Playing.CUT_OFF

    def say(self, key: tuple[str, int], text: str) -> Iterator[AssistantDelta]:
        """Let a part's text be `text`; yields what is new at its end."""
        before = self.spoken.get(key, "")
        self.spoken[key] = text
        delta = text.removeprefix(before)
        if self.reported or not delta or not text.startswith(before):
            return
        yield AssistantDelta(
            delta=delta, item_id=key[0], response_id=self.id, audio_ms=self.audio_ms
        )


class Responses:
    """The responses of one call."""

    def __init__(self) -> None:
        self._by_id: Recent[str, Response] = Recent(_REMEMBERED)
        self._nameless = 0

    @property
    def generating(self) -> bool:
        """Whether a response of the conversation is being generated; out-of-band ones not."""
        return any(r.generating and r.in_band for r in self._by_id.values())

    @property
    def speaking(self) -> bool:
        """Whether a response is being played, or is about to be."""
        return any(r.playing in {Playing.NOW, Playing.AWAITED} for r in self._by_id.values())

    @property
    def busy(self) -> bool:
        """Whether anything is generated, in band or not, or played."""
        return self.speaking or any(r.generating for r in self._by_id.values())

    @property
    def sounding(self) -> list[str]:
        """The responses that are heard, or may be: generated, awaited or played."""
        return [
            r.id
            for r in self._by_id.values()
            if r.playing in {Playing.NOW, Playing.AWAITED}
            or (r.generating and r.playing is not Playing.CUT_OFF)
        ]

    def begun_before(self, id: str) -> bool:
        """Whether the server has said that this response begins."""
        return id in self._by_id and self._by_id[id].begun

    def name(self, id: str) -> str:
        """Return the name of a response that begins: the server's, or else one of ours."""
        if id:
            return id
        self._nameless += 1
        return f"{_NAMELESS}{self._nameless}"

    def generated_one(self, id: str) -> str:
        """Return the response that is meant by news of the generating: the only one it can be."""
        if id in self._by_id:
            return id
        running = [r.id for r in self._by_id.values() if r.generating]
        if id:
            running = [name for name in running if name.startswith(_NAMELESS)]
        return running[-1] if running else self.name(id)

    def played_one(self, id: str) -> str:
        """Return the response that is meant by news of the playing: the only one it can be."""
        if id in self._by_id:
            return id
        heard = [r.id for r in self._by_id.values() if r.playing in {Playing.NOW, Playing.AWAITED}]
        if id:
            heard = [name for name in heard if name.startswith(_NAMELESS)]
        return heard[-1] if heard else self.generated_one(id)

    def created(self, id: str, *, in_band: bool) -> Iterator[AssistantTranscript]:
        """A response has begun."""
        for earlier in list(self._by_id.values()):
            if in_band and earlier.in_band and earlier.id != id and earlier.generating:
                earlier.generating = False  # there is one at a time: news of its end was lost
                yield from self._report(earlier)
            if in_band and earlier.playing is Playing.AWAITED:
                earlier.playing = Playing.NOT_YET  # this server does not say what it plays
                yield from self._report(earlier)
        response = self._known(id)
        response.in_band, response.begun = in_band, True
        response.generating = not response.status

    def heard(
        self, id: str, key: tuple[str, int], text: str, *, whole: bool
    ) -> Iterator[AssistantDelta]:
        """A piece of the words arrived, or the whole of them."""
        known = self._known(id)
        yield from known.say(key, text if whole else known.spoken.get(key, "") + text)

    def voiced(self, id: str, audio_ms: float) -> None:
        """There is sound in a response, and so much of it came with the news."""
        known = self._known(id)
        known.voiced = True
        if audio_ms:
            known.audio_ms = (known.audio_ms or 0.0) + audio_ms

    def done(
        self, id: str, response: Mapping[str, Any]
    ) -> Iterator[AssistantTranscript | AssistantDelta]:
        """A response has been generated, or will not be."""
        known = self._known(id)
        known.generating = False
        known.status, known.reason = how_it_ended(response)
        audible = known.voiced or has_audio(response)
        for key, part in _parts(response):
            words = text_of(part, "transcript") or text_of(part, "text")
            if key not in known.spoken or (words and known.status == "completed"):
                yield from known.say(key, words)  # a delta may have been lost
        finished = known.status in {"completed", "incomplete"} and not known.reported
        if audible and finished and known.playing is Playing.NOT_YET:
            known.playing = Playing.AWAITED
        yield from self._report(known)

    def may_start(self, id: str) -> bool:
        """Whether it is no late news that a response is being played."""
        return self._known(id).playing not in {Playing.OVER, Playing.CUT_OFF}

    def started(self, id: str) -> Iterator[AssistantTranscript]:
        """A response is being played."""
        known = self._known(id)
        if not self.may_start(id):
            return
        known.playing = Playing.NOW
        for other in list(self._by_id.values()):
            if other is not known and other.playing is Playing.NOW:
                other.playing = Playing.OVER  # one buffer: what comes after it has ended it
                yield from self._report(other)

    def ended(self, id: str, *, cut_off: bool) -> Iterator[AssistantTranscript]:
        """A response has been played to its end, or what was left of it was thrown away."""
        known = self._known(id)
        if known.playing is not Playing.CUT_OFF:
            known.playing = Playing.CUT_OFF if cut_off else Playing.OVER
        yield from self._report(known)

    def fell_silent(self, id: str) -> Iterator[AssistantTranscript]:
        """Nothing more is heard of a response that this server does not say to be playing."""
        known = self._known(id)
        if known.playing is Playing.AWAITED:
            known.playing = Playing.NOT_YET
            yield from self._report(known)

    def interrupted(self, ids: Iterable[str]) -> Iterator[AssistantTranscript]:
        """Nothing more of these will be heard; how much was, the server says if it played any."""
        for id in ids:
            known = self._known(id)
            if known.playing is not Playing.NOW:
                known.playing = Playing.CUT_OFF
                yield from self._report(known)

    def close(self) -> Iterator[AssistantTranscript]:
        """The call is over."""
        for response in list(self._by_id.values()):
            if response.generating or response.playing is Playing.NOW:
                response.playing = Playing.CUT_OFF
            elif response.playing is Playing.AWAITED:
                response.playing = Playing.OVER
            response.generating = False
            yield from self._report(response)

    def _known(self, id: str) -> Response:
        response = self._by_id.get(id)
        if response is None:
            response = self._by_id[id] = Response(id)
        return response

    def _report(self, response: Response) -> Iterator[AssistantTranscript]:
        """Say what was said, once, when nothing of it is still to come."""
        if response.reported or not response.over:
            return
        response.reported = True
        items: dict[str, str] = {}
        for (item_id, _), text in response.spoken.items():
            items[item_id] = items.get(item_id, "") + text
        for item_id, text in items.items():
            if text.strip():
                yield AssistantTranscript(
                    text=text.strip(),
                    item_id=item_id,
                    response_id=response.id,
                    interrupted=response.interrupted,
                    status=response.status or "completed",
                    reason=response.reason,
                )


def has_audio(response: Mapping[str, Any]) -> bool:
    """Return whether a finished response says that there is sound in it."""
    return any(text_of(part, "type") in {"output_audio", "audio"} for _, part in _parts(response))


def how_it_ended(response: Mapping[str, Any]) -> tuple[str, str]:
    """Return the status of a response that is done, and the server's reason for it, if any.

    A status that is none of OpenAI's is taken for `completed`: what was generated is there.
    """
    status = text_of(response, "status")
    if status not in _STATUSES or status == "completed":
        return "completed", ""
    details = object_of(response, "status_details")
    error = object_of(details, "error")
    return status, text_of(details, "reason") or text_of(error, "code")


def _parts(response: Mapping[str, Any]) -> Iterator[tuple[tuple[str, int], Mapping[str, Any]]]:
    """Yield what a finished response consists of, by item and content index."""
    for item in objects_of(response, "output"):
        for index, part in enumerate(objects_of(item, "content")):
            yield (text_of(item, "id"), index), part
