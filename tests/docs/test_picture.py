"""The pictures in the README: of a real run of today's program, and right in a real browser."""

from __future__ import annotations

import re
import shutil
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import make_dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import click
import pytest

from helpers.documentation import ROOT, blocks
from helpers.terminal import shown
from peers.javascript import missing
from rtpipe import Event
from rtpipe.cli.latency import LatencyReport
from rtpipe.cli.narration import Line

PICTURES = {"kiosk.svg": 80, "kiosk-narrow.svg": 50}
CELL, MARGIN = 8.5, 20
SVG = "{http://www.w3.org/2000/svg}"
SHAPES = "▁▂▃▄▅▆▇█▒╱▪·│"

a_picture = pytest.mark.parametrize("name", PICTURES)


@pytest.fixture
def tools(monkeypatch: pytest.MonkeyPatch) -> None:
    """The package `tools` can be imported, as where `python -m tools.…` runs."""
    monkeypatch.syspath_prepend(ROOT)


def said(svg: str) -> list[str]:
    """Return the rows of the terminal, as the description has them."""
    return (ET.fromstring(svg).findtext(f"{SVG}desc") or "").splitlines()


def written(svg: str) -> list[str]:
    """Return the rows of the terminal by the places of their letters."""
    rows: dict[float, dict[int, str]] = {}
    for text in ET.fromstring(svg).iter(f"{SVG}text"):
        letters = text.text or ""
        places = [(float(x) - MARGIN) / CELL for x in text.attrib["x"].split()]
        assert len(places) == len(letters)
        row = rows.setdefault(float(text.attrib["y"]), {})
        for place, letter in zip(places, letters, strict=True):
            assert place == int(place)
            assert row.setdefault(int(place), letter) == letter
    return [
        "".join(row.get(column, " ") for column in range(max(row) + 1))
        for _, row in sorted(rows.items())
    ]


def picture(name: str) -> str:
    return (ROOT / "docs" / name).read_text("utf-8")


def drawn(program_wrote: str) -> list[str]:
    """Return what stands in the drawing of what a program wrote."""
    from tools.picture.drawing import svg
    from tools.picture.screen import Screen

    screen = Screen(20)
    screen.feed(program_wrote)
    drawing = svg([screen.rows], 20, "a test")
    assert written(drawing) == [unshaped(row) for row in said(drawing)]
    return written(drawing)


def unshaped(row: str) -> str:
    """Return a row without what is drawn as a shape."""
    return re.sub(f"[{SHAPES}]", " ", row).rstrip()


# -- the terminal that draws -----------------------------------------------------------------------


def test_a_status_line_is_drawn_once_and_below_what_was_said(tools: None) -> None:
    program_wrote = "\r\x1b[2Kone\r\x1b[2Ktwo\r\x1b[2K\x1b[1mhello\x1b[0m\r\n\r\x1b[2Kthree"
    assert drawn(program_wrote) == ["hello", "three"]


def test_a_long_line_goes_on_below(tools: None) -> None:
    assert drawn("x" * 25 + "\r\n<&>") == ["x" * 20, "x" * 5, "<&>"]


def test_blanks_hold_wherever_they_stand(tools: None) -> None:
    assert drawn("   \x1b[1m  a   b\x1b[0m █▒╱  c") == ["     a   b      c"]


@pytest.mark.parametrize("control", ["\x1b[5A", "\x1b[35m"])
def test_what_it_does_not_know_is_not_ignored(tools: None, control: str) -> None:
    with pytest.raises(ValueError, match="does not know"):
        drawn(control)


# -- what they show --------------------------------------------------------------------------------


def entries(name: str) -> Iterator[tuple[float, str, str, list[str]]]:
    """Yield when, who, what, and the rows that it takes, for all that the kiosk printed."""
    _, *printed, _live = said(picture(name))
    starts = [at for at, row in enumerate(printed) if row[0].isdigit()]
    for start, end in pairwise([*starts, len(printed)]):
        rows = printed[start:end]
        minutes, seconds = rows[0][:7].split(":")
        who, text = rows[0][7:19].strip(), " ".join(row[19:] for row in rows)
        yield 60 * int(minutes) + float(seconds), who, text, rows


