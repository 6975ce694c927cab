"""The knobs themselves: as flags, in a script, on the page that explains them, and in the tests."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rtpipe import ConfigError
from rtpipe.field_types import description
from rtpipe.testing import run_virtual
from rtpipe_realtime_server.calls.peer_connection import PacedTrack
from rtpipe_realtime_server.faults.knobs import Faults, alone, from_flags

HERE = Path(__file__).parent
PAGE = HERE.parents[2] / "docs" / "how-to" / "test-a-realtime-client.md"


def test_flags_become_knobs() -> None:
    faults = from_flags(["http_429", "lose_percent=3.5", "event_order=done_first", "extra_fields"])
    assert faults.model_dump(exclude_defaults=True) == {
        "http_429": 1,
        "lose_percent": 3.5,
        "event_order": "done_first",
        "extra_fields": True,
    }
    shown = "http_429=1, extra_fields=true, event_order=done_first, lose_percent=3.5"
    assert faults.described() == shown
    assert from_flags(shown.split(", ")) == faults


def test_without_flags_nothing_goes_wrong() -> None:
    assert from_flags([]) == Faults()
    assert Faults().described() == ""


@pytest.mark.parametrize("knob", Faults.model_fields)
def test_a_knob_may_be_named_alone(knob: str) -> None:
    faults = from_flags([knob])
    assert getattr(faults, knob) == alone(knob)
    assert alone(knob) is not None


def test_flags_come_on_top_of_the_script() -> None:
    script = Faults(lose_every=50, extra_fields=True, jitter_ms=30)
    faults = script.overlaid(from_flags(["lose_every=5", "extra_fields=false"]))
    assert faults.described() == "lose_every=5, jitter_ms=30"


@pytest.mark.parametrize(
    ("flag", "help"),
    [
        ("http_492=2", "did you mean `http_429`?"),
        ("event_order=shufled", "did you mean `shuffled`?"),
        ("lose_percent=200", "it takes a number, more than 0 and 100 or less"),
        ("lose_every=0", "it takes a whole number, 1 or more"),
    ],
)
def test_a_mistake_is_told_with_its_remedy(flag: str, help: str) -> None:
    with pytest.raises(ConfigError) as problem:
        from_flags([flag])
    (found,) = problem.value.diagnostics
    assert help in str(found.help)
    assert str(found.span).count("--fault")


def test_a_close_code_that_no_endpoint_sends_is_refused() -> None:
    with pytest.raises(ConfigError) as problem:
        from_flags(["close_code=1005"])
    assert "1000 to 1014 without 1004 to 1006" in problem.value.diagnostics[0].message


def rows() -> list[str]:
    """The page's table of knobs, as it has to be."""
    made = []
    for name in Faults.model_fields:
        value: Any = alone(name)
        given = str(value).lower() if isinstance(value, bool) else value
        text = " ".join(description(Faults, name).split())
        made.append(f"| `{name}` | {given} | {text} |")
    return made


def test_the_page_explains_every_knob() -> None:
    section = PAGE.read_text().partition("\n## Try a bad day\n")[2].partition("\n## ")[0]
    shown = re.findall(r"^\| `\w+` \| [^|]+ \| .+ \|$", section, re.MULTILINE)
    assert shown == rows(), "\n" + "\n".join(rows())


def test_every_knob_has_a_test() -> None:
    tests = "".join(path.read_text() for path in sorted(HERE.glob("test_faults_*.py")))
    tests += Path(__file__).read_text().split("def test_the_audios_clock")[-1]
    assert [knob for knob in Faults.model_fields if not re.search(rf'\b{knob}"?[=:]', tests)] == []


@pytest.mark.parametrize("drift_ppm", [0, 200, -5000])
def test_the_audios_clock_is_fast_or_slow(drift_ppm: float) -> None:
    async def minute() -> float:
        faults = Faults(drift_ppm=drift_ppm)
        silence = np.zeros(960, np.int16)
        track = PacedTrack(lambda: silence, faults.drift_ppm or 0)
        await track.recv()
        start = asyncio.get_running_loop().time()
        for _ in range(3000):
            await track.recv()
        return asyncio.get_running_loop().time() - start

    assert run_virtual(minute()) == pytest.approx(60 / (1 + drift_ppm / 1e6), abs=1e-4)
