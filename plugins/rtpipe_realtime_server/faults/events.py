"""What goes wrong with the events of a call, as a filter behind the protocol.

Events and commands go in as the protocol put them out; what is to be sent comes out. No clock: what
is late is marked so.
"""

from __future__ import annotations

import base64
import itertools
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Self, TypeAlias

from rtpipe_realtime_server.faults.beta import as_in_beta, from_beta

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from random import Random

    from rtpipe_realtime_server.faults.knobs import Faults
    from rtpipe_realtime_server.session.ids import NewId
    from rtpipe_realtime_server.talk.outputs import Event, Output

Report: TypeAlias = Literal["late", "failed"]
"""What becomes of a transcription."""

_TRANSCRIPTION = "conversation.item.input_audio_transcription."
_OPTIONAL = frozenset(
    (
        *("conversation_id", "include", "input_token_details", "max_output_tokens", "metadata"),
        *("obfuscation", "object", "output_token_details", "param", "previous_item_id", "prompt"),
        *("status_details", "tool_choice", "tracing", "truncation"),
    )
)
"""What OpenAI's types let an event lack, as far as no client is entitled to it."""
_UNKNOWN_FIELD = {"from_the_future": {"nested": [1, None, "two"]}}
_NO_JSON_OBJECTS = (
    '{"type": "response.done", "response": {"id": "resp_',
    "null",
    '["response.done"]',
    "[" * 20_000,
    '{"type": 7}',
    '{"type": "error", "error": NaN}',
    "",
)
_BINARY = bytes(range(256))


@dataclass(frozen=True, slots=True)
class Raw:
    """A message that is no event: text that is no JSON object, or bytes."""

    message: str | bytes


@dataclass(frozen=True, slots=True)
class Later:
    """An event that is to be sent only after a while."""

    event: Event
    delay_ms: int


class Reported(str):
    """The words of an item that the client is told late, or not at all."""

    __slots__ = ("how",)

    how: Report

    def __new__(cls, words: str, how: Report) -> Self:
        """Return `words` with what becomes of them."""
        self = super().__new__(cls, words)
        self.how = how
        return self


FaultyOutput: TypeAlias = "Output | Raw | Later"


