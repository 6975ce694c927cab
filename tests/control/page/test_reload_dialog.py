"""Reload by the page: what changes is shown first, then somebody decides."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

import rtpipe
from control.page.browser import SMALL, WIDE, Tab, chromium, opened, silent
from rtpipe_control import surface
from rtpipe_control.options import Wanted
from rtpipe_control.section import ControlOptions

pytestmark = pytest.mark.slow
FILE = """
version: 1
name: desk
stages:
  - tone: {level_dbfs: -20, realtime: true}
  - gain: 3
  - blackhole
"""
OPEN = "document.querySelector('rt-reload dialog').open"


@asynccontextmanager
async def page_of(file: Path, folder: Path) -> AsyncIterator[tuple[rtpipe.Pipeline, Tab]]:
    pipeline = rtpipe.load(file)
    told: list[rtpipe.Event] = []
    pipeline.bus.subscribe("control.opened*", told.append)
    wanted = Wanted(ControlOptions.model_validate({"listen": "127.0.0.1:0"}))
    async with (
        surface.opened(pipeline, wanted),
        pipeline,
        chromium(silent(folder)) as browser,
        opened(browser, told[0].payload()["url"]) as tab,
    ):
        await tab.until("document.querySelector('rt-graph .stage')")
        yield pipeline, tab


async def test_the_plan_is_shown_and_then_decided_about(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "desk.yaml"
    file.write_text(FILE)
    with tempfile.TemporaryDirectory() as folder:  # a socket's path is short
        monkeypatch.setenv("XDG_RUNTIME_DIR", folder)
        async with page_of(file, tmp_path) as (pipeline, tab):
            text = "document.querySelector('rt-reload dialog').innerText"
            reload = tab.page.get_by_role("button", name="Reload…")

            await reload.click()
            assert "It holds what runs already." in await tab.until(f"{OPEN} && {text}")
            await tab.page.get_by_role("button", name="Close").click()

            file.write_text(FILE.replace("gain: 3", "gain: 6\n  - level"))
            await tab.page.keyboard.press("r")
            told = await tab.until(f"{OPEN} && {text}")
            for words in ("Reload desk?", "gain_db 3 → 6", "in place", "a fade of 20 ms", "added"):
                assert words in told, told
            assert "Everything else stays as it is: tone." in told
            for size in (WIDE, SMALL):
                await tab.resize(size)
                assert await tab.axe() == []
                assert await tab.get(
                    "(d => d.scrollWidth <= d.clientWidth)(document.querySelector('.plan'))"
                )
            await tab.resize(WIDE)
            await tab.page.get_by_role("button", name="Leave it").click()
            assert pipeline["gain"].options.gain_db == 3

            await reload.click()
            await tab.page.get_by_role("button", name="Reload at the next pause").click()
            await tab.until("document.querySelector('.stage[data-id=level]')")
            assert pipeline["gain"].options.gain_db == 6

            file.write_text(FILE.replace("gain: 3", "gian: 3"))
            await reload.click()
            told = await tab.until(f"{OPEN} && {text}")
            assert "desk runs on as it is" in told
            assert "desk.yaml:6:" in told
            assert "gian" in told
            assert not await tab.page.get_by_role("button", name="Reload now").is_visible()
            assert await tab.axe() == []
            await tab.page.keyboard.press("Escape")
            assert not await tab.get(OPEN)
            assert pipeline["gain"].options.gain_db == 6
            assert tab.complaints == []
