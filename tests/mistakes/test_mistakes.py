"""Ordinary mistakes are found, each at its place and nothing else; what a help writes mends them.

`helpers/mistakes.py` says how to add one.
"""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from ruamel.yaml import YAML

from helpers.mistakes import FOLDER, Mistake, mistakes
from rtpipe.audio import samples
from rtpipe.errors import ConfigError
from rtpipe.language.loading import Loaded, load
from rtpipe.running.runtime import Pipeline
from rtpipe.stage import family
from rtpipe.testing.virtual_time import run_virtual
from rtpipe.wording.rendering import as_json, render

if TYPE_CHECKING:
    from rtpipe.audio import AudioFrame
    from rtpipe.wording.diagnostics import Diagnostic

ALL = mistakes()
FIXED = [each for each in ALL if each.fix is not None]
ENVIRONMENT = {"OPENAI_API_KEY": "sk-of-nobody"}
NEED_MORE = {
    "mic", "speaker", "rtsp", "url", "stream", "realtime", "process", "process_sink", "echo_cancel",
    "exec", "python", "webhook", "mqtt",
}  # fmt: skip
"""Kinds that need a device, a network or a program: files with them are not run here."""
SILENT: tuple[Any, ...] = (0, False, None, "", "closed", [], {})
"""Values that no help may propose: they turn off what somebody wanted."""
RUNS_S = 3.0


def looked_at(path: Path, mistake: Mistake) -> tuple[list[Diagnostic], Loaded | None]:
    try:
        loaded = load([path], env=ENVIRONMENT, examine="machine" if mistake.machine else "file")
    except ConfigError as error:
        return list(error.diagnostics), None
    return list(loaded.warnings), loaded


@pytest.fixture
def fixed(mistake: Mistake, tmp_path: Path) -> Path:
    """The file after its fix, in a copy of its folder."""
    shutil.copytree(FOLDER / "beside", tmp_path / "beside")
    folder = tmp_path / mistake.path.parent.name
    folder.mkdir()
    found, _ = looked_at(mistake.path, mistake)
    first = found[0]
    assert first.fix is not None, render(found)
    assert first.fix.span.path == mistake.path
    path = folder / mistake.path.name
    path.write_text(first.fix.applied(mistake.text), "utf-8")
    return path


@pytest.mark.parametrize("mistake", ALL, ids=str)
def test_each_is_found_at_its_place_and_nothing_else(mistake: Mistake) -> None:
    found, _ = looked_at(mistake.path, mistake)
    places = [
        (each.code, each.span.line, each.span.column, str(each.severity))
        for each in found
        if each.span is not None
    ]
    assert places == mistake.found, render(found)
    assert len(found) == len(places), render(found)
    assert mistake.says in (found[0].help or ""), render(found)


@pytest.mark.parametrize("mistake", ALL, ids=str)
def test_the_help_shows_the_fix(mistake: Mistake) -> None:
    found, _ = looked_at(mistake.path, mistake)
    fix = found[0].fix
    assert (None if fix is None else fix.text) == mistake.fix, render(found)
    if fix is None:
        assert as_json(found[0])["fix"] is None
        return
    assert fix.text.strip() in (found[0].help or ""), render(found)
    assert as_json(found[0])["fix"]["text"] == fix.text


@pytest.mark.parametrize("mistake", FIXED, ids=str)
def test_the_fix_makes_the_file_right(mistake: Mistake, fixed: Path) -> None:
    found, loaded = looked_at(fixed, mistake)
    rest = len(mistake.found) - 1  # what else was wrong stays
    assert len(found) == rest, fixed.read_text("utf-8") + render(found)
    assert loaded is not None or rest


@pytest.mark.parametrize("mistake", FIXED, ids=str)
def test_no_fix_turns_off_what_was_wanted(mistake: Mistake) -> None:
    if mistake.fix:
        value = YAML(typ="safe", pure=True).load(mistake.fix)
        values = value.values() if isinstance(value, dict) else [value]
        assert all(each is True or each not in SILENT for each in values), mistake.fix


@pytest.mark.parametrize("mistake", FIXED, ids=str)
def test_what_can_be_run_here_is_heard_after_the_fix(mistake: Mistake, fixed: Path) -> None:
    _, loaded = looked_at(fixed, mistake)
    if loaded is None or needs_more(loaded):
        return
    pipeline = Pipeline(loaded.graph, check=True, registry=loaded.registry)
    peaks: dict[str, float] = {}

    def listen(sink: str) -> None:
        def heard(frame: AudioFrame) -> None:
            peaks[sink] = max(peaks[sink], float(np.max(np.abs(samples(frame)), initial=0.0)))

        peaks[sink] = 0.0
        pipeline.tap_output(sink, heard)

    for stage in loaded.spec.stages:
        if family(stage.stage_type) == "sink":
            listen(stage.id)

    async def run() -> None:
        asyncio.get_running_loop().call_later(RUNS_S, pipeline.stop)
        await pipeline.run()

    run_virtual(run())
    assert peaks
    assert min(peaks.values()) > 0.001, f"silence: {peaks}"


def needs_more(loaded: Loaded) -> bool:
    subscribers = [each.subscriber for each in loaded.spec.routes if each.subscriber is not None]
    kinds = {stage.kind for stage in (*loaded.spec.stages, *subscribers)}
    return bool(kinds & NEED_MORE)
