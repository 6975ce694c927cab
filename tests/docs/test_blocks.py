"""What the documentation shows is true: it is validated, executed, run and compared."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import textwrap
import tomllib
from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import pytest
from ruamel.yaml import YAML

from helpers.documentation import (
    ROOT,
    Block,
    anchors,
    blocks,
    commands,
    exchanges,
    links,
    pages,
    rtpipe_arguments,
    shown_as,
    write_files,
)
from peers.javascript import node
from rtpipe import import_file
from rtpipe.catalogue.plugins import Registry
from rtpipe.cli import cli
from rtpipe.cli.options import PipelineRequest
from rtpipe.errors import ConfigError, EnvironmentProblem
from rtpipe.language.loading import load
from rtpipe.stage import family
from rtpipe.testing import check_stage
from rtpipe.wording.rendering import render

if TYPE_CHECKING:
    from collections.abc import Iterator

ROUTE_STAGES = "[tone, gain, vad, mute_gate, realtime, speaker]"
"""What fragments of `events:` may name."""

ENVIRONMENT = {
    key: value
    for key, value in os.environ.items()
    if not key.startswith(("OPENAI_", "AZURE_", "KIOSK_", "CAMERA_", "DESK_"))
}


@pytest.fixture
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty folder to work in, without keys, from which Python code can be imported."""
    for key in set(os.environ) - set(ENVIRONMENT):
        monkeypatch.delenv(key)
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path / "credentials"))
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    known = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - known:
        file = getattr(sys.modules[name], "__file__", None)
        if file is not None and Path(file).is_relative_to(tmp_path):
            del sys.modules[name]


def left_in(*languages: str, page: Path | None = None) -> list[Any]:
    """Return the blocks in some languages that are not left out, as parameters."""
    return [
        pytest.param(
            block, id=str(block), marks=[pytest.mark.slow] if block.note("slow") == "" else []
        )
        for block in blocks(*languages, page=page)
        if block.note("not run") is None and block.note("run by") is None
    ]


# -- YAML ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("block", left_in("yaml"))
def test_a_yaml_block_is_valid(block: Block, work: Path) -> None:
    write_files(block.page, work, before=block.line)
    base = block.note("overlay")
    if block.note("rules of serve-realtime") is not None:
        from rtpipe_realtime_server.brains.desk import load_desk

        load_desk(_written(block, work))
    elif block.note("script of serve-realtime") is not None:
        from rtpipe_realtime_server.brains.script import load_script

        load_script(_written(block, work))
    elif block.note("wrong on purpose") is not None:
        with pytest.raises(ConfigError):
            load([_written(block, work)])
    else:
        path = _written(block, work)
        try:
            found = load([work / base, path] if base is not None else [path]).warnings
        except ConfigError as error:
            found = error.diagnostics
        assert not found, render(found)


def _written(block: Block, work: Path) -> Path:
    """Return the file of a block; a fragment is put into a pipeline first."""
    name = block.note("file")
    if name is not None:
        return work / name
    path = work / "block.yaml"
    path.write_text(block.text if block.text[0] != "-" else _around(block.text), "utf-8")
    return path


def _around(fragment: str) -> str:
    """Return a pipeline that some items of `stages:` or `events:` could stand in."""
    items = [{item: None} if isinstance(item, str) else item for item in _yaml(fragment)]
    registry = Registry()
    registry.add_installed()
    families = [
        family(registry.kinds[key]) if key else ""
        for item in items
        for key in [next((key for key in item if key in registry.kinds), None)]
    ]
    indented = textwrap.indent(fragment, "  ")
    if set(families) <= {"subscriber", ""}:
        return f"version: 1\nstages: {ROUTE_STAGES}\nevents:\n{indented}"
    ids = {item.get("id", key) for item in items for key in item}
    wanted = [id for item in items for id in _listed(item.get("from", [])) if id not in ids]
    before = "".join(f"  - tone:\n    id: {id}\n" for id in dict.fromkeys(wanted))
    if families[0] != "source" and not before:
        before = "  - tone\n"
    after = "" if families[-1] == "sink" else "  - blackhole\n"
    return f"version: 1\nstages:\n{before}{indented}{after}"


