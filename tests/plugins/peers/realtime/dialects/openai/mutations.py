"""A server gone mad: recorded events, each spoilt in some way, and what must hold all the same.

PYTHONPATH=tests python -m plugins.peers.realtime.dialects.openai.mutations 1000000 [SEED]
"""

from __future__ import annotations

import builtins
import copy
import json
import logging
import random
import sys
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rtpipe import Event
from rtpipe.events import attributed_line
from rtpipe_plugins.peers.realtime.dialects.conversation import Command, Ended
from rtpipe_plugins.peers.realtime.dialects.openai.history import RealtimeHistory
from rtpipe_plugins.peers.realtime.dialects.openai.media_server import RealtimeMediaServer
from rtpipe_plugins.peers.realtime.dialects.openai.protocol import RealtimeProtocol
from rtpipe_plugins.peers.realtime.events import (
    AssistantTranscript,
    RealtimeEventInvalid,
    ServerEvent,
    UserTranscript,
)
from rtpipe_plugins.peers.realtime.loudspeaker_position import LoudspeakerPosition
from rtpipe_plugins.peers.realtime.tools.declarations import ToolCall

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SEQUENCES = json.loads((Path(__file__).parents[2] / "sequences.json").read_text())
MCP_ITEMS = [
    {"id": "mcpr_1", "type": "mcp_approval_request", "server_label": "shop", "name": "buy",
     "arguments": "{}"},
    {"id": "mcpl_1", "type": "mcp_list_tools", "server_label": "shop", "tools": [{"name": "buy"}]},
    {"id": "mcp_1", "type": "mcp_call", "server_label": "shop", "name": "buy", "arguments": "{}",
     "output": "bought", "error": None},
]  # fmt: skip
SHAPES: list[dict[str, Any]] = [
    entry["event"]
    for sequence in SEQUENCES.values()
    for entry in sequence
    if entry["dir"] == "server"
] + [
    {"type": type, "event_id": "event_1", "item": item}
    for type in ("conversation.item.added", "conversation.item.done", "response.output_item.done")
    for item in MCP_ITEMS
]
STRANGE: list[Any] = [
    None, True, False, 0, -1, 1.5, 10**15, 10**19, -(10**400), 1e308, "", "x", "\ud83d", "\ude00",
    "a\x00b", "\u202e", "0" * 5000, "NaN", [], {}, [None], [[]], ["clock"], {"": 1},
    {"type": "message"}, [{"type": "function_call"}], {"error": []}, "completed", "in_progress",
]  # fmt: skip
MADE = {
    name
    for name, value in vars(builtins).items()
    if isinstance(value, type) and issubclass(value, BaseException)
}
"""What `RealtimeEventInvalid.problem` says where an exception of ours was caught."""
_LOG = logging.getLogger("rtpipe.stage.realtime")


def run(events: int, seed: int) -> int:
    """Send so many spoilt events; returns how many were counted as such.

    Raises:
        AssertionError: Something does not hold; the seed and the message are in it.
    """
    chance = random.Random(seed)
    sent = invalid = 0
    while sent < events:
        conversation = Madhouse(chance)
        for _ in range(min(chance.randrange(1, 120), events - sent)):
            message = spoilt(chance)
            sent += 1
            try:
                conversation.hear(message)
            except Exception as error:
                raise AssertionError(f"seed {seed}, event {sent}: {message!r:.2000}") from error
        try:
            conversation.ends_well()
        except Exception as error:
            told = "\n".join(f"{m!r:.500}" for m in conversation.heard)
            raise AssertionError(f"seed {seed}, after event {sent}:\n{told}") from error
        invalid += conversation.protocol.invalid_events
    return invalid


class Madhouse:
    """All that takes a server's messages in one call over a WebSocket."""

    def __init__(self, chance: random.Random) -> None:
        wanted = {"type": "realtime", "model": "m", "audio": {"input": {"transcription": {}}}}
        given = chance.random() < 0.5
        self.protocol = RealtimeProtocol(
            wanted,
            given=lambda: given,
            mask=str,
            log=_LOG,
            tools=["get_opening_hours"],
        )
        self.media_server = RealtimeMediaServer(LoudspeakerPosition(), _LOG)
        self.history = RealtimeHistory(20)
        self.heard: list[str | bytes] = []
        self.outputs: list[Any] = []
        self._now = 0.0

    def hear(self, message: str | bytes) -> None:
        self.heard.append(message)
        self._now += 0.02
        steps = self.media_server.arrived(message) + self.media_server.block(self._now)[1]
        for step in steps:
            if not isinstance(step, Command):
                self.take(self.protocol.receive(step))

    def take(self, outputs: list[Any]) -> None:
        self.outputs += outputs
        for output in outputs:
            match output:
                case Command():
                    json.loads(output.text().encode())
                    self.protocol.sent(output)
                case ToolCall():
                    self.take(self.protocol.answer(output.call_id, "no"))
                case RealtimeEventInvalid(problem=problem):
                    assert problem not in MADE, problem
                case ServerEvent(usable=usable):
                    assert usable is not None
                    self.history.take(usable, self._now)
            if isinstance(output, Event):
                json.dumps(output.as_dict(), ensure_ascii=False, allow_nan=False).encode()
                attributed_line(output)[1].encode()
        assert isinstance(self.protocol.idle, bool)
        assert 0 <= self.protocol.hangover_s <= 10
        assert abs(self.protocol.expires_at or 0) < 1e15

    def ends_well(self) -> None:
        """A turn that is in order is heard and answered, whatever was before it."""
        self.take(self.protocol.give_up_waiting())
        ended = any(isinstance(output, Ended) for output in self.outputs)
        self.outputs.clear()
        for event in whole_turn():
            self.hear(json.dumps(event))
        if not ended:
            said = [o.text for o in self.outputs if isinstance(o, UserTranscript)]
            assert said == ["When do you open?"], said
            said = [o.text for o in self.outputs if isinstance(o, AssistantTranscript)]
            assert said[-1:] == ["At ten."], said
            self.take(self.protocol.respond({}))  # or what a call of a function asked for before
            asked = [o.data["type"] for o in self.outputs if isinstance(o, Command)]
            assert "response.create" in asked
        self.take(self.protocol.close())
        self.history.break_off(self._now)
        json.dumps(self.history.replay(), ensure_ascii=False).encode()


