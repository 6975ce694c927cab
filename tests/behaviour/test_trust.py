"""Looking at a stranger's folder runs none of its code: `rtpipe` as a process, with a plugin that
tells when it was run.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from helpers.strange_folder import PLAIN, SPY, Desk
from helpers.stranger import run
from rtpipe.catalogue.explain import pages

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
