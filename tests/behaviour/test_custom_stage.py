"""A stage of the user's own, as a file beside the YAML and as an installed package."""

from __future__ import annotations

import subprocess
import sys
import venv
from pathlib import Path

import numpy as np
import pytest

from helpers.command import ROOT, environment, rtpipe
from helpers.listening import tracks

TREMOLO = (ROOT / "README.md").read_text().split("```python\n")[1].split("```")[0]
PIPELINE = """
version: 1
name: wobble
stages:
  - tone: {duration_s: 2}
  - tremolo: {hz: 5}
  - file_sink: out/wobble.wav
"""


def wobble_hz(path: Path) -> float:
    """Return how often a second the level of a file rises and falls."""
    [sound] = tracks(path)
    blocks = np.abs(sound[: len(sound) // 160 * 160].reshape(-1, 160).astype(float)).mean(axis=1)
    spectrum = np.abs(np.fft.rfft(blocks - blocks.mean()))
    return float(np.argmax(spectrum)) * 100 / len(blocks)


@pytest.mark.slow
def test_the_stage_of_the_readme_is_listed_validated_and_heard(tmp_path: Path) -> None:
    (tmp_path / "plugins").mkdir()
    (tmp_path / "plugins" / "tremolo.py").write_text(TREMOLO)
    (tmp_path / "wobble.yaml").write_text(PIPELINE)
    code = [line for line in TREMOLO.splitlines() if line.strip() and not line.startswith("import")]
    assert len(code) <= 15

    assert "tremolo" in rtpipe("stages", cwd=tmp_path).out
    assert "How often a second." in rtpipe("stages", "tremolo", cwd=tmp_path).out
    assert rtpipe("validate", "wobble.yaml", cwd=tmp_path).code == 0
    wrong = rtpipe("validate", "wobble.yaml", "--set", "tremolo.hertz=2", cwd=tmp_path)
    assert wrong.code == 78

    ended = rtpipe("run", "wobble.yaml", cwd=tmp_path)
    assert ended.code == 0, ended.err
    assert wobble_hz(tmp_path / "out" / "wobble.wav") == pytest.approx(5, abs=0.5)


@pytest.mark.slow
def test_the_same_stage_as_a_package_with_an_entry_point(tmp_path: Path) -> None:
    """A fresh virtual environment, in which rtpipe and the package are installed from source."""
    package = tmp_path / "package"
    package.mkdir()
    (package / "rtpipe_tremolo.py").write_text(TREMOLO)
    (package / "pyproject.toml").write_text("""
[project]
name = "rtpipe-tremolo"
version = "1"
[project.entry-points.rtpipe]
tremolo = "rtpipe_tremolo"
[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"
[tool.hatch.build.targets.wheel]
include = ["rtpipe_tremolo.py"]
""")
    venv.create(tmp_path / "fresh", with_pip=True)
    python = tmp_path / "fresh" / "bin" / "python"
    pip = [python, "-m", "pip", "install", "-q", "--disable-pip-version-check"]
    subprocess.run([*pip, str(ROOT), str(package)], check=True)
    (tmp_path / "wobble.yaml").write_text(PIPELINE)

    def fresh(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [python, "-m", "rtpipe", *arguments]
        return subprocess.run(
            command, cwd=tmp_path, env=environment(), capture_output=True, text=True, check=False
        )

    assert sys.prefix not in fresh("plugins", "--json").stdout
    listed = fresh("plugins").stdout
    assert "tremolo" in listed
    assert "rtpipe-tremolo 1" in listed
    ended = fresh("run", "wobble.yaml")
    assert ended.returncode == 0, ended.stderr
    assert wobble_hz(tmp_path / "out" / "wobble.wav") == pytest.approx(5, abs=0.5)
