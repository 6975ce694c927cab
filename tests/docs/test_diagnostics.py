"""Every page about a code has an example, and the code is found in it."""

from __future__ import annotations

import re
import shlex
import subprocess
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from rtpipe.catalogue.explain import pages
from rtpipe.cli import cli

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("code", pages())
def test_the_example_of_a_code_has_it_and_no_other(
    code: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    # the plugins of an example are its own, but where they are what is looked at
    monkeypatch.setenv("RTPIPE_TRUST", "0" if code == "E404" else "1")
    page = pages()[code]
    for name, text in page.files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text, "utf-8")
    *before, command = page.command.strip().splitlines()
    for line in before:
        subprocess.run(["sh", "-c", line], check=True)
    program, *arguments = shlex.split(command)
    assert program == "rtpipe"
    ran = CliRunner().invoke(cli, arguments)
    found = re.findall(r"^(?:error|warning)\[(E\d{3})\]", ran.output, re.MULTILINE)
    # what this machine lacks depends on the machine; a hundred mistakes are mistakes, too
    beside = {"E602", "E019"} if code == "E024" else {"E602"}
    assert {code} == set(found) - (beside - {code}), ran.output
