"""Looking at a stranger's folder runs none of its code: `rtpipe` as a process, with a plugin that
tells when it was run.
"""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path

import pytest

from helpers.command import Ended, rtpipe
from helpers.stranger import run
from rtpipe.catalogue.explain import pages

SPY = """
from pathlib import Path

Path(__file__).with_name("RAN").touch()

import click

from rtpipe import Event, Options, Transform, hookimpl


class Wobbled(Event):
    type = "tremolo.wobbled"


class Tremolo(Transform[Options]):
    \"\"\"Wobbles.\"\"\"

    kind = "tremolo"
    publishes = (Wobbled,)

    def process(self, frame):
        return frame


class Lamps(Options):
    port: str = "COM1"


@hookimpl
def rtpipe_stages():
    return [Tremolo]


@hookimpl
def rtpipe_sections():
    return {"lamps": Lamps}


@hookimpl
def rtpipe_run_options():
    return [click.Option(["--lamp"])]
"""
PIPELINE = """version: 1
lamps: {port: COM2}
stages: [tone: {duration_s: 0.1}, tremolo, blackhole]
events:
  - match: tremolo.wobbled
    log: info
"""
PLAIN = "version: 1\nstages: [tone: {duration_s: 0.1}, blackhole]\n"
LOOKING = [
    ("validate", "p.yaml"),
    ("print", "p.yaml"),
    ("graph", "p.yaml"),
    ("stages",),
    ("events",),
    ("schema",),
    ("plugins",),
]
SILENT = [
    ("--help",),
    ("explain", "E102"),
    ("run", "p.yaml", "--help"),
    ("run", "p.yaml", "-h"),
    ("validate", "p.yaml", "--help"),
    ("doctor", "--help"),
    ("devices", "--help"),
    ("trust", "--list"),
]


class Desk:
    """A stranger's folder, and a machine that trusts nothing yet."""

    def __init__(self, tmp_path: Path) -> None:
        self.folder = tmp_path / "a folder"
        self.state = tmp_path / "state"
        (self.folder / "plugins").mkdir(parents=True)
        (self.folder / "plugins" / "tremolo.py").write_text(SPY)
        (self.folder / "p.yaml").write_text(PIPELINE)
        (self.folder / "plain.yaml").write_text(PLAIN)
        self.env = {"RTPIPE_TRUST": "", "XDG_STATE_HOME": str(self.state)}

    def rtpipe(self, *args: str | Path, cwd: Path | None = None, **env: str) -> Ended:
        return rtpipe(*args, cwd=cwd or self.folder, env={**self.env, **env})

    def ran(self, folder: Path | None = None) -> bool:
        """Return whether the plugin was run since this was last asked."""
        told = (folder or self.folder) / "plugins" / "RAN"
        known = told.exists()
        told.unlink(missing_ok=True)
        return known

    @property
    def records(self) -> list[Path]:
        return [path for path in self.state.rglob("*") if path.is_file()]


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def lines_of(err: str) -> list[str]:
    return [line for line in err.splitlines() if "E404" in line]


@pytest.mark.parametrize("command", LOOKING, ids=" ".join)
def test_looking_runs_nothing_and_says_so(desk: Desk, command: tuple[str, ...]) -> None:
    looked = desk.rtpipe(*command)
    assert not desk.ran()
    assert not desk.records
    said = [line for line in looked.err.splitlines() if "plugins/tremolo.py" in line]
    assert said, looked.err
    assert all("E404" in line for line in said)
    assert "rtpipe trust ." in looked.err
    if "p.yaml" in command:
        assert looked.code == 78
        assert {"E404"} == {line[6:10] for line in looked.err.splitlines() if line[:6] == "error["}
        for unknown in ("a stage `tremolo`", "an event `tremolo.wobbled`", "a section `lamps`"):
            assert unknown in looked.err
    else:
        assert looked.code == 0
        assert len(said) == 1
        assert len(lines_of(looked.err)) == 1


