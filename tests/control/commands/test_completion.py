"""Completion, by click's own way: a process with `_RTPIPE_COMPLETE`, as each Tab starts one."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from helpers.command import ROOT, Running, environment

pytestmark = pytest.mark.slow


def completed(line: str, cwd: Path, shell: str = "bash") -> list[str]:
    """Return what is offered for the last word of `line`; nothing may be said beside it."""
    words = line.split(" ")
    done = subprocess.run(
        [Path(sys.executable).with_name("rtpipe")],
        cwd=cwd,
        env=environment(
            {
                "_RTPIPE_COMPLETE": f"{shell}_complete",
                "COMP_WORDS": line,
                "COMP_CWORD": words[-1] if shell == "fish" else f"{len(words) - 1}",
            }
        ),
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert done.stderr == ""
    return [line for line in done.stdout.splitlines() if line]


@pytest.mark.usefixtures("toner")
def test_names_stages_actions_and_arguments_are_offered(tmp_path: Path) -> None:
    assert "plain,toner" in completed("rtpipe ctl t", tmp_path)
    assert "plain,toner" in completed("rtpipe events t", tmp_path)
    assert completed("rtpipe tap toner ", tmp_path) == [
        "plain,tone",
        "plain,gain",
        "plain,blackhole",
    ]
    assert completed("rtpipe ctl toner gain.", tmp_path) == [
        f"plain,gain.{name}" for name in ("flush", "mute", "set", "unmute")
    ]
    assert completed("rtpipe ctl toner s", tmp_path) == ["plain,stop"]
    assert completed("rtpipe ctl toner gain.set ", tmp_path) == ["plain,gain_db="]
    assert completed("rtpipe ct", tmp_path) == ["plain,ctl"]
    assert completed("rtpipe events --js", tmp_path) == ["plain,--json"]


@pytest.mark.usefixtures("toner")
def test_zsh_and_fish_are_told_what_each_is(tmp_path: Path) -> None:
    assert completed("rtpipe ctl toner gain.s", tmp_path, "zsh") == [
        "plain", "gain.set", "Change the gain (dB)."
    ]  # fmt: skip
    assert completed("rtpipe ctl toner gain.s", tmp_path, "fish") == [
        "plain,gain.set\tChange the gain (dB)."
    ]


@pytest.mark.usefixtures("moody")
def test_what_a_stage_says_of_itself_is_printable(tmp_path: Path) -> None:
    assert "plain,moody.never" in completed("rtpipe ctl moody moody.", tmp_path)


def test_where_nothing_runs_nothing_is_offered_and_nothing_said(tmp_path: Path) -> None:
    assert completed("rtpipe ctl gone ", tmp_path) == ["plain,link", "plain,stop"]
    assert completed("rtpipe tap gone ", tmp_path) == []
    assert "plain,gain.set" not in completed("rtpipe nonsense toner ", tmp_path)


def test_a_run_that_hangs_keeps_no_prompt(a_run: Running, tmp_path: Path) -> None:
    a_run.signal(signal.SIGSTOP)
    try:
        assert completed("rtpipe ctl short g", tmp_path) == []
        assert "plain,short" in completed("rtpipe ctl s", tmp_path)
    finally:
        a_run.signal(signal.SIGCONT)


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_there_is_a_script_for_each_shell(shell: str) -> None:
    done = subprocess.run(
        [Path(sys.executable).with_name("rtpipe")],
        cwd=ROOT,
        env=environment({"_RTPIPE_COMPLETE": f"{shell}_source"}),
        capture_output=True,
        text=True,
        check=True,
    )
    assert f"_RTPIPE_COMPLETE={shell}_complete" in done.stdout
