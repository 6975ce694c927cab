"""A headless Chromium for the judges, and the web server that gives it their pages."""

from __future__ import annotations

import io
import shutil
import wave
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import numpy as np
from aiohttp import web
from numpy.typing import NDArray
from playwright.async_api import Browser, ConsoleMessage, Page, async_playwright
from playwright.async_api import TimeoutError as TimeoutInBrowser

from peers.javascript import missing, packages

TIMEOUT_S = 30.0
PAGES = Path(__file__).parent / "pages"
RATE = 48_000
_FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--use-fake-ui-for-media-stream",
    "--use-fake-device-for-media-stream",
    "--autoplay-policy=no-user-gesture-required",
)


@asynccontextmanager
async def chromium(microphone: Path) -> AsyncIterator[Browser]:
    """Run Debian's Chromium, whose microphone plays the WAV file `microphone` over and over."""
    path = shutil.which("chromium")
    if path is None:
        missing("needs a browser: apt install chromium")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=path,
            args=[*_FLAGS, f"--use-file-for-fake-audio-capture={microphone}"],
        )
        try:
            yield browser
        finally:
            await browser.close()


@asynccontextmanager
async def pages(
    token: Callable[[], Awaitable[dict[str, Any]]], question: NDArray[np.int16]
) -> AsyncIterator[str]:
    """Serve the pages, the SDK and the spoken question on a port of their own; give its URL.

    Args:
        token: Makes what `/token` answers: `key` (ephemeral) and `calls` (the URL to call).
        question: What `/question.wav` holds; mono, 48 kHz.
    """

    async def answer_token(_request: web.Request) -> web.Response:
        return web.json_response(await token())

    async def answer_question(_request: web.Request) -> web.Response:
        return web.Response(body=wav(question), content_type="audio/wav")

    async def answer_sdk(_request: web.Request) -> web.FileResponse:
        return web.FileResponse(packages() / "sdk.js")

    app = web.Application()
    app.router.add_get("/token", answer_token)
    app.router.add_get("/question.wav", answer_question)
    app.router.add_get("/sdk.js", answer_sdk)
    app.router.add_static("/", PAGES)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


class Tab:
    """A page that is watched: what it complains of on its console is kept.

    Args:
        page: The page.
        events: JavaScript for the events that it has received.
    """

    def __init__(self, page: Page, events: str) -> None:
        self.page = page
        self.complaints: list[str] = []
        self._events = events
        page.on("console", self._on_console)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))

    async def until(self, condition: str, timeout_s: float = TIMEOUT_S) -> None:
        """Wait until a JavaScript expression holds."""
        try:
            await self.page.wait_for_function(condition, timeout=1000 * timeout_s)
        except TimeoutInBrowser:
            kinds = await self.get(f"{self._events}.map((event) => event.type)")
            raise AssertionError(
                f"not within {timeout_s} s: {condition}; {self.complaints}; {kinds}"
            ) from None

    async def get(self, expression: str, argument: Any = None) -> Any:
        """Evaluate a JavaScript expression or function."""
        return await self.page.evaluate(expression, argument)

    def _on_console(self, message: ConsoleMessage) -> None:
        if message.type in ("warning", "error"):
            self.complaints.append(message.text)


@asynccontextmanager
async def tab(browser: Browser, url: str, *, events: str) -> AsyncIterator[Tab]:
    """Open `url` in a page of its own; `events` as in `Tab`."""
    page = await browser.new_page()
    try:
        opened = Tab(page, events)
        await page.goto(url)
        yield opened
    finally:
        await page.close()


def wav(pcm: NDArray[np.int16]) -> bytes:
    """Return mono 48 kHz `pcm` as a WAV file."""
    body = io.BytesIO()
    with wave.open(body, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes(pcm.astype("<i2").tobytes())
    return body.getvalue()
