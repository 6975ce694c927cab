"""The files of the page: served with their types and a tag, nothing else, and small."""

from __future__ import annotations

from collections.abc import AsyncIterator
from importlib.resources import files
from pathlib import Path

import aiohttp
import pytest

from control.page.staged import Staged, kiosk, staged

MOST_BYTES = 150_000
PAGE = Path(str(files("rtpipe_control") / "page"))


@pytest.fixture
async def surface() -> AsyncIterator[Staged]:
    async with staged(kiosk()) as running:
        yield running


@pytest.mark.parametrize(
    ("path", "type"),
    [
        ("", "text/html"),
        ("captions", "text/html"),
        ("page/code/main.js", "text/javascript"),
        ("page/style/ground.css", "text/css"),
        ("page/icon.svg", "image/svg+xml"),
    ],
)
async def test_a_file_has_its_type_and_is_sent_once(surface: Staged, path: str, type: str) -> None:
    async with aiohttp.ClientSession() as session:
        async with session.get(surface.url + path) as answer:
            assert answer.status == 200
            assert answer.content_type == type
            assert "unsafe" not in answer.headers["Content-Security-Policy"]
            tag = answer.headers["ETag"]
        again = {"If-None-Match": f'W/"other", {tag}'}
        async with session.get(surface.url + path, headers=again) as answer:
            assert answer.status == 304
            assert await answer.read() == b""


def test_everything_that_the_pages_name_is_there_and_comes_from_here() -> None:
    names = {f"/page/{path.relative_to(PAGE)}" for path in PAGE.rglob("*") if path.is_file()}
    for page in PAGE.glob("*.html"):
        text = page.read_text()
        quoted = {word for word in text.split('"') if word.startswith("/page/")}
        assert quoted <= names
        assert "http" not in text
        assert "style=" not in text


def test_the_page_is_small() -> None:
    assert sum(path.stat().st_size for path in PAGE.rglob("*") if path.is_file()) < MOST_BYTES
