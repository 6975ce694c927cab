"""`rtpipe new`: what is asked, what is written, and that it is right, and runs, at once."""

from __future__ import annotations

import json
import os
import pty
import re
import stat
import subprocess
import sys
import venv
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from helpers.command import environment, rtpipe
from helpers.listening import require_speech
from rtpipe.catalogue.trust import Trust
from rtpipe.cli import cli

KINDS = ("kiosk", "recorder", "monitor", "transcribe")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / ".state"))
    monkeypatch.delenv("RTPIPE_TRUST", raising=False)
    return tmp_path


def new(*arguments: str, code: int = 0) -> Result:
    ran = CliRunner().invoke(cli, ["new", *arguments])
    assert ran.exit_code == code, ran.output
    return ran


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_what_is_written_is_right_tested_and_trusted(kind: str, folder: Path) -> None:
    assert f"  rtpipe run {kind}.yaml\n  rtpipe test\n" in new(kind, "made", "--yes").stdout
    made = folder / "made"
    assert [path.name for path in made.glob("*.y*ml")] == [f"{kind}.yaml"]
    first, *_ = (made / f"{kind}.yaml").read_text("utf-8").splitlines()
    assert (made / first.rpartition("=")[2]).is_file(), "what the modeline names is there"
    assert (made / ".vscode" / "settings.json").is_file()
    assert not re.search(r"@\w+@", (made / "README.md").read_text("utf-8"))
    for command in (["validate", f"made/{kind}.yaml"], ["test", "made", "-j", "1"]):
        ran = CliRunner().invoke(cli, command)
        assert ran.exit_code == 0, ran.output
        assert not ran.stderr
    assert Trust().allows(made, [], [])


def test_answers_stand_where_they_belong(folder: Path) -> None:
    persona = 'the "Museum" of ${x}: Brötchen & more'
    new("kiosk", "desk", "--persona", persona, "--device", "USB: #2")
    ran = CliRunner().invoke(cli, ["print", "--json", "desk/kiosk.yaml"])
    assert ran.exit_code == 0, ran.output
    told = json.loads(ran.stdout)
    assert told["description"] == f"A visitor talks to {persona}."
    assert told["stages"][0]["mic"]["device"] == "USB: #2"
    assert persona in (folder / "desk" / "prompts" / "persona.md").read_text("utf-8")
    ran = CliRunner().invoke(cli, ["validate", "desk/kiosk.yaml"])
    assert ran.exit_code == 0, ran.output


@pytest.mark.parametrize("answer", ["", " ", "two\nlines", "x" * 201, "bell\a"])
def test_an_answer_is_one_line(answer: str, folder: Path) -> None:
    new("kiosk", "desk", "--persona", answer, code=2)
    assert not list(folder.glob("*desk*"))


def test_nothing_of_anybodys_is_overwritten(folder: Path) -> None:
    (folder / "full").mkdir()
    (folder / "full" / "mine.txt").touch()
    (folder / "file").touch()
    for place in ("full", "file"):
        ran = new("kiosk", place, "--yes", code=2)
        assert "is there already, and not empty" in ran.stderr
    (folder / "empty").mkdir()
    new("recorder", "empty", "--yes")
    assert (folder / "empty" / "recorder.yaml").is_file()
    assert sorted(path.name for path in (folder / "full").iterdir()) == ["mine.txt"]
    assert not list(folder.glob(".[a-z]*.*")), "nothing half written is left"


def test_it_asks_at_a_terminal_and_the_key_is_seen_by_nobody(folder: Path) -> None:
    ours, its = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-m", "rtpipe", "new", "kiosk", "desk"],
        stdin=its,
        stdout=its,
        stderr=its,
        cwd=folder,
        env=environment({"TERM": "xterm", "XDG_STATE_HOME": f"{folder}/.state"}),
        start_new_session=True,
    ) as process:
        os.close(its)
        shown = b""
        for question, answer in (
            (b"Whose voice is it?", b"the Museum of Bread\n"),
            (b"Which microphone", b"\n"),
            (b"A key of OpenAI?", b"sk-secret-0123456789\n"),
        ):
            while question not in shown:
                shown += os.read(ours, 4096)
            os.write(ours, answer)
        while b"rtpipe test" not in shown:
            shown += os.read(ours, 4096)
    assert process.returncode == 0
    assert b"secret" not in shown
    key = folder / "desk" / ".env"
    assert key.read_text() == "OPENAI_API_KEY=sk-secret-0123456789\n"
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert ".env" in (folder / "desk" / ".gitignore").read_text().split()
    others = [path for path in (folder / "desk").rglob("*") if path.is_file() and path != key]
    assert not [path for path in others if b"secret" in path.read_bytes()]