@pytest.mark.slow
@pytest.mark.parametrize("command", LOOKING, ids=" ".join)
@pytest.mark.parametrize("consent", ["trust", "run", "--trust", "RTPIPE_TRUST"])
def test_after_consent_everything_is_known(
    desk: Desk, command: tuple[str, ...], consent: str
) -> None:
    more: tuple[str, ...] = ()
    env = {}
    if consent == "trust":
        assert desk.rtpipe("trust").code == 0
        assert not desk.ran()
    elif consent == "run":
        assert desk.rtpipe("run", "p.yaml").code == 0
        assert desk.ran()
    elif consent == "--trust":
        more = ("--trust",)
    else:
        env = {"RTPIPE_TRUST": "1"}
    looked = desk.rtpipe(*command, *more, **env)
    assert looked.code == 0, looked.err
    assert "E404" not in looked.err
    assert desk.ran()
    if command[0] != "validate":
        assert "tremolo" in looked.out
    if consent not in {"trust", "run"}:
        assert not desk.records
        assert "E404" in desk.rtpipe("stages").err


@pytest.mark.slow
@pytest.mark.parametrize("command", SILENT, ids=" ".join)
def test_what_is_not_even_about_the_folder_runs_nothing(
    desk: Desk, command: tuple[str, ...]
) -> None:
    assert desk.rtpipe(*command).code == 0
    assert not desk.ran()


@pytest.mark.slow
@pytest.mark.parametrize("command", [("doctor",), ("devices",), ("doctor", "plain.yaml")])
def test_to_look_at_the_machine_runs_nothing(desk: Desk, command: tuple[str, ...]) -> None:
    looked = desk.rtpipe(*command)
    assert not desk.ran()
    assert ("E404" in looked.err) is ("plain.yaml" in command)
    if "plain.yaml" in command:
        assert "E404" not in desk.rtpipe(*command, "--trust").err
        assert desk.ran()


@pytest.mark.slow
def test_a_dry_run_and_the_completion_of_a_word_only_look(desk: Desk) -> None:
    dry = desk.rtpipe("run", "--dry-run", "p.yaml")
    assert dry.code == 78
    assert "E404" in dry.err
    unknown = desk.rtpipe("run", "--dry-run", "p.yaml", "--lamp", "3")
    assert unknown.code == 2
    assert "plugins/tremolo.py" in unknown.err
    words = {"COMP_WORDS": "rtpipe run p.yaml --l", "COMP_CWORD": "3"}
    completed = desk.rtpipe(**words, _RTPIPE_COMPLETE="bash_complete")
    assert "--latency" in completed.out
    assert not desk.ran()
    assert not desk.records
    assert desk.rtpipe("run", "--dry-run", "--trust", "p.yaml", "--lamp", "3").code == 0
    assert not desk.records
    assert desk.rtpipe("run", "p.yaml", "--lamp", "3").code == 0


@pytest.mark.slow
def test_a_file_that_needs_none_of_it_is_valid_with_a_warning(desk: Desk) -> None:
    looked = desk.rtpipe("validate", "plain.yaml")
    assert looked.code == 0
    (line,) = lines_of(looked.err)
    assert line == (
        f"warning[E404]: plugins/tremolo.py in {desk.folder} was not run, "
        "so its kinds are missing: the folder is not trusted"
    )
    assert desk.rtpipe("validate", "--strict", "plain.yaml").code == 78
    assert not desk.ran()
    (found,) = json.loads(desk.rtpipe("validate", "--format", "json", "plain.yaml").out)[
        "diagnostics"
    ]
    assert (found["code"], found["severity"]) == ("E404", "warning")


@pytest.mark.slow
def test_what_is_wrong_besides_is_told_with_what_was_not_run(desk: Desk) -> None:
    (desk.folder / "plain.yaml").write_text(PLAIN.replace("duration_s", "seconds"))
    looked = desk.rtpipe("validate", "plain.yaml")
    assert "error[E102]" in looked.err
    assert len(lines_of(looked.err)) == 1
    assert "1 error, 1 warning" in looked.err