def _yaml(text: str) -> Any:
    return YAML(typ="safe").load(text)


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


# -- Python ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("block", left_in("python"))
def test_a_python_block_runs(block: Block, work: Path) -> None:
    """Execute it, and the tests in it."""
    write_files(block.page, work)
    namespace: dict[str, Any] = {"__name__": "block"}
    lines = "\n" * (block.line - 1)  # so that a traceback points into the page
    code = compile(lines + block.text, str(block.page), "exec", dont_inherit=True)
    exec(code, namespace)
    for name, value in list(namespace.items()):
        if name.startswith("test_"):
            value()


def test_a_package_is_found_by_its_entry_point(work: Path) -> None:
    """What `pip install` would make of the page's files, made by hand: no registry is asked."""
    page = ROOT / "docs" / "how-to" / "write-a-stage.md"
    write_files(page, work)
    project = tomllib.loads((work / "pyproject.toml").read_text())["project"]
    site = work / "site"
    info = site / f"{project['name'].replace('-', '_')}-{project['version']}.dist-info"
    info.mkdir(parents=True)
    header = f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n"
    (info / "METADATA").write_text(header)
    ((name, module),) = project["entry-points"]["rtpipe"].items()
    (info / "entry_points.txt").write_text(f"[rtpipe]\n{name} = {module}\n")
    shutil.copy(work / "plugins" / "tremolo.py", site / f"{module}.py")
    ran = subprocess.run(
        [sys.executable, "-m", "rtpipe", "plugins"],
        cwd=site,
        env={**os.environ, "PYTHONPATH": str(site)},
        capture_output=True,
        text=True,
        check=True,
    )
    (block,) = (each for each in blocks("console", page=page) if each.note("run by") is not None)
    (exchange,) = exchanges(block)
    assert _pattern(exchange.output).fullmatch(ran.stdout)


def test_each_of_the_five_kinds_has_an_example_that_keeps_the_contract(work: Path) -> None:
    page = ROOT / "docs" / "how-to" / "write-a-stage.md"
    write_files(page, work)
    found: dict[str, Any] = {}
    for path in sorted((work / "plugins").glob("*.py")):
        for stage_type in import_file(path).rtpipe_stages():
            check_stage(stage_type)
            found[stage_type.kind] = family(stage_type)
    assert set(found.values()) == {"source", "transform", "peer", "sink", "subscriber"}


@pytest.mark.slow
def test_the_tests_of_the_page_pass(work: Path) -> None:
    """As the reader runs them: with pytest alone."""
    write_files(ROOT / "docs" / "how-to" / "write-a-stage.md", work)
    plugin = () if _has_fixtures() else ("-p", "rtpipe.testing.pytest_plugin")
    command = [sys.executable, "-m", "pytest", "-q", *plugin, "-p", "no:asyncio", "test_museum.py"]
    ran = subprocess.run(command, cwd=work, capture_output=True, text=True, check=False)
    assert "3 passed" in ran.stdout, ran.stdout + ran.stderr


def _has_fixtures() -> bool:
    """Return whether the plugin is installed, and not only in the tree."""
    return any(point.name == "rtpipe" for point in entry_points(group="pytest11"))


# -- commands --------------------------------------------------------------------------------------


@pytest.mark.parametrize("page", pages(), ids=lambda page: str(page.relative_to(ROOT)))
def test_every_command_exists_with_its_options(page: Path, work: Path) -> None:
    """And where its pipeline is at hand, that is valid with everything it says."""
    write_files(page, work)
    wrong: list[str] = []
    for place, command in commands(page):
        for arguments in rtpipe_arguments(command):
            try:
                _parse(arguments)
            except (click.ClickException, ConfigError) as error:
                reasons = (
                    [error.format_message()]
                    if isinstance(error, click.ClickException)
                    else [diagnostic.message for diagnostic in error.diagnostics]
                )
                wrong.append(f"{place}: {command}\n    {'; '.join(reasons)}")
    assert not wrong, "\n".join(wrong)


