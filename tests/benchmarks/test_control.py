"""A crowd that looks at a running pipeline costs it no frame: the benchmark, for some seconds."""

from __future__ import annotations

import subprocess
import sys

import pytest

from helpers.documentation import ROOT


@pytest.mark.slow
def test_a_crowd_costs_no_frame() -> None:
    command = [sys.executable, "-m", "benchmarks.control", "--minutes", "0.15"]
    ran = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=120
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert " samples that both have are the same" in ran.stdout
    assert ran.stdout.count(", lost 0 ") == 4