def turn(who: str, text: str) -> Event:
    """Return the measured turn that is drawn as `text`."""
    parts = {f"{part}_ms": float(ms) for part, ms in re.findall(r"([a-z]+) (\d+)", text)}
    fields = [("type", str, "latency.turn_measured"), ("total_ms", float, 0.0)]
    fields += [(part, float, 0.0) for part in parts]
    kind = make_dataclass("Turn", fields, bases=(Event,), frozen=True, kw_only=True)
    whole = kind(total_ms=1000 * float(who.removesuffix(" s")), **parts)
    assert isinstance(whole, Event)
    return whole


@a_picture
def test_it_is_drawn_as_the_program_prints_today(name: str) -> None:
    for at, who, text, rows in entries(name):
        line = LatencyReport().line(turn(who, text)) if who.endswith(" s") else Line(at, who, text)
        printed = click.unstyle(line.styled(PICTURES[name])).splitlines()
        assert [row[8:] for row in printed] == [row[8:] for row in rows]


@a_picture
def test_the_wait_stands_between_question_and_answer(name: str) -> None:
    said_by = [who for _, who, text, _ in entries(name) if not text.endswith("takes over")]
    order = [re.sub(r"[\d.]+ s", "wait", who) for who in said_by]
    assert order == ["visitor", "wait", "model", "visitor", "wait"]


@a_picture
def test_letters_stand_where_the_terminal_had_them(name: str) -> None:
    assert written(picture(name)) == [unshaped(row) for row in said(picture(name))]


@a_picture
def test_bars_and_levels_are_as_long_as_the_terminal_had_them(name: str) -> None:
    boxes = [
        box for box in ET.fromstring(picture(name)).iter(f"{SVG}rect") if "rx" not in box.attrib
    ]
    hatched = "".join(
        path.attrib["d"]
        for path in ET.fromstring(picture(name)).iter(f"{SVG}path")
        if "hatch" in path.attrib["class"]
    )
    shown = "".join(said(picture(name)))
    assert hatched.count("M") == 2 * shown.count("╱")
    cells = sum(float(box.attrib["width"]) for box in boxes) / CELL
    assert cells == len(re.findall("[▁-█▒]", shown))


@pytest.mark.slow
@a_picture
def test_a_run_of_today_says_the_same(name: str, tmp_path: Path) -> None:
    shutil.copytree(
        ROOT / "pipelines", tmp_path / "pipelines", ignore=shutil.ignore_patterns("out")
    )
    command, *_, live = said(picture(name))
    program = command.removeprefix("$ rtpipe ").split()
    run = shown(*program, "--until", "vad.speech_started", columns=PICTURES[name], cwd=tmp_path)
    pictured = {who: [row[8:] for row in rows] for _, who, _, rows in entries(name)}
    printed = [line[8:] for line in run.lines]
    assert run.code == 0
    assert "\n".join(pictured["realtime"]) in "\n".join(printed)
    for device in ("speaker", "mic"):
        if any(re.match(rf" *{device} .*this computer has no", line) for line in printed):
            assert "\n".join(pictured[device]) in "\n".join(printed)
    assert labels(live) == labels(run.statuses[-1])


def labels(status: str) -> list[str]:
    """Return what a status line has, whatever it says of it."""
    states = {"open", "closed", "visitor", "model", "quiet"}
    return [word for word in re.findall("[a-z]+", status) if word not in states]


# -- the README ------------------------------------------------------------------------------------


def test_the_file_that_made_it_stands_under_it() -> None:
    readme = (ROOT / "README.md").read_text("utf-8")
    shown_files = re.findall(r'(?:src|srcset)="(docs/[^"]+)"', readme)
    drawn = {f"docs/{name}" for name in PICTURES}
    assert {*shown_files} == drawn | {"docs/page-light.png", "docs/page-dark.png"}
    assert all((ROOT / path).is_file() for path in shown_files)
    first = blocks("yaml", page=ROOT / "README.md")[0]
    file = "pipelines/kiosk.yaml"
    assert first.note("file") == file
    assert first.text in (ROOT / file).read_text("utf-8")
    assert all(said(picture(name))[0].split()[3] == file for name in PICTURES)