@pytest.mark.slow
def test_what_a_file_names_is_not_run_either(desk: Desk, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "there.yaml").write_text(f"plugins: ['{desk.folder}/plugins/tremolo.py']\n{PLAIN}")
    (elsewhere / "spy.py").write_text(SPY)
    (elsewhere / "plugins").mkdir()
    (elsewhere / "module.yaml").write_text(f"plugins: [spy]\n{PLAIN}")
    (elsewhere / "boring.yaml").write_text(f"plugins: [antigravity]\n{PLAIN}")
    for name, named in (
        ("there", "tremolo.py"),
        ("module", "spy in"),
        ("boring", "antigravity in"),
    ):
        looked = desk.rtpipe("validate", f"{name}.yaml", cwd=elsewhere)
        assert looked.code == 0, looked.err
        assert named in lines_of(looked.err)[0]
    assert not desk.ran()
    assert not (elsewhere / "RAN").exists()
    assert not (elsewhere / "plugins" / "RAN").exists()
    # Its file asks for it: that folder is the one to trust.
    assert desk.rtpipe("trust", elsewhere).code == 0
    assert desk.rtpipe("validate", "there.yaml", cwd=elsewhere).err == ""
    assert desk.ran()


@pytest.mark.slow
def test_an_installed_module_may_be_named(desk: Desk) -> None:
    text = f"plugins: [rtpipe_plugins, pluggy]\n{PLAIN}"
    (desk.folder / "plugins" / "tremolo.py").unlink()
    (desk.folder / "plain.yaml").write_text(text)
    looked = desk.rtpipe("validate", "plain.yaml")
    assert (looked.code, looked.err) == (0, "")


@pytest.mark.slow
def test_a_folder_named_on_the_command_line_is_asked_for(desk: Desk, tmp_path: Path) -> None:
    (tmp_path / "plain.yaml").write_text(PLAIN)
    looked = desk.rtpipe(
        "validate", "plain.yaml", "--plugins-dir", desk.folder / "plugins", cwd=tmp_path
    )
    assert (looked.code, looked.err) == (0, "")
    assert desk.ran()
    assert (
        "tremolo"
        in desk.rtpipe("stages", "--plugins-dir", desk.folder / "plugins", cwd=tmp_path).out
    )
    assert not desk.records


@pytest.mark.slow
def test_modules_of_the_current_folder_do_not_come_before_those_installed(desk: Desk) -> None:
    (desk.folder / "click.py").write_text("open('RAN', 'w')")
    info = desk.folder / "evil-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: evil\nVersion: 1\n")
    (info / "entry_points.txt").write_text("[rtpipe]\nevil = click\n")
    assert desk.rtpipe("stages").code == 0
    assert not (desk.folder / "RAN").exists()


@pytest.mark.slow
def test_trust_is_taken_back(desk: Desk) -> None:
    assert desk.rtpipe("trust", desk.folder / "p.yaml").out == (
        f"{desk.folder} is trusted: looking at it runs its plugins\n"
    )
    assert desk.rtpipe("trust", "--list").out.startswith(f"{desk.folder} (trust, ")
    (listed,) = json.loads(desk.rtpipe("trust", "--json").out)
    assert (listed["folder"], listed["by"]) == (str(desk.folder), "trust")
    assert desk.rtpipe("validate", "p.yaml").code == 0
    assert desk.rtpipe("trust", "--revoke", cwd=desk.folder).code == 0
    assert desk.rtpipe("trust", "--list").out == ""
    assert desk.rtpipe("validate", "p.yaml").code == 78
    assert desk.rtpipe("trust", "--revoke").out == f"{desk.folder} was not trusted\n"
    assert desk.rtpipe("trust", "nowhere").code == 2
    assert desk.rtpipe("trust", "--list", ".").code == 2


