"""Playout over a WebSocket: the media server's part of a call, which is ours to play.

Over WebRTC a server plays its answers at the pace of speech, says when it begins and ends
(`output_audio_buffer.*`), and throws away what an interruption has made stale. Over a WebSocket
answers come as fast as they are generated, and all of that is left to the client. It is done here,
so that the conversation, and whoever hears its events, need not know how a call travels.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections import deque
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

from rtpipe import Recent, audio
from rtpipe_plugins.peers.realtime.dialects.conversation import Command
from rtpipe_plugins.peers.realtime.dialects.openai.boundary.decoding import decoded
from rtpipe_plugins.peers.realtime.dialects.openai.messages import object_of, place_of, text_of
from rtpipe_plugins.peers.realtime.dialects.openai.responses import has_audio
from rtpipe_plugins.peers.realtime.dialects.openai.wire.beta import ga_name, nested
from rtpipe_plugins.peers.realtime.dialects.openai.wire.formats import (
    PLAIN,
    RATE,
    Decoder,
    Encoder,
    UnknownFormat,
    WireFormat,
    shown_format,
)
from rtpipe_plugins.peers.realtime.loudspeaker_position import Handed

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from logging import Logger

    import numpy as np
    from numpy.typing import NDArray

    from rtpipe_plugins.peers.realtime.dialects.dialect import Step
    from rtpipe_plugins.peers.realtime.loudspeaker_position import LoudspeakerPosition

BLOCK = 480
"""Samples in 20 ms."""
_FORMAT = {"format": {"type": "audio/pcm", "rate": RATE}}
WIRE_SESSION = {"audio": {"input": _FORMAT, "output": _FORMAT}}
"""What the session must be for its audio to be understood."""
_WIDTH = 2  # bytes in a sample
_MOST_BYTES = _WIDTH * RATE * 600
"""Ten minutes may wait; no model speaks for longer in one turn."""
_REMEMBERED = 64  # responses


@dataclass(slots=True)
class _Part:
    """The audio of one content part of a response's item."""

    response_id: str
    item_id: str
    content_index: int
    waiting: bytearray = field(default_factory=bytearray)
    """PCM of 24 kHz, whatever it came in."""
    received: int = 0
    """Bytes of it, those that were handed out among them."""
    whole: bool = False
    sound_from: int | None = None
    """The sample at which the first sound of the response was handed out."""
    decoder: Decoder = field(default_factory=lambda: Decoder(PLAIN))

    @property
    def key(self) -> tuple[str, tuple[str, int]]:
        """As `place_of` names it."""
        return self.response_id, (self.item_id, self.content_index)

    @property
    def handed(self) -> int:
        """Samples that were handed out."""
        return (self.received - len(self.waiting)) // _WIDTH


