"""Playout over a WebSocket, a server's events for it, and what comes of them."""

from __future__ import annotations

import base64
import json
from typing import Any

import numpy as np

from plugins.peers.realtime.dialects.openai.talk import LOG
from rtpipe_plugins.peers.realtime.dialects.conversation import Command
from rtpipe_plugins.peers.realtime.dialects.openai.media_server import BLOCK, RealtimeMediaServer
from rtpipe_plugins.peers.realtime.loudspeaker_position import LoudspeakerPosition
from rtpipe_plugins.sinks.speaker.playback import PlaybackStarted, PlaybackStopped

BLOCK_S = 0.02


class Call:
    """A playout, a server's events for it, and what comes of them, by type."""

    def __init__(self) -> None:
        self.loudspeaker = LoudspeakerPosition()
        self.playout = RealtimeMediaServer(self.loudspeaker, LOG)
        self.told: list[dict[str, Any]] = []
        self.sent: list[dict[str, Any]] = []
        self.now = 0.0

    def server(self, type: str, **fields: Any) -> None:
        message = json.dumps({"type": type, "event_id": "event_1", **fields})
        self._carry_out(self.playout.arrived(message))

    def command(self, type: str, **fields: Any) -> None:
        self._carry_out(self.playout.commanded(json.dumps({"type": type, **fields})))

    def respond(self, id: str = "resp_1", conversation_id: str | None = "conv_1") -> None:
        response = {"id": id, "conversation_id": conversation_id}
        self.server("response.created", response=response)

    def delta(self, pcm: np.ndarray, response: str = "resp_1", item: str = "item_1") -> None:
        audio = base64.b64encode(pcm.tobytes()).decode()
        place = {"response_id": response, "item_id": item, "output_index": 0, "content_index": 0}
        self.server("response.output_audio.delta", **place, delta=audio)

    def audio_done(self, response: str = "resp_1", item: str = "item_1") -> None:
        place = {"response_id": response, "item_id": item, "output_index": 0, "content_index": 0}
        self.server("response.output_audio.done", **place)

    def done(self, id: str = "resp_1") -> None:
        self.server("response.done", response={"id": id, "status": "completed"})

    def hear(self, blocks: int) -> np.ndarray:
        heard = []
        for _ in range(blocks):
            pcm, steps = self.playout.block(self.now)
            assert pcm.shape == (BLOCK,)
            self._carry_out(steps)
            heard.append(pcm)
            self.now += BLOCK_S
        return np.concatenate(heard)

    def sounds(self, response_id: str | None, at: float) -> None:
        self.loudspeaker.take(PlaybackStarted(response_id=response_id, at=at, position_s=0.0))

    def falls_silent(self, response_id: str | None, played_ms: float) -> None:
        self.loudspeaker.take(
            PlaybackStopped(response_id=response_id, played_ms=played_ms, position_s=0.0)
        )

    def types(self) -> list[str]:
        return [event["type"] for event in self.told]

    def buffer(self) -> list[tuple[str, str]]:
        """The events about the playing, with the responses they name."""
        prefix = "output_audio_buffer."
        return [
            (event["type"].removeprefix(prefix), event["response_id"])
            for event in self.told
            if event["type"].startswith(prefix)
        ]

    def _carry_out(self, steps: Any) -> None:
        for step in steps:
            if isinstance(step, Command):
                self.sent.append(dict(step.data))
            else:
                self.told.append(json.loads(step))


def sound(blocks: float, value: int = 1000) -> np.ndarray:
    return np.full(round(blocks * BLOCK), value, np.int16)
