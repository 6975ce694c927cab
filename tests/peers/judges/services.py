"""What speech-to-speech has outside itself: ears, a brain and a voice, over HTTP as OpenAI's.

Ours are those of the embedded server, so the words of its answers are the museum desk's. Run as a
program, so that listening and speaking hold up nobody else: it prints its base URL.
"""

from __future__ import annotations

import asyncio
import io
import json
import wave
from contextlib import suppress

import numpy as np
from aiohttp import web

from rtpipe_realtime_server.brains.desk import load_desk
from rtpipe_realtime_server.brains.speech import SpeechBrain
from rtpipe_realtime_server.media.resample import Resampler
from rtpipe_realtime_server.talk.brain import Question

_HEARING_RATE, _SPEAKING_RATE, _WIRE_RATE = 16_000, 48_000, 24_000


class Services:
    """The three services."""

    def __init__(self) -> None:
        self._brain = SpeechBrain(load_desk())
        self._app = web.Application(client_max_size=2**24)
        self._app.add_routes(
            [
                web.post("/v1/audio/transcriptions", self._transcribe),
                web.post("/v1/chat/completions", self._answer),
                web.post("/v1/audio/speech", self._speak),
            ]
        )

    async def serve(self) -> None:
        """Say where, then serve until the program ends."""
        await self._brain.load()
        runner = web.AppRunner(self._app)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        print(f"http://127.0.0.1:{runner.addresses[0][1]}/v1", flush=True)  # noqa: T201
        await asyncio.Event().wait()

    async def _transcribe(self, request: web.Request) -> web.Response:
        form = await request.post()
        upload = form["file"]
        assert isinstance(upload, web.FileField)
        with wave.open(io.BytesIO(upload.file.read())) as file:
            pcm = np.frombuffer(file.readframes(file.getnframes()), "<i2")
            pcm = Resampler(file.getframerate(), _HEARING_RATE).whole(pcm)
        return web.json_response({"text": await self._brain.transcribe(pcm)})

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        asked = await request.json()
        (*_, last) = (m["content"] for m in asked["messages"] if m["role"] == "user")
        heard = last if isinstance(last, str) else " ".join(part["text"] for part in last)
        words = (await self._brain.reply(Question(heard))).words
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        deltas = [{"role": "assistant"}, *({"content": f"{word} "} for word in words.split())]
        for delta in [*deltas, None]:
            choice = {"index": 0, "delta": delta or {}, "finish_reason": None if delta else "stop"}
            chunk = {
                "id": "chatcmpl-1",
                "object": "chat.completion.chunk",
                "created": 0,
                "model": asked["model"],
                "choices": [choice],
            }
            await response.write(f"data: {json.dumps(chunk)}\n\n".encode())
        await response.write(b"data: [DONE]\n\n")
        return response

    async def _speak(self, request: web.Request) -> web.Response:
        asked = await request.json()
        spoken = await self._brain.speak(asked["input"], "marin")
        pcm = Resampler(_SPEAKING_RATE, _WIRE_RATE).whole(spoken.pcm)
        return web.Response(body=pcm.astype("<i2").tobytes(), content_type="audio/pcm")


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        asyncio.run(Services().serve())
