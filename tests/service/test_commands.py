"""`rtpipe service`, as it is typed."""

from __future__ import annotations

import getpass
import tempfile
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from rtpipe.cli.root import cli
from rtpipe_service import checks, making, systemd

KIOSK = """
version: 1
name: the desk
stages:
  - mic
  - realtime: {api_key: "${cred:openai}"}
  - speaker
"""


@pytest.fixture
def kiosk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", f"{tmp_path}")
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    monkeypatch.setattr(systemd, "_RUNS", tmp_path / "no systemd")
    (tmp_path / "kiosk.yaml").write_text(KIOSK)
    return tmp_path / "kiosk.yaml"


def service(*arguments: object) -> Result:
    return CliRunner().invoke(cli, ["service", *map(str, arguments)])


def test_installed_looked_at_renewed_and_removed(kiosk: Path) -> None:
    me = getpass.getuser()
    made = service("install", kiosk, "--user", "--env", "KIOSK_MIC=USB 100%")
    assert made.exit_code == 0, made.output
    unit = kiosk.parent / ".config/systemd/user/the-desk.service"
    text = unit.read_text()
    assert 'Environment="KIOSK_MIC=USB 100%%"' in text
    assert f"LoadCredential=openai:{kiosk.parent}/.config/rtpipe/openai.key" in text
    assert "User=" not in text
    assert f"wrote {unit}" in made.output
    for next in (
        "install -D -m 600",
        "enable-linger",
        "service check --user the-desk",
        "enable --now",
    ):
        assert next in made.output

    looked = service("check", "the-desk", "--user")
    assert looked.exit_code == 69
    assert f"ok  file: {me} may read {kiosk}" in looked.output
    assert "--  credential openai: " in looked.output
    key = kiosk.parent / ".config/rtpipe/openai.key"
    key.parent.mkdir()
    key.write_text("sk-secret")
    assert "is open to others" in service("check", "the-desk", "--user").output
    key.chmod(0o600)
    looked = service("check", "the-desk", "--user")
    assert f"ok  credential openai: {key}" in looked.output
    assert "sk-secret" not in looked.output

    again = service("install", kiosk, "--user")
    assert f"kept the unit before it as {unit}.old" in again.output
    assert "KIOSK_MIC" in Path(f"{unit}.old").read_text()

    new = kiosk.with_name("new.yaml")
    new.write_text(KIOSK.replace("mic", "tone"))
    renewed = service("update", "the-desk", new, "--user")
    assert renewed.exit_code == 0, renewed.output
    assert kiosk.read_text() == new.read_text()
    assert kiosk.with_name("kiosk.yaml.good").read_text() == KIOSK

    removed = service("uninstall", "the-desk", "--user")
    assert removed.exit_code == 0, removed.output
    assert not unit.exists()
    assert kiosk.is_file()
    assert key.is_file()


def test_a_dry_run_writes_nothing(kiosk: Path) -> None:
    before = set(kiosk.parent.rglob("*"))
    shown = service("install", kiosk, "--as", getpass.getuser(), "--dry-run")
    assert shown.exit_code == 0, shown.output
    assert "Type=notify" in shown.output
    assert f"User={getpass.getuser()}" in shown.output
    assert set(kiosk.parent.rglob("*")) == before


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["--env", "OPENAI_API_KEY=sk"], 2, "everybody may read"),
        (["--env", "nothing"], 2, "takes NAME="),
        (["--name", "a/b"], 2, "no name for a unit"),
        (["--as", "nobody-of-this-name"], 69, "there is no user"),
    ],
)
def test_what_is_refused(kiosk: Path, arguments: list[str], code: int, said: str) -> None:
    refused = service("install", kiosk, *arguments, "--to", kiosk.parent / "units")
    assert refused.exit_code == code, refused.output
    assert said in refused.output
    assert not (kiosk.parent / "units").exists()


def test_a_file_that_is_wrong_is_not_installed(kiosk: Path) -> None:
    kiosk.write_text(KIOSK.replace("speaker", "squeaker"))
    refused = service("install", kiosk, "--user")
    assert refused.exit_code == 78
    assert not (kiosk.parent / ".config").exists()


def test_who_may_not_read_a_file_is_told() -> None:
    who = checks.Who("kiosk", 54_321, frozenset())
    with tempfile.TemporaryDirectory(dir="/var/tmp") as folder:  # pytest's are closed to others
        closed = Path(folder)
        file = closed / "kiosk.yaml"
        file.write_text(KIOSK)
        assert who.reading(file, "file").help == f"sudo chmod a+x {closed}"
        closed.chmod(0o755)
        file.chmod(0o640)
        assert who.reading(file, "file").help == f"sudo chmod a+r {file}"
        file.chmod(0o644)
        assert who.reading(file, "file").status == "ok"


def test_the_note_of_a_unit_says_what_it_was_made_of(kiosk: Path) -> None:
    made = making.service_of([kiosk], making.Asked(owner=getpass.getuser()))
    unit = kiosk.with_name("x.service")
    unit.write_text(making.noted(made, made.unit()))
    read = making.installed(unit)
    for name in ("name", "files", "user", "uid", "credentials", "has_sound"):
        assert getattr(read, name) == getattr(made, name)
