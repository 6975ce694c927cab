"""Looks at a page as Debian's Chromium shows it."""

from __future__ import annotations

import shutil
from contextlib import contextmanager
from typing import TYPE_CHECKING, Literal

from playwright.sync_api import sync_playwright

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from playwright.sync_api import Browser, Page

Scheme = Literal["light", "dark"]
SCHEMES: tuple[Scheme, ...] = ("light", "dark")
_FLAGS = ("--no-sandbox", "--disable-gpu", "--disable-background-networking", "--hide-scrollbars")


@contextmanager
def chromium() -> Iterator[Browser]:
    """Start a browser.

    Raises:
        SystemExit: There is no Chromium.
    """
    program = shutil.which("chromium")
    if program is None:
        raise SystemExit("needs a browser: apt install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=_FLAGS)
        try:
            yield browser
        finally:
            browser.close()


def new_page(browser: Browser, width: int, height: int, scheme: Scheme, scale: float = 1.0) -> Page:
    """Return an empty page, `width` by `height` CSS pixels of `scale` screen pixels each."""
    return browser.new_page(
        viewport={"width": width, "height": height},
        color_scheme=scheme,
        device_scale_factor=scale,
    )


@contextmanager
def page(width: int, height: int, scheme: Scheme, scale: float = 1.0) -> Iterator[Page]:
    """Open an empty page in a browser of its own; see `new_page`.

    Raises:
        SystemExit: There is no Chromium.
    """
    with chromium() as browser:
        yield new_page(browser, width, height, scheme, scale)


def screenshot(url: str, path: Path, width: int, height: int, scheme: Scheme) -> None:
    """Write a PNG of what stands at `url`, in a window of `width` by `height` CSS pixels.

    It has two screen pixels each, as the screens have on which it will be looked at.
    """
    with page(width, height, scheme, scale=2.0) as shown:
        shown.goto(url)
        shown.screenshot(path=path)
