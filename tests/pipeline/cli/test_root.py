"""The command as a whole: help, mistakes, exit codes, what goes where."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner, Result

from helpers.specimens import registry
from rtpipe import EnvironmentProblem, ExitCode, PluginError, hookimpl
from rtpipe.catalogue.plugins import Registry
from rtpipe.cli import cli
from rtpipe.cli.options import PipelineRequest, pipeline_options, read_env_file
from rtpipe.cli.root import RtpipeGroup
from rtpipe.cli.settings import Settings, add_common_options
from rtpipe.errors import ConfigError

GOOD = "version: 1\nstages: [mic, blackhole]\n"


@pytest.fixture(autouse=True)
def specimens(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(Registry, "discover", registry)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.yaml").write_text(GOOD)


def run(*args: str, **kwargs: Any) -> Result:
    return CliRunner().invoke(cli, list(args), **kwargs)


def test_help_names_every_command() -> None:
    result = run("-h")
    assert result.exit_code == ExitCode.OK
    for name in ("run", "validate", "print", "graph", "stages", "events", "plugins", "schema",
                 "explain"):  # fmt: skip
        assert f"  {name} " in result.output


@pytest.mark.parametrize(
    "name", ["validate", "print", "graph", "stages", "events", "plugins", "schema", "explain"]
)
def test_every_command_explains_itself(name: str) -> None:
    for flag in ("-h", "--help"):
        result = run(name, flag)
        assert result.exit_code == ExitCode.OK
        assert result.output.startswith(f"Usage: cli {name}")


def test_version() -> None:
    result = run("-V")
    assert (result.exit_code, result.output.split()[0]) == (ExitCode.OK, "rtpipe,")


def test_a_command_that_there_is_not() -> None:
    result = run("valdate")
    assert result.exit_code == ExitCode.USAGE
    assert "did you mean `validate`?" in result.stderr
    assert result.stdout == ""


def test_an_option_that_there_is_not() -> None:
    assert run("validate", "a.yaml", "--porfile", "x").exit_code == ExitCode.USAGE


def test_neither_file_nor_expression_or_both() -> None:
    for args in ([], ["a.yaml", "-x", "tone ! blackhole"]):
        result = run("validate", *args)
        assert result.exit_code == ExitCode.USAGE
        assert "either pipeline files or -x" in result.stderr


def test_mistakes_go_to_stderr_without_a_traceback() -> None:
    Path("bad.yaml").write_text("version: 1\nstages: [mci, gain: x]\n")
    result = run("validate", "bad.yaml")
    assert result.exit_code == ExitCode.CONFIGURATION
    assert result.stdout == ""
    assert "error[E101]" in result.stderr
    assert "--> bad.yaml:2:10" in result.stderr
    assert result.stderr.endswith("2 errors (looked at the file and the graph)\n")
    assert "Traceback" not in result.stderr
    assert "\x1b" not in result.stderr
    assert "Traceback" in run("--debug", "validate", "bad.yaml").stderr
    assert "Traceback" in run("validate", "bad.yaml", "--debug").stderr


def test_a_file_that_is_not_there() -> None:
    result = run("validate", "nowhere.yaml")
    assert result.exit_code == ExitCode.CONFIGURATION
    assert "error[E001]: cannot read nowhere.yaml: No such file or directory" in result.stderr


def failing(error: BaseException) -> RtpipeGroup:
    group = RtpipeGroup(params=cli.params)

    @group.command()
    def fail() -> None:
        raise error

    return group


@pytest.mark.parametrize(
    ("error", "code", "text"),
    [
        (EnvironmentProblem("no sound card", help="plug one in"), ExitCode.UNAVAILABLE,
         "error: no sound card\n  = help: plug one in\n"),
        (EnvironmentProblem("refused", exit_code=ExitCode.NO_PERMISSION), ExitCode.NO_PERMISSION,
         "error: refused\n"),
        (PluginError("broken"), ExitCode.CONFIGURATION, "error: broken\n"),
        (KeyError("x"), ExitCode.FAILED, "internal error: KeyError: 'x'\n"),
        (click.Abort(), ExitCode.FAILED, "Aborted!"),
    ],
)  # fmt: skip
def test_what_is_raised_becomes_an_exit_code(
    error: BaseException, code: ExitCode, text: str
) -> None:
    result = CliRunner().invoke(failing(error), ["fail"])
    assert result.exit_code == code
    assert text in result.stderr
    assert "Traceback" not in result.stderr


def test_debug_shows_where_an_internal_error_comes_from() -> None:
    result = CliRunner().invoke(failing(KeyError("x")), ["--debug", "fail"])
    assert isinstance(result.exception, KeyError)


def test_commands_of_plugins_are_found_by_name_and_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    class Plugin:
        @hookimpl
        def rtpipe_commands(self, cli: click.Group) -> None:
            @cli.command()
            def hello() -> None:
                """Greet."""
                click.echo("hello")

    class Broken:
        @hookimpl
        def rtpipe_commands(self, cli: click.Group) -> None:
            raise OSError("libx.so is missing")

    def discover() -> Registry:
        found = registry()
        found.register(Plugin(), "friendly")
        found.register(Broken(), "broken")
        return found

    monkeypatch.setattr(Registry, "discover", discover)
    result = run("hello")
    assert (result.exit_code, result.stdout) == (ExitCode.OK, "hello\n")
    assert (
        "warning: the plugin `broken` (registered by the program) cannot be used" in result.stderr
    )
    listed = run("--help").stdout
    assert "Commands of other plugins" in listed
    assert "hello  Greet." in listed
    monkeypatch.setattr(Registry, "discover", registry)
    assert "no command `hello`" in run("hello").stderr  # its plugin was there for that run


def settings_of(*args: str) -> Settings:
    seen: list[Settings] = []

    @cli.command("look-for-this-test", hidden=True)
    @pipeline_options
    def look(pipeline: PipelineRequest) -> None:
        seen.append(Settings.current())

    try:
        assert CliRunner().invoke(cli, list(args)).exit_code == 0
    finally:
        del cli.commands["look-for-this-test"]
    return seen[0]


def test_verbosity_may_stand_before_and_after_the_command() -> None:
    assert settings_of("look-for-this-test").verbosity == 0
    assert settings_of("-v", "look-for-this-test", "-v").verbosity == 2
    assert settings_of("look-for-this-test", "-q").verbosity == -1
    assert settings_of("look-for-this-test", "--debug").debug


def test_no_color(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal:
        @staticmethod
        def isatty() -> bool:
            return True

    terminal: Any = Terminal()
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert Settings().colour(terminal)
    monkeypatch.setenv("NO_COLOR", "1")
    assert not Settings().colour(terminal)


def test_an_env_file_fills_what_the_environment_leaves_open(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    Path(".env").write_text("# keys\nexport A='x y'\nB = \"2\"\n\nC=a=b # c\nD=\n")
    assert read_env_file(Path(".env")) == {"A": "x y", "B": "2", "C": "a=b # c", "D": ""}
    Path("b.yaml").write_text("version: 1\nstages: [mic: '${env:A_MIC}', blackhole]\n")
    Path(".env").write_text("A_MIC=from the file\n")
    monkeypatch.setenv("A_MIC", "from the environment")
    assert "from the environment" in run("print", "b.yaml", "--env-file", ".env").stdout
    monkeypatch.delenv("A_MIC")
    assert "from the file" in run("print", "b.yaml", "--env-file", ".env").stdout
    monkeypatch.delenv("A_MIC")


def test_an_env_file_that_is_none_does_not_show_its_lines() -> None:
    Path(".env").write_text("A=1\nsk-canary\n")
    with pytest.raises(ConfigError) as caught:
        read_env_file(Path(".env"))
    assert [each.code for each in caught.value.diagnostics] == ["E311"]
    result = run("validate", "a.yaml", "--env-file", ".env")
    assert result.exit_code == ExitCode.CONFIGURATION
    assert "canary" not in result.output
    assert run("validate", "a.yaml", "--env-file", "no.env").exit_code == ExitCode.CONFIGURATION


def test_a_command_of_a_plugin_takes_the_common_options_that_it_leaves_free(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    plain = click.Command("plain", callback=lambda: click.echo(Settings.current().verbosity))
    own = click.Option(["-v", "--vendor"], is_flag=True)
    choosy = click.Command("choosy", params=[own], callback=lambda **_: None)

    class Plugin:
        @hookimpl
        def rtpipe_commands(self, cli: click.Group) -> None:
            cli.add_command(plain)
            cli.add_command(choosy)

    def discover() -> Registry:
        found = Registry()
        found.register(Plugin())
        return found

    monkeypatch.setattr(Registry, "discover", discover)
    assert run("plain", "-v").output == "1\n"
    assert [option.opts[0] for option in choosy.params] == ["-v", "-q", "--debug"]
    for _ in range(2):  # a second group must not add them again
        add_common_options(plain)
    assert [option.opts[0] for option in plain.params] == ["-v", "-q", "--debug"]


def test_standard_input() -> None:
    assert run("validate", "-", input=GOOD).exit_code == ExitCode.OK
    result = run("validate", "-", input="version: 1\nstages: [mci]\n")
    assert "--> <stdin>:2:10" in result.stderr
    assert "error[E003]" in run("validate", "-", input=b"a: \xff").stderr


@pytest.mark.slow
def test_looking_does_not_pay_for_running() -> None:
    code = (
        "import sys; from rtpipe.cli import cli\n"
        "cli.main(['validate', '-x', 'tone ! blackhole'], standalone_mode=False)\n"
        "heavy = {'aiortc', 'aiohttp', 'sounddevice', 'faster_whisper', 'webrtcvad'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


@pytest.mark.slow
def test_the_module_is_the_command() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "rtpipe", "validate", "--no-environment", "a.yaml"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == ExitCode.OK
    assert done.stdout.startswith("a.yaml: 2 stages, 0 routes, no problems (looked at ")
    assert done.stderr == ""


@pytest.fixture
def twin(monkeypatch: pytest.MonkeyPatch) -> None:
    """A plugin with a command of the name `events`, which is ours, and one of `graph`."""

    class Plugin:
        @hookimpl
        def rtpipe_commands(self, cli: click.Group) -> None:
            @cli.command()
            @click.argument("name")
            @click.option("--last", type=int)
            def events(name: str, last: int | None) -> None:
                """Follow a run."""
                click.echo(f"follow {name} {last}")

            @cli.command()
            @click.argument("name")
            def graph(name: str) -> None:
                click.echo("never called: our own takes any number of arguments")

    def discover() -> Registry:
        found = registry()
        found.register(Plugin(), "twin")
        return found

    monkeypatch.setattr(Registry, "discover", discover)


@pytest.mark.usefixtures("twin")
@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["events"], "pipeline.started"),
        (["events", "--json"], '"type": "pipeline.started"'),
        (["events", "-q"], "pipeline.started"),
        (["events", "--plugins-dir", "."], "pipeline.started"),
        (["events", "kiosk"], "follow kiosk None"),
        (["events", "--last", "3", "kiosk"], "follow kiosk 3"),
        (["events", "-q", "kiosk", "--last", "3"], "follow kiosk 3"),
        (["graph", "a.yaml"], "mic"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_command_of_ours_and_a_plugins_share_a_name(args: list[str], said: str) -> None:
    result = run(*args)
    assert result.exit_code == ExitCode.OK, result.stderr
    assert said in result.stdout


@pytest.mark.usefixtures("twin")
def test_help_shows_both_of_a_name() -> None:
    listed = run("--help").stdout
    assert "List the events that stages publish." in listed.partition("What there is")[2]
    assert "events  Follow a run." in listed.partition("What runs")[2]
    ours = run("events", "--help").stdout
    assert "--json" in ours
    assert "With an argument: Follow a run." in ours
    assert "With an argument" not in run("stages", "--help").stdout
    theirs = run("events", "kiosk", "--help").stdout
    assert "--last" in theirs


def test_without_a_plugins_a_needless_argument_is_our_own_mistake() -> None:
    result = run("events", "kiosk")
    assert result.exit_code == ExitCode.USAGE
    assert "unexpected extra argument (kiosk)" in result.stderr
    assert run("events", "--gone").exit_code == ExitCode.USAGE