_TURNS = count()


def whole_turn() -> Iterator[dict[str, Any]]:
    number = next(_TURNS)
    r, u, m = (f"{what}_whole_{number}" for what in ("resp", "item_u", "item_m"))
    place = {"response_id": r, "item_id": m, "content_index": 0}
    name = "conversation.item.input_audio_transcription.completed"
    content = [{"type": "output_audio", "transcript": "At ten."}]
    item = {"id": m, "type": "message", "role": "assistant", "content": content}
    yield {"type": "input_audio_buffer.speech_started", "item_id": u, "audio_start_ms": 0}
    yield {"type": "input_audio_buffer.speech_stopped", "item_id": u, "audio_end_ms": 900}
    yield {"type": "input_audio_buffer.committed", "item_id": u}
    yield {"type": name, "item_id": u, "transcript": "When do you open?"}
    yield {"type": "response.created", "response": {"id": r, "conversation_id": "c"}}
    yield {"type": "response.output_audio_transcript.delta", **place, "delta": "At "}
    yield {"type": "output_audio_buffer.started", "response_id": r}
    done = {"id": r, "status": "completed", "output": [item], "conversation_id": "c"}
    yield {"type": "response.done", "response": done}
    yield {"type": "output_audio_buffer.stopped", "response_id": r}


# -- how an event is spoilt ------------------------------------------------------------------------


def spoilt(chance: random.Random) -> str | bytes:
    """Return a recorded event's message with something wrong in it."""
    event = copy.deepcopy(chance.choice(SHAPES))
    for _ in range(chance.choice((0, 1, 1, 1, 2, 3))):
        chance.choice(_SPOIL)(event, chance)
    text = json.dumps(event, ensure_ascii=chance.random() < 0.7)
    return chance.choice(_AS_IT_TRAVELS)(text, chance) if chance.random() < 0.1 else text


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Yield each container in `value` with each of its keys."""
    pairs = value.items() if isinstance(value, dict) else enumerate(value)
    for key, inner in list(pairs):
        yield value, key
        if isinstance(inner, dict | list):
            yield from _places(inner)


def _somewhere(event: dict[str, Any], chance: random.Random) -> tuple[Any, Any] | None:
    places = list(_places(event))
    return chance.choice(places) if places else None


def _replace(event: dict[str, Any], chance: random.Random) -> None:
    if (place := _somewhere(event, chance)) is not None:
        place[0][place[1]] = copy.deepcopy(chance.choice(STRANGE))


def _drop(event: dict[str, Any], chance: random.Random) -> None:
    if (place := _somewhere(event, chance)) is not None:
        del place[0][place[1]]


def _rename(event: dict[str, Any], chance: random.Random) -> None:
    place = _somewhere(event, chance)
    if place is not None and isinstance(place[0], dict):
        place[0][chance.choice(("id", "type", "item", "response", "x\ud83d"))] = place[0].pop(
            place[1]
        )


def _exchange(event: dict[str, Any], chance: random.Random) -> None:
    one, other = _somewhere(event, chance), _somewhere(chance.choice(SHAPES), chance)
    if one is not None and other is not None:
        one[0][one[1]] = copy.deepcopy(other[0][other[1]])


def _retype(event: dict[str, Any], chance: random.Random) -> None:
    event["type"] = chance.choice(SHAPES)["type"]


def _cut_text(event: dict[str, Any], chance: random.Random) -> None:
    place = _somewhere(event, chance)
    if place is not None and isinstance(text := place[0][place[1]], str):
        place[0][place[1]] = f"{text[: len(text) // 2]}{chance.choice(STRANGE[12:17])}"


_SPOIL: tuple[Callable[[dict[str, Any], random.Random], None], ...] = (
    _replace, _replace, _drop, _rename, _exchange, _retype, _cut_text,
)  # fmt: skip
_AS_IT_TRAVELS: tuple[Callable[[str, random.Random], str | bytes], ...] = (
    lambda text, chance: text[: chance.randrange(len(text) + 1)],
    lambda text, _: text.encode("utf-8", "surrogatepass"),
    lambda text, _: text.encode("utf-16", "surrogatepass"),
    lambda text, _: f"\ufeff{text}\n\0",
    lambda text, _: text.replace('"', "'"),
    lambda text, chance: text.replace(": 1", f": {chance.choice(('NaN', '-Infinity', '1e999'))}"),
    lambda text, _: f'{text[:-1]}, "deep": {"[" * 500}{"]" * 500}}}',
    lambda text, _: "[" * 20_000 + text,
    lambda text, _: f"[{text}]",
    lambda text, _: text + text,
)


if __name__ == "__main__":
    wanted = int(sys.argv[1])
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else random.SystemRandom().randrange(2**32)
    sys.stdout.write(f"{wanted} events, seed {seed}\n")
    sys.stdout.flush()
    sys.stdout.write(f"none ended anything; {run(wanted, seed)} were counted as odd\n")