@pytest.mark.slow
def test_the_kiosk_talks_offline_at_once(folder: Path) -> None:
    require_speech()
    new("kiosk", "desk", "--yes", "--persona", "the Museum of Bread")
    ended = rtpipe("run", "kiosk.yaml", cwd=folder / "desk")
    assert ended.code == 0, ended.err
    said = ended.out.lower()
    assert "opening hours" in said
    assert "from ten in the morning" in said
    assert "café is on the ground floor" in said


# -- stages ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("gain", "there is a kind `gain` already"),
        ("from", "means something else already"),
        ("class", "means something else already"),
        ("Tremolo", "cannot be a kind"),
        ("../up", "cannot be a kind"),
        ("9lives", "cannot be a kind"),
        ("größe", "cannot be a kind"),
        ("a" * 41, "cannot be a kind"),
        ("rtpipe-", "cannot be a kind"),
    ],
)
def test_a_name_that_cannot_be_a_kind(name: str, why: str, folder: Path) -> None:
    assert why in new("stage", name, code=2).stderr
    assert not [path for path in folder.iterdir() if path.name != ".state"]


def test_a_file_beside_a_pipeline_is_known_at_once(folder: Path) -> None:
    new("stage", "tremolo", "--file")
    stages = "[tone: {duration_s: 1}, tremolo, blackhole]"
    (folder / "p.yaml").write_text(f"version: 1\nstages: {stages}")
    ran = CliRunner().invoke(cli, ["validate", "p.yaml"])
    assert (ran.exit_code, ran.stderr) == (0, ""), ran.output
    assert "is there already" in new("stage", "tremolo", "--file", code=2).stderr


@pytest.mark.slow
@pytest.mark.parametrize("family", ["source", "transform", "peer", "sink", "subscriber"])
def test_a_package_is_green_with_pytest_alone_and_runs(family: str, folder: Path) -> None:
    new("stage", "my-thing", "--kind", family)
    made = folder / "rtpipe-my-thing"
    ran = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist"],
        cwd=made,
        env=environment({"PYTHONWARNINGS": ""}),
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "2 passed" in ran.stdout
    for tool in (["check", "--no-cache"], ["format", "--no-cache", "--check"]):
        linted = subprocess.run(
            [sys.executable, "-m", "ruff", *tool, "."],
            cwd=made,
            capture_output=True,
            text=True,
            check=False,
        )
        assert linted.returncode == 0, linted.stdout


@pytest.mark.slow
def test_a_package_is_built_installed_elsewhere_and_found_there(folder: Path) -> None:
    new("stage", "my-thing")
    (folder / "elsewhere").mkdir()
    venv.create(folder / "venv", with_pip=True)
    python = folder / "venv" / "bin" / "python"
    installed = subprocess.run(
        [python, "-m", "pip", "install", "-q", "--no-deps", folder / "rtpipe-my-thing"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert installed.returncode == 0, f"pip needs its index for hatchling: {installed.stderr}"
    [site] = (folder / "venv" / "lib").glob("python*/site-packages")
    ours = [path for path in sys.path if path.endswith(("site-packages", "pipeline", "plugins"))]
    (site / "ours.pth").write_text("\n".join(ours), "utf-8")  # what rtpipe itself needs
    expression = "tone duration_s=1 ! my_thing 0.5 ! file_sink a.wav"
    for command, said in (
        (["stages", "my_thing"], "Makes the sound softer."),
        (["plugins"], "rtpipe-my-thing 0.1.0"),
        (["run", "-x", expression], "wrote a.wav"),
    ):
        ran = subprocess.run(
            [python, "-m", "rtpipe", *command],
            cwd=folder / "elsewhere",
            env=environment(),
            capture_output=True,
            text=True,
            check=False,
        )
        assert ran.returncode == 0, ran.stderr
        assert said in ran.stdout + ran.stderr
