"""A name is a stage's own if its path can have made it, and else never."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from rtpipe_plugins.disk.output_path import dated
from rtpipe_plugins.disk.path_pattern import Companions, PathPattern, agree

RECORDER = Companions(counted=True, aside=True, sidecar=".events.jsonl", folder=".turns")


def made_by(template: str, name: str, companions: Companions | None = None) -> bool:
    """Return whether a path can have made another; both below /d."""
    pattern = PathPattern(Path("/d", template), companions)
    *folders, file = Path("/d", name).relative_to(pattern.root).parts
    if len(folders) != len(pattern.folders):
        return False
    matches = [pattern.folder(depth, each) for depth, each in enumerate(folders)]
    matches.append(pattern.file(file))
    found = [match for match in matches if match is not None]
    return len(found) == len(matches) and agree(found)


TEMPLATES = [
    "%Y%m%d-%H%M%S.mka",
    "%F/%H%M%S.wav",
    "%Y/%m/%d/call-%H-%M-%S.opus",
    "a.%Y%j.x",
    "%a %d %b %Y %I%p.flac",
    "%D %T.mka",
    "log.%Y%m%d",
    "%s.mka",
    "100%%-%y%m%d.mka",
    "%Y%m%d-%H%M%S-%f%z.mka",
    "%A %B %G-%V-%u.wav",
]


@pytest.mark.parametrize("template", TEMPLATES)
@given(
    at=st.datetimes(
        datetime(1970, 1, 2),  # noqa: DTZ001 - as hypothesis takes them
        datetime(2200, 1, 1),  # noqa: DTZ001
        timezones=st.just(UTC),
    )
)
@example(at=datetime(2028, 2, 29, tzinfo=UTC))
@example(at=datetime(2027, 12, 31, 23, 59, 59, tzinfo=UTC))
def test_what_a_path_makes_is_its_own(template: str, at: datetime) -> None:
    path = dated(Path(template), at)
    assert made_by(template, str(path))
    counted = path.with_name(f"{path.stem}-12{path.suffix}")
    assert made_by(template, str(counted), RECORDER)


@pytest.mark.parametrize(
    ("template", "name"),
    [
        ("%Y%m%d.wav", "20260231.wav"),  # no such day
        ("%Y%m%d.wav", "20261301.wav"),
        ("%Y%m%d.wav", "20260101.WAV"),
        ("%Y%m%d.wav", "20260101.wav.bak"),
        ("%Y%m%d.wav", "x20260101.wav"),
        ("%Y%m%d.wav", "20260101.wav\n"),
        ("%Y%m%d.wav", "20260101-2.wav"),  # it does not count
        ("%Y%m%d.wav", "\u0662\u0660\u0662\u06660101.wav"),  # digits, but no strftime's
        ("%Y/%Y%m%d.wav", "2025/20260101.wav"),  # two years
        ("%a %Y%m%d.wav", "Mon 20260101.wav"),  # it was a Thursday
        ("%Y%m%d.wav", "2026/20260101.wav"),
        ("%d.%m.wav", "30.02.wav"),
        ("call.wav", "call-2.wav"),
        ("a+b-%Y.wav", "aab-2026.wav"),
    ],
)
def test_what_a_path_cannot_make_is_not(template: str, name: str) -> None:
    assert not made_by(template, name)


@pytest.mark.parametrize(
    ("name", "own"),
    [
        ("2026.mka", True),
        ("2026-2.mka", True),
        ("2026.part.mka", True),
        ("2026-3.part-2.mka", True),
        ("2026.events.jsonl", True),
        ("2026-2.part.events.jsonl", True),
        ("2026-1.mka", False),  # it begins at 2
        ("2026-02.mka", False),
        ("2026.part-1.mka", False),
        ("2026.jsonl", False),
        ("2026.mka.part", False),
        ("2026.events-2.jsonl", False),
    ],
)
def test_what_lies_beside_a_recording_is_its_own(name: str, *, own: bool) -> None:
    assert made_by("%Y.mka", name, RECORDER) is own


def test_a_field_that_cannot_be_read_back_is_named() -> None:
    pattern = PathPattern(Path("/d/%c.wav"))
    assert pattern.unreadable == "%c"
