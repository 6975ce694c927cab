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


def offers(wanted: list[str], line: str, cwd: Path, shell: str = "bash") -> bool:
    """Return whether just that is offered: at once, or at another Tab on a busy machine."""
    return any(completed(line, cwd, shell) == wanted for _ in range(20))


@pytest.mark.usefixtures("toner")
def test_names_stages_actions_and_arguments_are_offered(tmp_path: Path) -> None:
    assert offers(["plain,toner"], "rtpipe ctl ton", tmp_path)
    assert offers(["plain,toner"], "rtpipe events ton", tmp_path)
    stages = ["plain,tone", "plain,gain", "plain,blackhole"]
    assert offers(stages, "rtpipe tap toner ", tmp_path)
    actions = [f"plain,gain.{name}" for name in ("flush", "mute", "set", "unmute")]
    assert offers(actions, "rtpipe ctl toner gain.", tmp_path)
    assert offers(["plain,stop"], "rtpipe ctl toner s", tmp_path)
    assert offers(["plain,gain_db="], "rtpipe ctl toner gain.set ", tmp_path)
    assert completed("rtpipe ct", tmp_path) == ["plain,ctl"]
    assert completed("rtpipe events --js", tmp_path) == ["plain,--json"]


@pytest.mark.usefixtures("toner")
def test_zsh_and_fish_are_told_what_each_is(tmp_path: Path) -> None:
    line, about = "rtpipe ctl toner gain.s", "Change the gain (dB)."
    assert offers(["plain", "gain.set", about], line, tmp_path, "zsh")
    assert offers([f"plain,gain.set\t{about}"], line, tmp_path, "fish")


def test_where_nothing_runs_nothing_is_offered_and_nothing_said(tmp_path: Path) -> None:
    assert completed("rtpipe ctl gone ", tmp_path) == ["plain,link", "plain,stop"]
    assert completed("rtpipe tap gone ", tmp_path) == []
    assert "plain,gain.set" not in completed("rtpipe nonsense toner ", tmp_path)


def test_a_run_that_hangs_keeps_no_prompt(a_run: Running, tmp_path: Path) -> None:
    a_run.signal(signal.SIGSTOP)
    try:
        assert completed("rtpipe ctl short g", tmp_path) == []
        assert offers(["plain,short"], "rtpipe ctl sh", tmp_path)
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
