"""A second dialect, all of it: lines of dialogue instead of items and responses, sound in hex."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from rtpipe import NotConnected, audio
from rtpipe_plugins.peers.realtime.dialects.conversation import (
    AnswerBegins,
    AnswerEnds,
    Command,
    Interrupted,
    UserSpeaks,
)
from rtpipe_plugins.peers.realtime.dialects.dialect import SdpAnswer, SocketRequest
from rtpipe_plugins.peers.realtime.errors import CallRefused
from rtpipe_plugins.peers.realtime.events import AssistantTranscript, ServerEvent, UserTranscript
from rtpipe_plugins.peers.realtime.loudspeaker_position import Handed, LoudspeakerPosition
from rtpipe_plugins.peers.realtime.options import RealtimeOptions

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from logging import Logger

    from rtpipe import AudioFrame
    from rtpipe.examination import Examined
    from rtpipe_plugins.peers.realtime.account import Account
    from rtpipe_plugins.peers.realtime.dialects.conversation import Item, Output
    from rtpipe_plugins.peers.realtime.dialects.dialect import Step

RATE = 16_000


class ToyOptions(RealtimeOptions):
    """The options of any call; what a file would say of the dialect stands here."""

    dialect: ClassVar[str] = "toy"


@dataclass(frozen=True, kw_only=True)
class ToyWelcome(ServerEvent):
    """There is a stage set for the dialogue."""

    type: str = "toy.welcome"


@dataclass(frozen=True, kw_only=True)
class ToyHeard(ServerEvent):
    """A line of the visitor's."""

    type: str = "toy.heard"


@dataclass(frozen=True, kw_only=True)
class ToyVoice(ServerEvent):
    """A piece of the model's sound."""

    type: str = "toy.voice"


@dataclass(frozen=True, kw_only=True)
class ToySpoken(ServerEvent):
    """A line of the model's, all of it sent."""

    type: str = "toy.spoken"


class ToyDialect:
    server_events: ClassVar[tuple[type[ServerEvent], ...]] = (
        ToyWelcome,
        ToyHeard,
        ToyVoice,
        ToySpoken,
    )
    data_channel: ClassVar[str] = "toy-lines"

    def __init__(self, options: RealtimeOptions, account: Account, log: Logger) -> None:
        self._account = account
        self._limit = options.history_items
        self._role: dict[str, Any] = {"instructions": options.instructions}

    @staticmethod
    def examine(options: RealtimeOptions) -> Iterable[Examined]:
        return ()

    def conversation(self) -> ToyConversation:
        return ToyConversation(self._role)

    def signaling(self) -> ToySignaling:
        return ToySignaling(self._account)

    def media_server(self, loudspeaker: LoudspeakerPosition) -> ToyMediaServer:
        return ToyMediaServer(loudspeaker)

    def history(self) -> ToyHistory:
        return ToyHistory(self._limit)

    @staticmethod
    def session_change(options: RealtimeOptions, to: RealtimeOptions) -> Mapping[str, Any] | None:
        return {"instructions": to.instructions}

    def update(self, session: Mapping[str, Any]) -> None:
        self._role.update(session)

    def change(self, options: RealtimeOptions) -> None:
        self._role["instructions"] = options.instructions


class ToySignaling:
    def __init__(self, account: Account) -> None:
        self._account = account

    async def place(self, offer: str) -> SdpAnswer:
        raise CallRefused("it speaks over WebSockets only")

    async def hang_up(self, call_id: str) -> None: ...

    async def socket(self) -> SocketRequest:
        key = self._account.key.get_secret_value()
        return SocketRequest(f"{self._account.base_url}/stage-door", {"X-Toy-Ticket": key})

    def refusal(self, status: int, body: str, headers: Mapping[str, str]) -> CallRefused:
        return CallRefused(f"the stage door stays shut: {body}", status=status)

    def closed(self, code: int | None, reason: str, *, stood: bool) -> NotConnected:
        return NotConnected(f"the curtain has fallen ({code}): {reason}")


