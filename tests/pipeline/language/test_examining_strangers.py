"""A stranger's stage, in a plugin file, examines itself: what the commands make of it."""

from __future__ import annotations

import json
from pathlib import Path

from helpers.stranger import desk, run
from rtpipe import ExitCode


def test_validate_uses_what_a_stranger_examines(tmp_path: Path) -> None:
    result = run("validate", desk(tmp_path, "COM1"))
    assert result.exit_code == ExitCode.CONFIGURATION
    assert "error[E601]: COM1 is of another world" in result.stderr
    assert "desk.yaml:4:11" in result.stderr
    assert result.stderr.endswith("1 error (looked at the file, the graph and the environment)\n")


def test_strict_takes_a_warning_for_an_error_and_the_environment_may_be_left_out(
    tmp_path: Path,
) -> None:
    path = desk(tmp_path, "usb")
    lenient = run("validate", path)
    assert lenient.exit_code == ExitCode.OK
    assert "2 stages, 0 routes, 1 warning (" in lenient.stdout
    assert "warning[E602]: there is no udev" in lenient.stderr
    strict = run("validate", "--strict", path)
    assert strict.exit_code == ExitCode.CONFIGURATION
    assert (strict.stdout, strict.stderr) == (lenient.stdout, lenient.stderr)
    elsewhere = run("validate", "--strict", "--no-environment", path)
    assert elsewhere.exit_code == ExitCode.OK
    assert "no problems" in elsewhere.stdout
    as_json = run("validate", "--strict", "--format", "json", path)
    assert as_json.exit_code == ExitCode.CONFIGURATION
    report = json.loads(as_json.stdout)
    assert report["ok"] is False
    assert [each["severity"] for each in report["diagnostics"]] == ["warning"]
    assert run("validate", "--strict", "--format", "github", path).stdout.startswith("::warning")


def test_a_run_is_refused_what_is_wrong_and_not_told_what_is_missing(tmp_path: Path) -> None:
    assert run("run", "--dry-run", desk(tmp_path, "COM1")).exit_code == ExitCode.CONFIGURATION
    dry = run("run", "--dry-run", desk(tmp_path, "usb"))
    assert dry.exit_code == ExitCode.OK
    assert "udev" not in dry.output
