"""doctor: a stranger's stage, in a plugin file, is examined and probed as what ships is."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from helpers.stranger import desk, run
from rtpipe import ExitCode


def test_the_doctor_uses_what_a_stranger_probes(tmp_path: Path) -> None:
    result = run("doctor", desk(tmp_path, "usb"))
    assert result.exit_code == ExitCode.UNAVAILABLE
    assert "desk.yaml lacks bulb (lamp)" in result.stderr
    told = result.stdout.splitlines()
    assert told[1:] == [
        "--  bulb (lamp): usb is dark",
        "      = help: plug it in",
        "--  udev: there is no udev",
        "      = help: install it",
    ]


def test_a_probe_that_fails_is_told_as_such(tmp_path: Path) -> None:
    result = run("doctor", desk(tmp_path, "broken"))
    assert result.exit_code == ExitCode.OK
    assert "??  lamp: the probe failed: RuntimeError: sparks (lamp.py:" in result.stdout
    assert "--  udev: there is no udev" in result.stdout


def test_the_doctor_refuses_a_file_that_is_wrong_as_validate_does(tmp_path: Path) -> None:
    assert run("doctor", desk(tmp_path, "COM1")).exit_code == ExitCode.CONFIGURATION


@pytest.mark.parametrize(
    ("fallback", "code"),
    [
        ("lamp: usb", ExitCode.UNAVAILABLE),
        ("blackhole: null", ExitCode.OK),
        ("lamp: broken", ExitCode.OK),
    ],
)
def test_the_doctor_probes_fallbacks_too(tmp_path: Path, fallback: str, code: ExitCode) -> None:
    path = desk(tmp_path, "lpt")
    path.write_text(path.read_text() + f"    fallback: {{{fallback}}}\n")
    result = run("doctor", path, "--json")
    checks = json.loads(result.stdout)["checks"]
    assert ("usb is dark" in [each["detail"] for each in checks]) == ("usb" in fallback)
    assert result.exit_code == code
    assert any(each["needed"] for each in checks) == (code != ExitCode.OK)