@pytest.mark.slow
def test_the_real_folder_counts(desk: Desk, tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(desk.folder)
    assert desk.rtpipe("trust", link).code == 0
    assert desk.rtpipe("validate", "p.yaml").code == 0
    assert desk.rtpipe("validate", link / "p.yaml", cwd=tmp_path).code == 0
    inner = desk.folder / "inner"
    inner.mkdir()
    (inner / "plugins").mkdir()
    (inner / "plugins" / "other.py").write_text(SPY)
    assert "E404" in desk.rtpipe("stages", cwd=inner).err  # not what lies deeper
    moved = desk.folder.rename(tmp_path / "moved")
    desk.ran(moved)
    assert desk.rtpipe("validate", "p.yaml", cwd=moved).code == 78
    assert not desk.ran(moved)
    desk.folder.symlink_to(moved)  # a link in the place of what was trusted
    assert desk.rtpipe("validate", desk.folder / "p.yaml", cwd=tmp_path).code == 78
    assert not desk.ran(moved)


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="names that only POSIX has")
def test_a_name_that_a_stranger_chose_is_told_on_one_line(desk: Desk, tmp_path: Path) -> None:
    odd = desk.folder.rename(tmp_path / "a\nwarning: \x1b[31m$(touch x)\udcff")
    looked = desk.rtpipe("stages", cwd=odd)
    (line,) = looked.err.splitlines()
    assert "a\\nwarning: \\u001b[31m$(touch x)\\udcff" in line
    elsewhere = desk.rtpipe("validate", odd / "plain.yaml", cwd=tmp_path)
    assert "`rtpipe trust .` in its folder" in elsewhere.err
    assert len(desk.rtpipe("trust", odd, cwd=tmp_path).out.splitlines()) == 1
    assert len(desk.rtpipe("trust", "--list", cwd=tmp_path).out.splitlines()) == 1
    assert desk.rtpipe("validate", odd / "p.yaml", cwd=tmp_path).code == 0


@pytest.mark.slow
def test_a_run_without_code_trusts_nothing(desk: Desk, tmp_path: Path) -> None:
    (tmp_path / "plain.yaml").write_text(PLAIN)
    assert desk.rtpipe("run", "plain.yaml", cwd=tmp_path).code == 0
    assert not desk.records
    assert desk.rtpipe("run", "plain.yaml").code == 0
    (record,) = desk.records
    assert stat.S_IMODE(record.stat().st_mode) == 0o600
    assert stat.S_IMODE(record.parent.stat().st_mode) == 0o700
    before = record.stat().st_mtime_ns
    assert desk.rtpipe("run", "plain.yaml").code == 0
    assert record.stat().st_mtime_ns == before
    assert desk.rtpipe("run", "p.yaml", RTPIPE_TRUST="1", XDG_STATE_HOME=str(tmp_path)).code == 0
    assert not (tmp_path / "rtpipe").exists()


@pytest.mark.slow
@pytest.mark.parametrize("damage", ["", "{}", "[1]", '{"folder": 3}', "\x00\xff", "another"])
def test_a_damaged_record_is_set_aside_and_said(desk: Desk, damage: str) -> None:
    assert desk.rtpipe("trust").code == 0
    (record,) = desk.records
    text = record.read_text()
    record.write_text(text.replace("a folder", "b folder") if damage == "another" else damage)
    looked = desk.rtpipe("stages")
    assert looked.code == 0
    assert not desk.ran()
    assert f"{record} was damaged, and is set aside as {record.stem}.damaged" in looked.err
    assert [path.name for path in desk.records] == [f"{record.stem}.damaged"]
    assert "set aside" not in desk.rtpipe("stages").err
    assert desk.rtpipe("trust").code == 0
    assert desk.rtpipe("stages").err == ""