def _parse(arguments: list[str]) -> None:
    name = arguments[0]
    if name == "check" or name.startswith("-"):  # ./bootstrap check; rtpipe --version
        return
    root = click.Context(cli, info_name="rtpipe", **cli.context_settings)
    _, command, rest = cli.resolve_command(root, arguments)
    assert command is not None
    if isinstance(command, click.Group) and rest:
        name, command, rest = command.resolve_command(root, rest)
        assert command is not None
    if not rest:  # it is named, not called
        return
    with command.make_context(name, list(rest), parent=root) as context:
        files = context.params.get("files", ())
        if not files or not all(path.is_file() for path in files):
            return
        if context.params["env_file"] is not None:
            return
        known = PipelineRequest.__dataclass_fields__
        request = PipelineRequest(**{k: v for k, v in context.params.items() if k in known})
        if context.params.get("each"):
            request.load_each(examine=None, registry=Registry.discover())
        else:
            request.load(warn=False)


@pytest.mark.slow
@pytest.mark.parametrize(
    "page",
    list(dict.fromkeys(parameter.values[0].page for parameter in left_in("console"))),
    ids=lambda page: str(page.relative_to(ROOT)),
)
def test_the_commands_print_what_the_page_shows(page: Path, work: Path) -> None:
    _needs_a_machine_without_devices()
    here = work
    for block in (parameter.values[0] for parameter in left_in("console", page=page)):
        write_files(page, work, before=block.line)
        for exchange in exchanges(block):
            if exchange.command.startswith("cd "):
                here = (here / exchange.command.removeprefix("cd ")).resolve()
                continue
            ran = subprocess.run(
                ["bash", "-c", exchange.command],
                check=False,
                cwd=here,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                timeout=60,
            )
            assert _pattern(exchange.output).fullmatch(_steady(ran.stdout)), (
                f"{block}: {exchange.command} printed\n{ran.stdout}\nand not\n{exchange.output}"
            )


def _needs_a_machine_without_devices() -> None:
    from rtpipe_plugins.commands.devices import all_devices

    try:
        devices = all_devices()
    except EnvironmentProblem:
        pytest.skip("the pages show what a machine with PortAudio prints")
    if devices:
        pytest.skip("the pages show what a machine without a sound card prints")


def _pattern(output: str) -> re.Pattern[str]:
    """Return what an output may look like; a line `…` stands for any number of lines."""
    lines = [
        r"(?:.*\n)*" if line == "…" else shown_as(line).pattern + r"\n"
        for line in output.splitlines()
    ]
    return re.compile("".join(lines))


def _steady(output: str) -> str:
    """Return an output without what only says that this machine was busy."""
    lines = output.splitlines(keepends=True)
    return "".join(line for line in lines if "held the event loop" not in line)


# -- pages -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("page", pages(), ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_somewhere(page: Path) -> None:
    lost = []
    for target in links(page):
        path, _, anchor = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        if not file.exists() or (anchor and anchor not in anchors(file)):
            lost.append(target)
    assert not lost


def test_every_page_can_be_found_from_the_index() -> None:
    found: set[Path] = set()
    waiting = [ROOT / "README.md"]
    while waiting:
        page = waiting.pop()
        if page in found or page.suffix != ".md":
            continue
        found.add(page)
        for target in links(page):
            file = (page.parent / target.partition("#")[0]).resolve()
            waiting += sorted(file.glob("*.md")) if file.is_dir() else [file]
    assert set(pages()) <= found


@pytest.mark.parametrize("block", blocks("yaml", "python", "console"), ids=str)
def test_what_is_left_out_says_why(block: Block) -> None:
    for name in ("not run", "run by"):
        assert block.note(name) != ""


@pytest.mark.parametrize("block", blocks("js"), ids=str)
def test_a_browser_could_read_it(block: Block) -> None:
    """That it works is shown by `tests/peers`, whose pages do the same."""
    command = [node(), "--input-type=module", "--check"]
    run = subprocess.run(command, input=block.text, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr


def test_every_block_says_its_language() -> None:
    known = {"yaml", "python", "sh", "console", "text", "toml", "ini", "js"}
    fences = re.compile(r"^```(.*)$", re.MULTILINE)
    for page in pages():
        opening = fences.findall(page.read_text("utf-8"))[::2]
        unknown = [language for language in opening if language not in known]
        if page.name != "architecture.md":  # its diagrams are drawn with characters
            assert not unknown, page
