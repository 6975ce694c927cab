"""What is meant by a value out of proportion: by the option's name, and only if it is taken."""

from __future__ import annotations

from typing import Annotated, Any

import pytest
from pydantic import Field

from rtpipe.language.proportions import in_another_unit

NUMBER = float
WHOLE = Annotated[int, Field(ge=8000, le=192_000)]


@pytest.mark.parametrize(
    ("name", "value", "wanted", "written"),
    [
        ("tail_ms", 0.4, NUMBER, "400"),
        ("tail_ms", 0.0125, NUMBER, "12.5"),
        ("tail_ms", 1, NUMBER, None),
        ("tail_ms", 0, NUMBER, None),
        ("tail_ms", -0.4, NUMBER, None),
        ("tail_ms", True, NUMBER, None),
        ("tail_ms", "0.4", NUMBER, None),
        ("tail_ms", 0.9, Annotated[float, Field(le=60)], None),
        ("ramp_ms", 0.5, NUMBER, None),
        ("ramp_ms", 0.02, NUMBER, "20"),
        ("sample_rate", 48, WHOLE, "48000"),
        ("sample_rate", 44, WHOLE, "44100"),
        ("sample_rate", 44.1, WHOLE, "44100"),
        ("sample_rate", 1, WHOLE, None),
        ("sample_rate", 8000, WHOLE, None),
        ("bitrate", 44, NUMBER, "44000"),
        ("frequency", 440, NUMBER, None),
        ("timeout_s", 5000, NUMBER, "5"),
        ("timeout_s", 3600, NUMBER, None),
        ("duration_s", 7200, NUMBER, None),
    ],
)
def test_what_is_meant(name: str, value: object, wanted: Any, written: str | None) -> None:
    help = in_another_unit(name, value, wanted)
    assert (None if help is None else help.text) == written
