"""The unit: systemd takes it, and reads its words as they were meant."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.command import ROOT
from rtpipe import ExitCode, StageError
from rtpipe_service import restarts
from rtpipe_service.escaping import argument, program, rest_of_line, word
from rtpipe_service.unit import Service


def analyze() -> str:
    found = shutil.which("systemd-analyze")
    assert found, "systemd-analyze is missing: apt-get install systemd"
    return found


def verified(*units: Path) -> str:
    """What `systemd-analyze verify` says of units; of a good one nothing."""
    ran = subprocess.run(
        [analyze(), "verify", "--man=no", *map(str, units)],
        capture_output=True,
        text=True,
        check=False,
    )
    ours = [line for line in ran.stderr.splitlines() if any(unit.name in line for unit in units)]
    return "\n".join(ours) if ran.returncode or ours else ""


def executable(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("#!/bin/sh\n")
    path.chmod(0o755)
    return path


def service(folder: Path, **changes: object) -> Service:
    path = executable(folder / "a 100%h venv" / "rtpipe")
    file = folder / 'the "desk" at 50 %' / "kiosk $HOME.yaml"
    file.parent.mkdir(exist_ok=True)
    file.write_text("version: 1\n")
    given = {
        "name": "kiosk",
        "files": (file, folder / "site.yaml"),
        "command": (f"{path}", "service", "run"),
        "user": "root",
        "groups": ("audio",),
        "credentials": {"openai": folder / "a key 5%"},
        "environment": {"KIOSK_MIC": 'USB "the 2nd" 100%\\'},
        "environment_file": folder / "an env file",
        "has_sound": True,
        "description": "50 % of the desk",
    }
    return Service(**{**given, **changes})


@pytest.mark.parametrize("user", ["root", ""])
def test_systemd_takes_the_unit(tmp_path: Path, user: str) -> None:
    unit = tmp_path / "kiosk.service"
    unit.write_text(service(tmp_path, user=user).unit())
    assert verified(unit) == ""
    broken = tmp_path / "broken.service"
    broken.write_text(unit.read_text().replace("Type=notify", "Type=noisy"))
    assert "noisy" in verified(broken)


TEXT = st.text(
    st.characters(blacklist_categories=("Cs",), blacklist_characters="\0"), min_size=1, max_size=20
)
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "\\": "\\", '"': '"'}


def read_words(line: str, environment: dict[str, str] | None = None) -> list[str]:
    """The words of a line by systemd.syntax(7): quotes, C escapes, then `%%`; then, of a command's
    arguments, `$$` and variables. It refuses a bare `%`, as systemd does."""
    words = re.findall(r'"((?:\\.|[^"\\])*)"', line, re.DOTALL)
    assert " ".join(f'"{each}"' for each in words) == line  # nothing stands between
    read = []
    for each in words:
        plain = re.sub(
            r"\\(x[0-9a-f]{2}|.)",
            lambda found: _ESCAPES.get(found[1]) or chr(int(found[1][1:], 16)),
            each,
        )
        assert "%" not in plain.replace("%%", "")
        plain = plain.replace("%%", "%")
        if environment is not None:
            assert "$" not in plain.replace("$$", "")
            plain = plain.replace("$$", "$")
        read.append(plain)
    return read


@given(st.lists(TEXT, min_size=1, max_size=4))
def test_words_are_read_as_they_were_meant(texts: list[str]) -> None:
    assert read_words(" ".join(map(word, texts))) == texts
    assert read_words(" ".join(map(argument, texts)), {}) == texts
    assert all("\n" not in word(text) for text in texts)


NAMES = st.text(
    st.characters(blacklist_categories=("Cs", "Cc"), blacklist_characters="/\0"),
    min_size=1,
    max_size=12,
).filter(lambda name: name not in {".", ".."} and len(name.encode()) < 200)


@pytest.mark.slow
@settings(max_examples=3, deadline=None)
@given(st.lists(NAMES, min_size=10, max_size=20, unique=True))
def test_systemd_finds_programs_and_folders_of_any_name(
    tmp_path_factory: pytest.TempPathFactory, names: list[str]
) -> None:
    """It says where a program is not there: so it read the name of each that it finds."""
    folder = tmp_path_factory.mktemp("named")
    units, missing, refused = [], [], []
    for number, name in enumerate(names):
        path = executable(folder / f"{number}" / name)
        try:
            text = f"[Service]\nExecStart={program(f'{path}')}\n"
        except StageError:
            refused.append(folder / f"refused-{number}.service")
            refused[-1].write_text(f"[Service]\nExecStart={word(f'{path}')}\n")
            continue
        try:
            text += f"WorkingDirectory={rest_of_line(f'{path.parent}/{name}')}\n"
        except StageError:
            assert name != name.strip() or name.endswith("\\")
        units.append(folder / f"there-{number}.service")
        units[-1].write_text(text)
        missing.append(folder / f"missing-{number}.service")
        missing[-1].write_text(f"[Service]\nExecStart={program(f'{path}x')}\n")
    assert not units or verified(*units) == ""
    for wrong in (missing, refused):  # by systemd, too
        said = verified(*wrong) if wrong else ""
        assert all(unit.name in said for unit in wrong)


@pytest.mark.parametrize("path", ["/a/ends with a space ", "/a/line\nfeed", "/a/back\\"])
def test_what_cannot_be_written_is_refused(path: str) -> None:
    with pytest.raises(StageError, match="systemd has no way to write"):
        rest_of_line(path)


def test_restarts_go_by_the_table_of_exit_codes(tmp_path: Path) -> None:
    table = (ROOT / "docs/reference/exit-codes.md").read_text("utf-8")
    rows = re.findall(r"^\| (\d+) \| `(\w+)` \|.*\| ([^|]*)\|$", table, re.MULTILINE)
    assert {name: int(code) for code, name, _ in rows} == {c.name: int(c) for c in ExitCode}
    final = {int(code) for code, _, again in rows if again.strip() == "no"}
    assert {int(code) for code in restarts.FINAL} == final == {2, 77, 78}
    text = service(tmp_path).unit()
    (prevented,) = re.findall(r"^RestartPreventExitStatus=(.*)$", text, re.MULTILINE)
    assert set(map(int, prevented.split())) == final
    assert "Restart=on-failure\n" in text  # so 1, 69 and 75 are, and 0 is not


def test_the_sound_card_is_not_hidden(tmp_path: Path) -> None:
    text = service(tmp_path).unit()
    assert not re.search(
        r"^(PrivateDevices|ProtectClock|DeviceAllow|DevicePolicy)=", text, re.MULTILINE
    )
