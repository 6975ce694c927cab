"""Ordinary mistakes are found, each at its place and nothing else; what a help writes mends them.

`helpers/mistakes.py` says how to add one.
"""

from __future__ import annotations

import shutil
from collections import Counter
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
from rtpipe.wording.rendering import render

if TYPE_CHECKING:
    from pathlib import Path

    from rtpipe.audio import AudioFrame
    from rtpipe.wording.diagnostics import Diagnostic

ALL = mistakes()
FIXED = [each for each in ALL if each.fix is not None]
ENVIRONMENT = {"OPENAI_API_KEY": "sk-of-nobody"}
NEED_MORE = {
    "mic", "speaker", "rtsp", "url", "stream", "realtime", "process", "process_sink", "echo_cancel",
    "exec", "python", "webhook", "mqtt", "lines", "key",
}  # fmt: skip
"""Kinds that need a device, a network or a program: files with them are not run here."""
SILENT: tuple[Any, ...] = (0, False, None, "", "closed", [], {})
"""Values that no help may propose: they turn off what somebody wanted."""
OFF = {"no", "off"}
"""Words by which somebody does want it off."""
MOST_FRAMES = 200
AUDIBLE = 0.001
"""Of full scale: -60 dBFS."""


def looked_at(path: Path, mistake: Mistake) -> tuple[list[Diagnostic], Loaded | None]:
    try:
        loaded = load([path], env=ENVIRONMENT, examine="machine" if mistake.machine else "file")
    except ConfigError as error:
        return list(error.diagnostics), None
    return list(loaded.warnings), loaded


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
    first = found[0]
    assert mistake.says in (first.help or ""), render(found)
    if mistake.fix is None:
        assert (first.fix, first.as_dict()["fix"]) == (None, None), render(found)
        return
    assert first.fix is not None, render(found)
    assert first.fix.text.strip() == mistake.fix, render(found)
    assert mistake.fix in (first.help or ""), render(found)
    assert first.as_dict()["fix"]["text"] == first.fix.text


@pytest.mark.parametrize("mistake", FIXED, ids=str)
def test_the_fix_makes_the_file_right_and_heard(mistake: Mistake, tmp_path: Path) -> None:
    found, _ = looked_at(mistake.path, mistake)
    assert found[0].fix is not None
    check_wanted(found[0], mistake)
    shutil.copytree(FOLDER / "beside", tmp_path / "beside")
    path = tmp_path / mistake.path.parent.name / mistake.path.name
    path.parent.mkdir()
    path.write_text(found[0].fix.applied(mistake.text), "utf-8")
    left, loaded = looked_at(path, mistake)
    assert len(left) == len(found) - 1, path.read_text("utf-8") + render(left)
    if loaded is not None and not needs_more(loaded):
        peaks = run_virtual(peaks_of(loaded))
        assert peaks
        assert min(peaks.values()) > AUDIBLE, f"silence: {peaks}"


def check_wanted(found: Diagnostic, mistake: Mistake) -> None:
    """Assert that a fix does not turn off what was wanted."""
    assert found.span is not None
    assert mistake.fix is not None
    written = found.source[found.span.column - 1 :][: found.span.length]
    if mistake.fix.strip("]}") and written not in OFF:
        value = YAML(typ="safe", pure=True).load(mistake.fix)
        values = value.values() if isinstance(value, dict) else [value]
        assert all(each is True or each not in SILENT for each in values if each is not None)


async def peaks_of(loaded: Loaded) -> dict[str, float]:
    """Run a pipeline for a while; return the peak that each sink was given, of full scale."""
    pipeline = Pipeline(loaded.graph, check=True, registry=loaded.registry)
    sinks = [each.id for each in loaded.spec.stages if family(each.stage_type) == "sink"]
    peaks = dict.fromkeys(sinks, 0.0)
    frames = Counter[str]()

    def listen(sink: str) -> None:
        def heard(frame: AudioFrame) -> None:
            peaks[sink] = max(peaks[sink], float(np.max(np.abs(samples(frame)), initial=0.0)))
            frames[sink] += 1
            if frames[sink] == MOST_FRAMES:
                pipeline.stop()

        pipeline.tap_output(sink, heard)

    for sink in sinks:
        listen(sink)
    await pipeline.run()
    return peaks


def needs_more(loaded: Loaded) -> bool:
    """Whether a pipeline needs what is not here."""
    subscribers = [each.subscriber for each in loaded.spec.routes if each.subscriber is not None]
    kinds = {stage.kind for stage in (*loaded.spec.stages, *subscribers)}
    return bool(kinds & NEED_MORE)