@pytest.mark.slow
def test_a_record_that_others_may_write_to_or_that_is_a_link_counts_for_nothing(
    desk: Desk, tmp_path: Path
) -> None:
    assert desk.rtpipe("trust").code == 0
    (record,) = desk.records
    record.chmod(0o666)
    assert "counts for nothing" in desk.rtpipe("stages").err
    assert "counts for nothing" in desk.rtpipe("trust", "--list").err
    record.chmod(0o600)
    record.symlink_to(record.rename(tmp_path / "record"))
    assert "cannot be read" in desk.rtpipe("stages").err
    assert not desk.ran()


@pytest.mark.slow
def test_where_nothing_can_be_remembered(desk: Desk, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for env in (
        {"XDG_STATE_HOME": str(tmp_path / "file")},
        {"XDG_STATE_HOME": "", "HOME": "/proc/1/nobody"},
        {"XDG_STATE_HOME": "relative", "HOME": "/dev/null"},
    ):
        ran = desk.rtpipe("run", "p.yaml", **env)
        assert ran.code == 0, ran.err
        assert "trust" not in ran.err
        assert desk.ran()
        assert desk.rtpipe("validate", "p.yaml", **env).code == 78
        refused = desk.rtpipe("trust", **env)
        assert refused.code == 77
        assert "XDG_STATE_HOME" in refused.err
        assert desk.rtpipe("trust", "--list", **env).code == 0
        assert not desk.ran()


@pytest.mark.slow
def test_the_home_folder_where_no_other_is_named(desk: Desk, tmp_path: Path) -> None:
    env = {"XDG_STATE_HOME": "", "HOME": str(tmp_path)}
    assert desk.rtpipe("trust", **env).code == 0
    assert list((tmp_path / ".local" / "state" / "rtpipe" / "trusted").glob("*.json"))
    assert desk.rtpipe("validate", "p.yaml", **env).code == 0


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix" or os.geteuid() != 0, reason="makes files of another user")
def test_what_another_user_put_into_a_shared_folder_is_not_run(desk: Desk) -> None:
    desk.folder.chmod(0o1777)
    assert desk.rtpipe("trust").code == 0
    assert desk.rtpipe("stages").err == ""
    assert desk.ran()
    os.chown(desk.folder / "plugins", 12345, 12345)
    looked = desk.rtpipe("stages")
    assert "another user's" in looked.err
    (desk.folder / "plugins").rename(desk.folder / "mine")
    os.chown(desk.folder / "mine", 0, 0)
    (desk.folder / "plugins").symlink_to("mine")
    os.chown(desk.folder / "plugins", 12345, 12345, follow_symlinks=False)
    looked = desk.rtpipe("stages")
    assert "another user's" in looked.err
    (desk.folder / "plain.yaml").write_text(f"plugins: [mine/tremolo.py]\n{PLAIN}")
    os.chown(desk.folder / "plain.yaml", 12345, 12345)
    assert "another user's" in desk.rtpipe("validate", "plain.yaml").err
    assert not (desk.folder / "mine" / "RAN").exists()


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix" or os.geteuid() != 0, reason="makes files of another user")
def test_a_folder_that_became_another_users(desk: Desk) -> None:
    assert desk.rtpipe("trust").code == 0
    os.chown(desk.folder, 12345, 12345)
    assert "belongs to another user" in desk.rtpipe("stages").err
    assert not desk.ran()
    assert desk.rtpipe("trust").code == 0  # read and trusted anew
    assert desk.rtpipe("stages").err == ""


def test_an_environment_file_does_not_trust(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(desk.state))
    monkeypatch.delenv("RTPIPE_TRUST")
    site = desk.folder / "site.env"
    site.write_text("RTPIPE_TRUST=1\n")
    assert run("validate", "--env-file", site, desk.folder / "p.yaml").exit_code == 78
    assert not desk.ran()


def test_the_page_names_every_way() -> None:
    for way in ("rtpipe trust .", "--trust", "RTPIPE_TRUST=1", "trust=True", "--revoke"):
        assert way in pages()["E404"].text