class EventFaults:
    """Spoils the events of one call.

    Args:
        faults: What goes wrong.
        chance: Decides what is left to chance.
        new_id: Makes the ids of events that nobody asked for.
        most_bytes: How long a message may be; None for any length.
    """

    def __init__(
        self, faults: Faults, chance: Random, new_id: NewId, *, most_bytes: int | None
    ) -> None:
        self._faults = faults
        self._chance = chance
        self._new_id = new_id
        self._most_bytes = most_bytes
        self._sent = 0
        self._broken = itertools.cycle(_NO_JSON_OBJECTS)
        self._reports: dict[str, Report] = {}
        self._held: list[Event] = []
        self._sound: dict[str, list[str]] = {}

    def report(self, item_id: str, how: Report) -> None:
        """Let the words of a user's item come late, or not at all."""
        self._reports[item_id] = how

    def received(self, message: str | bytes) -> str | bytes:
        """Return a client's message as the protocol can read it."""
        return from_beta(message) if self._faults.beta_names else message

    def apply(self, outputs: Sequence[Output]) -> list[FaultyOutput]:
        """Return what is to be done in place of `outputs`."""
        spoilt: list[FaultyOutput] = []
        for output in self._in_order(outputs):
            if isinstance(output, dict):
                for event in self._transcribed(output):
                    spoilt.extend(self._spoilt(event))
            else:
                spoilt.append(output)
        return spoilt

    def _spoilt(self, event: Event) -> Iterator[FaultyOutput]:
        faults, kind = self._faults, event["type"]
        first_one = kind == "session.created"
        if faults.beta_names and kind == "conversation.item.done":
            return
        if faults.no_output_audio_buffer and kind.startswith("output_audio_buffer."):
            return
        if faults.one_delta and kind == "response.output_audio.delta":
            self._sound.setdefault(event["item_id"], []).append(event["delta"])
            return
        if kind == "response.output_audio.done" and event["item_id"] in self._sound:
            yield from self._sendings(self._changed(self._whole_sound(event)))
        if not (first_one and faults.no_session_created):
            yield from self._sendings(self._changed(event))
        if first_one and faults.huge_event_kb:
            yield self._huge(event, faults.huge_event_kb * 1000)
        if kind == "response.created" and faults.event_flood:
            yield from (self._limits() for _ in range(faults.event_flood))

    def _sendings(self, event: Event) -> Iterator[FaultyOutput]:
        """Yield an event and what goes out beside it."""
        faults = self._faults
        if event["type"] == "session.updated" and faults.session_updated_delay_ms:
            yield Later(event, faults.session_updated_delay_ms)
        else:
            yield event
        self._sent += 1
        if self._is_turn(faults.duplicate_every):
            yield event
        if self._is_turn(faults.unknown_every):
            yield {"type": "future.dawned", "event_id": self._new_id("event"), **_UNKNOWN_FIELD}
        if self._is_turn(faults.malformed_every):
            yield Raw(next(self._broken))
        if self._is_turn(faults.binary_every):
            yield Raw(_BINARY)

    def _is_turn(self, every: int | None) -> bool:
        return every is not None and self._sent % every == 0

    def _changed(self, event: Event) -> Event:
        faults = self._faults
        if faults.mcp_list_failed and event["type"] == "mcp_list_tools.completed":
            event = {**event, "type": "mcp_list_tools.failed"}
        if faults.null_usage and event["type"] == "response.done":
            event = {**event, "response": {**event["response"], "usage": None}}
        if faults.missing_fields:
            event = _without(event)
        if faults.beta_names:
            event = as_in_beta(event)
        return _extended(event) if faults.extra_fields else event

    def _transcribed(self, event: Event) -> Iterator[Event]:
        """Yield an event, or what was held back and may go now."""
        kind: str = event["type"]
        if kind.startswith(_TRANSCRIPTION):
            last = not kind.endswith(".delta")
            look_up = self._reports.pop if last else self._reports.get
            how = look_up(event["item_id"], self._faults.transcription)
            if how == "failed":
                if last:
                    yield self._untranscribed(event)
            elif how == "late":
                self._held.append(event)
            else:
                yield event
            return
        yield event
        if kind in ("response.done", "input_audio_buffer.committed"):
            held, self._held = self._held, []
            yield from held

    def _untranscribed(self, event: Event) -> Event:
        return {
            "type": f"{_TRANSCRIPTION}failed",
            "event_id": event["event_id"],
            "item_id": event["item_id"],
            "content_index": event["content_index"],
            "error": {
                "type": "transcription_error",
                "code": "audio_unintelligible",
                "message": "The audio could not be transcribed.",
                "param": None,
            },
        }

    def _in_order(self, outputs: Sequence[Output]) -> Iterable[Output]:
        """Return outputs with the three parts of an interruption in the order that is wanted."""
        order = self._faults.event_order
        if order is None:
            return outputs
        cancelled = any(_is_cancelled(output) for output in outputs)
        parts: list[list[Output]] = [[], [], []]
        others: list[Output] = []
        first = len(outputs)
        for index, output in enumerate(outputs):
            part = _part_of_interruption(output, cancelled=cancelled)
            if part is None:
                others.append(output)
            else:
                first = min(first, index)
                parts[part].append(output)
        if order == "shuffled":
            self._chance.shuffle(parts)
        elif order == "done_first":
            parts = [parts[2], parts[0], parts[1]]
        return [*others[:first], *itertools.chain(*parts), *others[first:]]

    def _huge(self, created: Event, length: int) -> Event:
        """Return an event of a known type and so many bytes, as far as there is room for it."""
        session = {**created["session"], "instructions": ""}
        event = {**created, "type": "session.updated", "event_id": self._new_id("event")}
        event["session"] = session
        room = length if self._most_bytes is None else min(length, self._most_bytes)
        session["instructions"] = "x" * max(0, room - len(json.dumps(event)))
        return event

    def _whole_sound(self, done: Event) -> Event:
        """Return the one event with all of the audio that `done` ends."""
        pieces = self._sound.pop(done["item_id"])
        whole = b"".join(base64.b64decode(piece) for piece in pieces)
        delta = base64.b64encode(whole).decode()
        event_id = self._new_id("event")
        return {**done, "type": "response.output_audio.delta", "event_id": event_id, "delta": delta}

    def _limits(self) -> Event:
        """Return an event of a known type that changes nothing."""
        tokens = {"name": "tokens", "limit": 1000, "remaining": 1000, "reset_seconds": 0.0}
        return {
            "type": "rate_limits.updated",
            "event_id": self._new_id("event"),
            "rate_limits": [tokens],
        }


def _is_cancelled(output: Output) -> bool:
    return (
        isinstance(output, dict)
        and output["type"] == "response.done"
        and output["response"]["status"] == "cancelled"
    )


def _part_of_interruption(output: Output, *, cancelled: bool) -> int | None:
    """Return 0 for `cleared`, 1 for `truncated`, 2 for the end of the response, else None."""
    if not isinstance(output, dict):
        return None
    kind: str = output["type"]
    if kind == "output_audio_buffer.cleared":
        return 0
    if kind == "conversation.item.truncated":
        return 1
    ends = kind.startswith("response.") or kind in ("conversation.item.done", "rate_limits.updated")
    return 2 if cancelled and ends else None


def _without(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without(inner) for key, inner in value.items() if key not in _OPTIONAL}
    return [_without(item) for item in value] if isinstance(value, list) else value


def _extended(value: Any) -> Any:
    if isinstance(value, dict):
        return {**{key: _extended(inner) for key, inner in value.items()}, **_UNKNOWN_FIELD}
    return [_extended(item) for item in value] if isinstance(value, list) else value
