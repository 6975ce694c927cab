"""chime: a file is heard when something happens, once, whole, over what passes."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from helpers.media_files import write_wav
from rtpipe import Event, ExitCode, StageError
from rtpipe.testing import check_stage, cut, joined, run_stage, run_virtual
from rtpipe_plugins.transforms.chime import Chime

RUNG = Event(type="door.rung", source="test")
STREAM = np.full(4800, 100, np.int16)
SOUND = np.arange(1, 2001, dtype=np.int16)


@pytest.fixture
def ding(tmp_path: Path) -> Path:
    return write_wav(tmp_path / "ding.wav", SOUND)


def heard(options: dict[str, Any], steps: list[Any]) -> np.ndarray[Any, Any]:
    return joined(run_virtual(run_stage(Chime, options, steps)).frames)[:, 0].astype(int)


def test_it_keeps_the_contract_to_the_last_bit(ding: Path) -> None:
    check_stage(Chime, {"path": ding, "on": "*"}, tolerance=0)


def test_it_begins_with_the_frame_after_the_event_and_is_added(ding: Path) -> None:
    first, *rest = cut(STREAM)
    out = heard({"path": ding, "on": ["door.*", "x"]}, [first, RUNG, *rest])
    assert np.all(out[:960] == 100)
    assert np.array_equal(out[960:2960], 100 + SOUND)
    assert np.all(out[2960:] == 100)


def test_other_events_leave_it_silent(ding: Path) -> None:
    out = heard({"path": ding, "on": "door.rung"}, [Event(type="door.shut"), *cut(STREAM)])
    assert np.all(out == 100)


def test_an_event_while_it_is_heard_does_not_begin_it_again_and_one_after_it_does(
    ding: Path,
) -> None:
    a, b, c, d, e = cut(STREAM)
    out = heard({"path": ding, "on": "door.rung"}, [RUNG, a, RUNG, b, c, RUNG, d, e])
    assert np.array_equal(out[:2000], 100 + SOUND)
    assert np.all(out[2000:2880] == 100)
    assert np.array_equal(out[2880:4800], 100 + SOUND[:1920])
    assert np.array_equal(out[4800:], SOUND[1920:])  # to its own end


def test_a_route_may_play_it_and_a_flush_breaks_it_off(ding: Path) -> None:
    a, b, *rest = cut(STREAM)
    steps = [lambda chime: chime.play(), a, lambda chime: chime.reset(), b, *rest]
    out = heard({"path": ding, "gain_db": 20 * np.log10(2)}, steps)
    assert np.array_equal(out[:960], 100 + 2 * SOUND[:960])
    assert np.all(out[960:] == 100)


def test_it_clips_rather_than_wraps(tmp_path: Path) -> None:
    loud = write_wav(tmp_path / "loud.wav", np.full(960, 30_000, np.int16))
    out = heard({"path": loud, "on": "*"}, [RUNG, *cut(np.full(960, 30_000, np.int16))])
    assert np.all(out == 32767)


def test_a_file_that_cannot_be_a_chime_is_refused(tmp_path: Path) -> None:
    (tmp_path / "text.wav").write_text("no audio")
    write_wav(tmp_path / "empty.wav", np.zeros(0, np.int16))
    write_wav(tmp_path / "long.wav", np.zeros(8000 * 62, np.int16), 8000)
    for name, message in (
        ("nothing.wav", "No such file"),
        ("text.wav", "Invalid data"),
        ("empty.wav", "empty"),
        ("long.wav", "longer than 60 s"),
    ):
        with pytest.raises(StageError, match=message) as refusal:
            heard({"path": tmp_path / name}, [])
        assert refusal.value.exit_code == ExitCode.CONFIGURATION


def test_it_says_when_it_was_heard_to_its_end(ding: Path) -> None:
    run = run_virtual(run_stage(Chime, {"path": ding, "on": "door.rung"}, [RUNG, *cut(STREAM)]))
    assert [event.type for event in run.events] == ["chime.played"]