class ToyConversation:
    """Line by line: the visitor's, by voice or typed, then the model's."""

    established = False
    announced = False
    transcribing = False
    pressed = awaits_decision = False
    hangover_s = 0.1
    invalid_events = 0

    def __init__(self, role: Mapping[str, Any]) -> None:
        self._role = role
        self._owed = False
        self._playing: str | None = None
        self._voice: str | None = None
        self._words = ""
        self._asked: dict[str, Item] = {}
        self.expires_at: float | None = None

    @property
    def answering(self) -> bool:
        return not self.idle

    @property
    def awaits_us(self) -> bool:
        return False

    @property
    def idle(self) -> bool:
        return self._playing is None and not self._owed

    @property
    def unconfirmed(self) -> list[Item]:
        return list(self._asked.values())

    def receive(self, message: str | bytes) -> list[Output]:
        event = json.loads(message)
        what, line = event["toy"], str(event.get("line"))
        match what:
            case "welcome":
                self.announced = self.established = True
                self.expires_at = event.get("until")
                told = [Command({"toy": "role", **self._role})]
                return [ToyWelcome(data=event), *told]
            case "heard":
                self._owed = True
                self._asked.pop(event["words"], None)
                said = UserTranscript(text=event["words"], item_id=line)
                return [ToyHeard(data=event), UserSpeaks(speaking=False, item_id=line), said]
            case "voice":
                return [ToyVoice(data=event)]
            case "spoken":
                self._words = event["words"]
                return [ToySpoken(data=event)]
            case "playing":
                self._playing, self._voice, self._owed = line, line, False
                return [AnswerBegins(line)]
            case "played" if line == self._playing:
                return [AnswerEnds(line), *self._over(interrupted=False)]
        return []

    def give_up_waiting(self) -> list[Output]:
        return []

    def say(self, text: str) -> list[Output]:
        return [Command({"toy": "say", "words": text})]

    def text(self, text: str) -> list[Output]:
        return [Command({"toy": "ask", "words": text})]

    def respond(self, response: Mapping[str, Any]) -> list[Output]:
        return [Command({"toy": "go_on", **response})]

    def image(self, url: str, text: str) -> list[Output]:
        return self.text(f"{text} {url}")

    def interrupt(self) -> list[Output]:
        if self._playing is None:
            return []
        line = self._playing
        self._voice = None
        hush = Command({"toy": "hush", "line": line})
        return [Interrupted(), AnswerEnds(line, cut=True), hush, *self._over(interrupted=True)]

    def cancel(self) -> list[Output]:
        return self.interrupt()

    def press(self) -> list[Output]:
        return [UserSpeaks(speaking=True), *self.interrupt()]

    def release(self) -> list[Output]:
        return [UserSpeaks(speaking=False)]

    def answer(self, call_id: str, output: str) -> list[Output]:
        return []

    def create_item(self, item: Mapping[str, Any], previous_item_id: str) -> list[Output]:
        return []

    def decide(self, *, approve: bool, name: str, request_id: str, reason: str) -> list[Output]:
        return []

    def elapsed(self, ms: float) -> list[Output]:
        return []

    def fell_silent(self, response_id: str) -> list[Output]:
        return []

    def listen(self, frame: AudioFrame) -> list[AudioFrame]:
        audio.meta(frame).extra["response_id"] = self._voice
        return [] if self._voice is None else [frame]

    def clear(self) -> list[Output]:
        return []

    def commit(self) -> list[Output]:
        return []

    def update(self, session: Mapping[str, Any]) -> list[Output]:
        return [Command({"toy": "role", **session})]

    def replay(self, items: Sequence[Item]) -> list[Output]:
        return [Command({"toy": "so_far", "lines": list(items)})] if items else []

    def create(self, items: Sequence[Item]) -> list[Output]:
        return [Command(item) for item in items]

    def sent(self, command: Command) -> None:
        if command.data["toy"] == "ask":
            self._asked[command.data["words"]] = command.data

    def unsent(self, commands: Sequence[Command]) -> None: ...

    def close(self) -> list[Output]:
        return [] if self._playing is None else self._over(interrupted=True)

    def _over(self, *, interrupted: bool) -> list[Output]:
        line, self._playing = self._playing or "", None
        said = AssistantTranscript(
            text=self._words, item_id=line, response_id=line, interrupted=interrupted
        )
        return [said]


class ToyHistory:
    """Who said which line."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._lines: list[Item] = []

    @property
    def answer_owed(self) -> bool:
        return bool(self._lines) and self._lines[-1]["who"] == "visitor"

    def take(self, event: Mapping[str, Any], now: float) -> None:
        who = {"heard": "visitor", "spoken": "model"}.get(event["toy"])
        if who is not None:
            self._lines.append({"who": who, "words": event["words"]})

    def break_off(self, now: float) -> None: ...

    def replay(self) -> list[Item]:
        return self._lines[-self._limit :]


class ToyMediaServer:
    """Plays a line as its sound comes, and says when it begins and ends."""

    rate: ClassVar[int] = RATE
    gaps = 0

    def __init__(self, loudspeaker: LoudspeakerPosition) -> None:
        self._loudspeaker = loudspeaker
        self._line: str | None = None
        self._waiting = bytearray()
        self._whole = False
        self._begun_at: float | None = None
        self._handed = 0

    def append(self, pcm: bytes) -> str:
        return json.dumps({"toy": "mic", "pcm": pcm.hex()})

    def arrived(self, message: str | bytes) -> list[Step]:
        event = json.loads(message)
        match event["toy"]:
            case "voice":
                pcm = bytes.fromhex(event.pop("pcm"))
                if self._line != event["line"]:
                    self._line, self._begun_at, self._handed = event["line"], None, 0
                    self._whole = False
                self._waiting += pcm
                return [json.dumps({**event, "samples": len(pcm) // 2})]
            case "spoken":
                self._whole = True
        return [message]

    def commanded(self, text: str) -> list[Step]:
        command = json.loads(text)
        if command["toy"] != "hush":
            return [Command(command)]
        handed = Handed(command["line"], self._handed * 1000 / RATE, self._begun_at, 0.0)
        self._waiting.clear()
        self._line = None
        return [Command({**command, "heard_ms": self._loudspeaker.heard_ms(handed)})]

    def block(self, now: float) -> tuple[Any, list[Step]]:
        steps: list[Step] = []
        size = 2 * RATE // 50
        pcm = bytes(self._waiting[:size])
        del self._waiting[:size]
        if pcm and self._begun_at is None:
            self._begun_at = now
            steps.append(json.dumps({"toy": "playing", "line": self._line}))
        self._handed += len(pcm) // 2
        if not pcm and self._whole and self._line is not None:
            steps.append(json.dumps({"toy": "played", "line": self._line}))
            self._line = None
        return np.frombuffer(pcm.ljust(size, b"\0"), np.int16), steps
