"""What `rtpipe` alone says, in which order its commands stand, and what a shell is given."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from helpers.command import environment
from peers.javascript import missing
from rtpipe.cli import cli
from rtpipe.cli.command_list import GROUPS, OTHERS, greeting, grouped


def test_alone_it_shows_three_things_to_try() -> None:
    ran = CliRunner().invoke(cli, [])
    assert ran.exit_code == 0
    assert [line.split("  ")[1] for line in ran.stdout.splitlines() if line.startswith("  ")] == [
        "rtpipe new kiosk desk",
        "rtpipe doctor",
        "rtpipe stages",
    ]
    assert max(map(len, ran.stdout.splitlines())) <= 80


def test_what_is_not_installed_is_not_proposed() -> None:
    said = greeting({"run", "stages", "events"})
    assert "new" not in said
    assert said.count("\n  rtpipe ") == 3


def test_commands_stand_by_what_somebody_wants_and_strangers_last() -> None:
    found = dict(
        grouped([("run", "r"), ("events", "e")], [("ps", "p"), ("zoo", "z"), ("events", "f")])
    )
    assert list(found) == ["Pipelines", "What there is", "What runs", OTHERS]
    assert found["What there is"] == [("events", "e")]
    assert found["What runs"] == [("ps", "p"), ("events", "f")]
    assert found[OTHERS] == [("zoo", "z")]


def test_every_command_of_ours_has_its_place() -> None:
    shown = CliRunner().invoke(cli, ["--help"]).stdout
    assert OTHERS not in shown
    assert all(f"{title}:" in shown for title in GROUPS)


@pytest.mark.slow
@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_shell_completes_after_reading_it(shell: str, tmp_path: Path) -> None:
    bin = tmp_path / "bin"
    bin.mkdir()
    (bin / "rtpipe").write_text(f'#!/bin/sh\nexec {sys.executable} -m rtpipe "$@"\n')
    (bin / "rtpipe").chmod(0o755)
    env = environment({"PATH": f"{bin}:/usr/bin:/bin"})
    given = subprocess.run(
        [bin / "rtpipe", "completion", shell], capture_output=True, text=True, env=env, check=True
    ).stdout
    assert "_RTPIPE_COMPLETE" in given
    if shutil.which(shell) is None:
        missing(f"no {shell}: apt-get install {shell}")
    (tmp_path / "given").write_text(given)
    scripts = {
        "bash": "source given; COMP_WORDS=(rtpipe val); COMP_CWORD=1; _rtpipe_completion rtpipe; "
        'echo "${COMPREPLY[@]}"',
        "zsh": "autoload -U compinit; compinit -u; source given; whence -w _rtpipe_completion; "
        "COMP_WORDS='rtpipe val' COMP_CWORD=1 _RTPIPE_COMPLETE=zsh_complete rtpipe",
        "fish": "source given; complete -C 'rtpipe val'",
    }
    ran = subprocess.run(
        [shell, "-c", scripts[shell]],
        cwd=tmp_path,
        env={**env, "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert "validate" in ran.stdout, ran.stderr
    assert shell != "zsh" or "_rtpipe_completion: function" in ran.stdout