class RealtimeMediaServer:
    """See `MediaServer`.

    Times are pipeline seconds. What is told to the conversation beyond what the server said has an
    `event_id` that begins with `rtpipe_`.

    Args:
        loudspeaker: Knows how much of what was handed out has been heard.
        log: The stage's.
    """

    rate: ClassVar[int] = RATE

    def __init__(self, loudspeaker: LoudspeakerPosition, log: Logger) -> None:
        self._loudspeaker = loudspeaker
        self._log = log
        self._spoken_in: WireFormat | None = PLAIN
        self._encoder = Encoder(PLAIN)
        self._converting = False
        self._too_much = False
        self._parts: deque[_Part] = deque()
        self._playing: str | None = None
        self._unfinished: Recent[str, bool] = Recent(_REMEMBERED)  # whether of the conversation
        self._dropped: Recent[str, None] = Recent(_REMEMBERED)
        self._sounded: Recent[str, bool] = Recent(_REMEMBERED)
        """The responses that are said to have sound, and whether any has come."""
        self._interruptible = True
        self._said = 0
        self._sound_at: float | None = None
        self.gaps = 0
        """See `MediaServer.gaps`."""
        self._dry = False

    @property
    def waiting_ms(self) -> float:
        """How much audio waits."""
        return sum(_ms(part.waiting) for part in self._parts)

    def append(self, pcm: bytes) -> str:
        """See `MediaServer.append`."""
        sound = base64.b64encode(self._encoder.take(pcm)).decode()
        return f'{{"type":"input_audio_buffer.append","audio":"{sound}"}}'

    def arrived(self, message: str | bytes) -> list[Step]:
        """See `MediaServer.arrived`.

        Audio is taken out of it: `audio_ms`, its length, stands in the place of `delta`.
        """
        event = decoded(message) or {}
        steps: list[Step] = [message]
        match ga_name(text_of(event, "type")):
            case "output_audio_buffer.started" | "output_audio_buffer.stopped":
                return []  # of a buffer that the server supposes here; we know better
            case "response.output_audio.delta":
                return [_told(self._take(event))]
            case "response.output_audio.done":
                self._complete(place_of(event))
            case "response.created":
                response = object_of(event, "response")
                in_band = response.get("conversation_id", "") is not None
                self._unfinished[text_of(response, "id")] = in_band
            case "response.done":
                steps += self._generated(object_of(event, "response"))
            case "session.created" | "session.updated":
                self._set_session(nested(object_of(event, "session")))
            case "input_audio_buffer.speech_started" if self._interruptible:
                steps += self.clear()
        return steps

    def commanded(self, text: str) -> list[Step]:
        """See `MediaServer.commanded`."""
        command = json.loads(text)
        if command["type"] == "output_audio_buffer.clear":
            return self.clear()
        return [Command(command)]

    def block(self, now: float) -> tuple[NDArray[np.int16], list[Step]]:
        """See `MediaServer.block`."""
        import numpy as np

        steps: list[Step] = []
        pcm = bytearray()
        while self._parts and (missing := _WIDTH * BLOCK - len(pcm)):
            part = self._parts[0]
            complete = part.whole or len(self._parts) > 1
            if not complete and len(part.waiting) < missing:
                self._dry = part.handed > 0  # half a block now would be a gap in its middle
                break
            if part.waiting and part.response_id != self._playing:
                steps += [*self._ended(), self._started(part.response_id)]
            pcm += self._taken(part, missing, now)
            if complete and not part.waiting:
                self._finish(part)
                if not part.waiting:
                    self._parts.popleft()
        if not self._parts and self._playing not in self._unfinished:
            steps += self._ended()
        return np.frombuffer(bytes(pcm.ljust(_WIDTH * BLOCK, b"\0")), np.int16), steps

    def _taken(self, part: _Part, most: int, now: float) -> bytearray:
        """Take up to `most` bytes of `part`, whole samples."""
        import numpy as np

        taken = part.waiting[: min(most, len(part.waiting) // _WIDTH * _WIDTH)]
        samples = np.frombuffer(bytes(taken), np.int16)
        if self._sound_at is None and len(samples) and audio.peak(samples) >= audio.AUDIBLE:
            self._sound_at, part.sound_from = now, part.handed
        self.gaps += self._dry
        self._dry = False
        del part.waiting[: len(taken)]
        return taken

    def clear(self) -> list[Step]:
        """Drop what waits, and let the server know how much of it has been heard."""
        steps: list[Step] = []
        cleared = dict.fromkeys([self._playing] if self._playing else [])
        for part in self._parts:
            cleared[part.response_id] = None
            self._said += 1
            steps.append(
                Command(
                    {
                        "type": "conversation.item.truncate",
                        "event_id": f"rtpipe_truncate_{self._said}",
                        "item_id": part.item_id,
                        "content_index": part.content_index,
                        "audio_end_ms": self._heard_ms(part),
                    }
                )
            )
        steps += [self._tell("cleared", response_id) for response_id in cleared]
        for response_id in [*cleared, *(r for r, mine in self._unfinished.items() if mine)]:
            self._dropped[response_id] = None
        self._parts.clear()
        self._playing = None
        return steps

    def _take(self, event: Mapping[str, Any]) -> dict[str, Any]:
        """Queue the audio of a delta; returns the event without it."""
        key = place_of(event)
        response_id, (item_id, content_index) = key
        data = _decoded(text_of(event, "delta"))
        rest = {name: value for name, value in event.items() if name != "delta"}
        wire = self._spoken_in
        audio_ms = 0.0 if wire is None else len(data) * 1000 / (wire.width * wire.rate)
        if data and wire is not None and response_id not in self._dropped:
            part = next((part for part in self._parts if part.key == key), None)
            if part is None:
                part = _Part(response_id, item_id, content_index, decoder=Decoder(wire))
                self._parts.append(part)
                self._say_format(wire)
            elif part.decoder.wire != wire:
                self._keep(part, part.decoder.finish())
                part.decoder = Decoder(wire)
            self._keep(part, part.decoder.take(data))
            self._sounded[response_id] = True
        return {**rest, "audio_ms": round(audio_ms, 1)}

    def _say_format(self, wire: WireFormat) -> None:
        if not self._converting and not wire.plain:
            self._converting = True
            self._log.warning("the server speaks in %s and not as asked: it is converted", wire)

    def _keep(self, part: _Part, pcm: bytes) -> None:
        """Let `pcm` wait for its turn; what is beyond ten minutes is dropped."""
        room = _MOST_BYTES - sum(len(each.waiting) for each in self._parts)
        if len(pcm) > room and not self._too_much:
            self._too_much = True
            self._log.warning("more than ten minutes of the model's audio wait: the rest is lost")
        kept = pcm[:room]
        part.waiting += kept
        part.received += len(kept)

    def _generated(self, response: Mapping[str, Any]) -> list[Step]:
        """A response is complete; one whose sound never came is over with it."""
        id = text_of(response, "id")
        self._unfinished.pop(id, None)
        for part in self._parts:
            if part.response_id == id:
                self._finish(part)
        missing = not self._sounded.get(id, not has_audio(response)) and id not in self._dropped
        return [self._tell("stopped", id)] if missing else []

    def _complete(self, key: tuple[str, tuple[str, int]]) -> None:
        self._sounded.setdefault(key[0], False)
        for part in self._parts:
            if part.key == key:
                self._finish(part)

    def _finish(self, part: _Part) -> None:
        """Nothing more of it comes."""
        if not part.whole:
            part.whole = True
            self._keep(part, part.decoder.finish())

    def _set_session(self, session: Mapping[str, Any]) -> None:
        """Take what the server shows; the conversation ends where its formats are unknown."""
        with suppress(UnknownFormat):
            heard_in = shown_format(session, "input")
            if heard_in is not None and heard_in != self._encoder.wire:
                self._encoder = Encoder(heard_in)
        try:
            self._spoken_in = shown_format(session, "output") or self._spoken_in
        except UnknownFormat:
            self._spoken_in = None
        heard = object_of(object_of(session, "audio"), "input")
        if "turn_detection" in heard:
            detection = heard["turn_detection"]
            self._interruptible = (
                isinstance(detection, dict) and detection.get("interrupt_response") is not False
            )

    def _heard_ms(self, part: _Part) -> int:
        if not part.handed:
            return 0
        sound_ms = None if part.sound_from is None else part.sound_from * 1000 / RATE
        handed = Handed(part.response_id, part.handed * 1000 / RATE, self._sound_at, sound_ms)
        return int(self._loudspeaker.heard_ms(handed))

    def _started(self, response_id: str) -> Step:
        self._playing = response_id
        self._sound_at = None
        self._dry = False
        return self._tell("started", response_id)

    def _ended(self) -> Iterable[Step]:
        ended, self._playing = self._playing, None
        return [] if ended is None else [self._tell("stopped", ended)]

    def _tell(self, what: str, response_id: str) -> Step:
        self._said += 1
        return _told(
            {
                "type": f"output_audio_buffer.{what}",
                "event_id": f"rtpipe_playout_{self._said}",
                "response_id": response_id,
            }
        )


def _ms(pcm: bytes | bytearray) -> float:
    return len(pcm) * 1000 / (_WIDTH * RATE)


def _told(event: Mapping[str, Any]) -> str:
    return json.dumps(event, ensure_ascii=False, separators=(",", ":"))


def _decoded(text: str) -> bytes:
    try:
        return binascii.a2b_base64(text)
    except ValueError:  # no audio is heard where none can be read
        return b""
