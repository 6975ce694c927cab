"""Who speaks to our server through a foreign client: asks, hears the answer out, asks the next.

Run by the client's own interpreter, which has nothing of ours:

    DRIVER.py BASE_URL KEY FOLDER

FOLDER holds the questions, 1.wav and 2.wav (mono, 24 kHz). What was heard is written into
FOLDER/heard.wav; what the client understood is printed as one line of JSON.
"""

from __future__ import annotations

import asyncio
import json
import sys
import wave
from collections.abc import Awaitable, Callable
from pathlib import Path

RATE = 24_000
_TICK_S = 0.02
_TICK_BYTES = round(RATE * _TICK_S) * 2
_ANSWER_WITHIN_S = 45.0
_PAUSE_S = 1.0  # between an answer and the next question


class Visitor:
    """The questions, the microphone that they come from, and what came back."""

    def __init__(self, folder: Path) -> None:
        self.said: list[str] = []
        """The visitor's words, as the client understood what the server heard."""
        self.answers: list[str] = []
        self.errors: list[str] = []
        self._folder = folder
        self._heard = bytearray()
        self._heard_rate = RATE
        self._speech = bytearray()
        self._answered = asyncio.Event()

    def hear(self, pcm: bytes, rate: int) -> None:
        """Keep sound of an answer: mono s16."""
        self._heard_rate = rate
        self._heard += pcm

    def answered(self) -> None:
        """An answer was heard to its end."""
        self._answered.set()

    async def converse(self, send: Callable[[bytes], Awaitable[None]]) -> None:
        """Ask every question; `send` takes 20 ms of the microphone, in real time."""
        microphone = asyncio.create_task(self._microphone(send))
        try:
            for question in sorted(self._folder.glob("[0-9].wav")):
                await asyncio.sleep(_PAUSE_S)
                self._answered.clear()
                with wave.open(str(question)) as file:
                    assert (file.getframerate(), file.getnchannels()) == (RATE, 1)
                    self._speech += file.readframes(file.getnframes())
                async with asyncio.timeout(_ANSWER_WITHIN_S):
                    await self._answered.wait()
        except TimeoutError:
            self.errors.append(f"no answer to question {question.name}")
        finally:
            microphone.cancel()
            await asyncio.gather(microphone, return_exceptions=True)

    def report(self) -> None:
        """Say what came of it."""
        with wave.open(str(self._folder / "heard.wav"), "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(self._heard_rate)
            file.writeframes(bytes(self._heard))
        seen = {"said": self.said, "answers": self.answers, "errors": self.errors}
        print(json.dumps(seen))  # noqa: T201 - what the test reads

    async def _microphone(self, send: Callable[[bytes], Awaitable[None]]) -> None:
        loop = asyncio.get_running_loop()
        due = loop.time()
        while True:
            piece, self._speech = self._speech[:_TICK_BYTES], self._speech[_TICK_BYTES:]
            await send(bytes(piece).ljust(_TICK_BYTES, b"\0"))
            due += _TICK_S
            await asyncio.sleep(due - loop.time())


def run(driver: Callable[[str, str, Visitor], Awaitable[None]]) -> None:
    """Run a driver with what the command line names."""
    base_url, key, folder = sys.argv[1:]

    async def main() -> None:
        visitor = Visitor(Path(folder))
        try:
            await driver(base_url, key, visitor)
        finally:
            visitor.report()

    asyncio.run(main())
