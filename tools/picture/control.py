"""The page of a running kiosk, in the middle of its second answer: light and dark, in one run."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from typing import TYPE_CHECKING

from tools.picture.browser import SCHEMES, chromium, new_page
from tools.picture.kiosk import ROOT

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.sync_api import Page

WIDTH, HEIGHT = 1280, 800
_MOMENT = """() => document.body.innerText.includes("The desk is speaking")
    && document.body.innerText.includes("ground floor")"""
_PAGE = re.compile(r"the page is at (http\S+)")
_PATIENCE_MS = 60_000
_POLL_MS = 50


def photograph(folder: Path) -> list[Path]:
    """Run the kiosk, and write `page-light.png` and `page-dark.png` into `folder`.

    Raises:
        SystemExit: The kiosk ended before the moment came.
    """
    command = [sys.executable, "-m", "rtpipe", "run", "pipelines/kiosk.yaml", "--control"]
    with tempfile.TemporaryDirectory() as runtime:
        environment = {**os.environ, "XDG_RUNTIME_DIR": runtime}
        environment.pop("OPENAI_API_KEY", None)
        with subprocess.Popen(
            [*command, "127.0.0.1:0"], cwd=ROOT, env=environment, stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE, text=True,
        ) as kiosk:  # fmt: skip
            try:
                return _looked_at(_address(kiosk), folder)
            finally:
                kiosk.kill()


def _address(kiosk: subprocess.Popen[str]) -> str:
    assert kiosk.stderr is not None
    for line in kiosk.stderr:
        if found := _PAGE.search(line):
            return found[1]
    raise SystemExit("the kiosk ended before its page was there")


def _looked_at(url: str, folder: Path) -> list[Path]:
    written = []
    with chromium() as browser:
        pages = {scheme: new_page(browser, WIDTH, HEIGHT, scheme, 2.0) for scheme in SCHEMES}
        for shown in pages.values():
            shown.goto(url, wait_until="commit")
        _wait_for(next(iter(pages.values())))
        for scheme, shown in pages.items():
            written.append(folder / f"page-{scheme}.png")
            shown.screenshot(path=written[-1])
    return written


def _wait_for(page: Page) -> None:
    """Wait for the moment; the page's policy forbids Playwright to do that itself."""
    for _ in range(_PATIENCE_MS // _POLL_MS):
        if page.evaluate(_MOMENT):
            page.wait_for_timeout(700)
            return
        page.wait_for_timeout(_POLL_MS)
    raise SystemExit("the kiosk ended before the moment came")