# -- in a browser ----------------------------------------------------------------------------------

LETTERS = """() => [...document.querySelectorAll('text')].flatMap((text) => {
  const wanted = text.getAttribute('x').split(' ').map(Number);
  const style = getComputedStyle(text);
  return Array.from({length: text.getNumberOfChars()}, (_, at) => {
    const box = text.getExtentOfChar(at);
    return {letter: text.textContent[at], wanted: wanted[at], x: text.getStartPositionOfChar(at).x,
      width: box.width, top: box.y, bottom: box.y + box.height, colour: style.fill};
  });
})"""
SHAPED = """() => [...document.querySelectorAll('.bar, .hatch')].map((shape) => {
  const box = shape.getBBox(), style = getComputedStyle(shape);
  return {x: box.x, right: box.x + box.width, top: box.y, bottom: box.y + box.height,
    colour: style.fill === 'none' ? style.stroke : style.fill};
})"""
SIZE = "() => { const b = document.documentElement.viewBox.baseVal; return [b.width, b.height]; }"
GROUND = "() => getComputedStyle(document.querySelector('.ground')).fill"


@contextmanager
def browser(width: int, scheme: str) -> Iterator[Any]:
    from tools.picture.browser import page

    if shutil.which("chromium") is None:
        missing("needs a browser: apt install chromium")
    with page(width, 800, scheme) as opened:
        yield opened


def contrast(one: str, other: str) -> float:
    """Return the contrast of two colours as WCAG 2 has it, from 1 to 21."""
    dark, light = sorted(map(_luminance, (one, other)))
    return (light + 0.05) / (dark + 0.05)


def _luminance(colour: str) -> float:
    channels = [int(value) / 255 for value in re.findall(r"\d+", colour)[:3]]
    red, green, blue = (
        value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4
        for value in channels
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.slow
@a_picture
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_browser_puts_each_letter_into_its_cell(tools: None, name: str, scheme: str) -> None:
    with browser(1280, scheme) as page:
        page.goto((ROOT / "docs" / name).as_uri())
        letters, shapes = page.evaluate(LETTERS), page.evaluate(SHAPED)
        (width, height), ground = page.evaluate(SIZE), page.evaluate(GROUND)
    assert len(letters) > 300
    for each in letters:
        assert each["x"] == pytest.approx(each["wanted"], abs=0.1), each
        assert each["width"] == pytest.approx(CELL, rel=0.1), f"stretched or squeezed: {each}"
        assert contrast(each["colour"], ground) >= 4.5, each
    assert shapes
    assert all(contrast(each["colour"], ground) >= 3.0 for each in shapes)
    for each in [*letters, *shapes]:
        right = each.get("right", each["x"] + each.get("width", 0.0))
        assert each["x"] >= MARGIN - 0.1, each
        assert right <= width - MARGIN + 0.5, each
        assert each["top"] >= MARGIN - 2, each
        assert each["bottom"] <= height - MARGIN + 2, each
    assert (_luminance(ground) > 0.5) == (scheme == "light")


@pytest.mark.slow
@pytest.mark.parametrize(("width", "wanted"), [(390, "kiosk-narrow.svg"), (1280, "kiosk.svg")])
def test_it_can_be_read_on_a_telephone_and_on_a_desk(
    tools: None, tmp_path: Path, width: int, wanted: str
) -> None:
    from tools.picture.__main__ import readme

    page_file = tmp_path / "readme.html"
    page_file.write_text(readme(), "utf-8")
    with browser(width, "light") as page:
        page.goto(page_file.as_uri())
        source, shown_px, real_px, scrolled_px = page.evaluate(
            "() => { const image = [...document.images].find(i => i.currentSrc.endsWith('.svg'));"
            " return [image.currentSrc, image.width,"
            " image.naturalWidth, document.documentElement.scrollWidth]; }"
        )
    assert source.endswith(f"/{wanted}")
    assert 14 * shown_px / real_px >= 10.5
    assert scrolled_px <= width
