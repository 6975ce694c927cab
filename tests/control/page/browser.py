"""A page in a headless Chromium, as the tests of it look at it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from playwright.async_api import Browser, Page

from peers.browser import chromium
from peers.javascript import packages

WIDE, SMALL = (1280, 800), (390, 844)
_TIMEOUT_S = 20.0
_POLL_S = 0.03

__all__ = ["SMALL", "WIDE", "Tab", "chromium", "opened", "silent"]


class Tab:
    """A page, and what it did that it should not.

    Attributes:
        page: Playwright's.
        complaints: What it wrote to its console as a warning or an error.
        strangers: Requests to anywhere else than where it came from.
    """

    def __init__(self, page: Page, url: str) -> None:
        self.page = page
        self.complaints: list[str] = []
        self.strangers: list[str] = []
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("console", self._hear)
        page.on("request", lambda request: self._sent(request.url, url))

    def _hear(self, message: Any) -> None:
        # That a kiosk which is away cannot be reached is in order.
        if message.type in ("warning", "error") and "Failed to load resource" not in message.text:
            self.complaints.append(message.text)

    def _sent(self, where: str, url: str) -> None:
        if not where.startswith(url):
            self.strangers.append(where)

    async def get(self, expression: str, argument: Any = None) -> Any:
        """Evaluate JavaScript."""
        return await self.page.evaluate(expression, argument)

    async def until(self, expression: str, timeout_s: float = _TIMEOUT_S) -> Any:
        """Wait until JavaScript gives something true; the page's policy lets Playwright not."""
        try:
            async with asyncio.timeout(timeout_s):
                while not (value := await self.get(expression)):  # noqa: ASYNC110 - it is over there
                    await asyncio.sleep(_POLL_S)
        except TimeoutError:
            shown = await self.get("document.body.innerText")
            raise AssertionError(f"not within {timeout_s} s: {expression}; {shown}") from None
        return value

    async def resize(self, size: tuple[int, int]) -> None:
        """Give the window another size, and wait until the page is drawn in it."""
        await self.page.set_viewport_size({"width": size[0], "height": size[1]})
        await self.get("new Promise((drawn) => requestAnimationFrame(() => setTimeout(drawn)))")
        await self.until(f"innerWidth === {size[0]}")

    async def says(self, text: str) -> None:
        """Wait until the sentence begins so."""
        await self.until(f"document.querySelector('strong').textContent.startsWith({text!r})")

    async def axe(self) -> list[str]:
        """Return what axe-core finds, in a line each."""
        if not await self.get("typeof window.axe === 'object'"):
            await self.get((packages() / "node_modules" / "axe-core" / "axe.min.js").read_text())
        found = await self.get("axe.run(document, {resultTypes: ['violations']})")
        return [
            f"{violation['id']}: {node['target']} {node['failureSummary']}"
            for violation in found["violations"]
            for node in violation["nodes"]
        ]


@asynccontextmanager
async def opened(
    browser: Browser, url: str, size: tuple[int, int] = WIDE, **more: Any
) -> AsyncIterator[Tab]:
    """Open `url` in a window of its own; `more` goes to Playwright's `new_context`."""
    context = await browser.new_context(viewport={"width": size[0], "height": size[1]}, **more)
    try:
        tab = Tab(await context.new_page(), url.split("/captions", maxsplit=1)[0])
        await tab.page.goto(url, wait_until="domcontentloaded")
        yield tab
        assert tab.complaints == []
        assert tab.strangers == []
    finally:
        await context.close()


def silent(folder: Path) -> Path:
    """Return where Chromium finds no sound for a microphone that no page here asks for."""
    return folder / "none.wav"
