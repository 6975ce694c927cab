"""The reference names everything there is; whatever is added without it fails here."""

from __future__ import annotations

import inspect
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import click
import pytest

import rtpipe
import rtpipe.testing
from helpers.documentation import ROOT
from rtpipe import ExitCode, hookspecs
from rtpipe.catalogue.describe import describe_events, describe_options
from rtpipe.catalogue.explain import pages
from rtpipe.catalogue.plugins import Registry
from rtpipe.catalogue.schema import make_schema
from rtpipe.cli import cli
from rtpipe.link import WhenFull
from rtpipe.running.runtime import Pipeline
from rtpipe.stage import offered_actions
from rtpipe.vocabulary import RESERVED

REFERENCE = ROOT / "docs" / "reference"


@pytest.fixture(scope="module")
def registry() -> Registry:
    registry = Registry()
    registry.add_module("rtpipe_plugins")
    return registry


def read(name: str) -> str:
    return (REFERENCE / name).read_text("utf-8")


def test_the_page_on_delivery_has_a_row_for_every_subscriber(registry: Registry) -> None:
    rows = [line for line in read("delivery.md").splitlines() if line.startswith("| [`")]
    named = {row.split("`")[1]: row for row in rows}
    assert named.keys() == set(registry.kinds.of_family("subscriber"))
    for kind, row in named.items():
        _, subscriber, order, how_often, lost_when, _ = row.split("|")
        assert f"stages.md#{kind}" in subscriber
        assert order.strip()
        assert how_often.strip()
        assert lost_when.strip()


def check(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tools.reference", "--check", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def test_the_generated_pages_are_current() -> None:
    ran = check()
    assert ran.returncode == 0, ran.stdout + ran.stderr


@pytest.mark.slow
def test_a_page_that_is_not_current_is_noticed(tmp_path: Path) -> None:
    shutil.copytree(REFERENCE, tmp_path, dirs_exist_ok=True)
    with (tmp_path / "stages.md").open("a") as page:
        page.write("an older sentence\n")
    ran = check("--folder", str(tmp_path))
    assert ran.returncode == 1
    assert "stages.md is stale" in ran.stdout


def test_every_kind_with_its_options_events_and_actions(registry: Registry) -> None:
    page = read("stages.md")
    missing: list[str] = []
    for kind, stage_type in registry.kinds.items():
        start = page.find(f"\n## {kind}\n")
        if start < 0:
            missing.append(kind)
            continue
        end = page.find("\n## ", start + 1)
        section = page[start : None if end < 0 else end]
        wanted = [f"`{option['name']}`" for option in describe_options(stage_type.options_type)]
        wanted += [f"`{kind}.{action}(" for action in offered_actions(stage_type)]
        missing += [f"{kind}: {name}" for name in wanted if name not in section]
    assert not missing


def test_every_event(registry: Registry) -> None:
    page = read("events.md")
    events = [event["type"] for event in describe_events(registry)]
    assert events
    assert not [event for event in events if f"`{event}`" not in page]


def test_every_command_with_its_options() -> None:
    page = read("commands.md")
    root = click.Context(cli)
    missing: list[str] = []
    commands = {name: cli.get_command(root, name) for name in cli.list_commands(root)}
    for group, command in [*commands.items()]:
        if isinstance(command, click.Group):
            del commands[group]
            commands |= {f"{group} {name}": each for name, each in command.commands.items()}
    for name, command in commands.items():
        assert command is not None
        if f"\n## rtpipe {name}\n" not in page:
            missing.append(name)
        options = [p for p in command.params if isinstance(p, click.Option) and not p.hidden]
        missing += [f"{name} {o.opts[0]}" for o in options if f"{o.opts[-1]}" not in page]
    assert not missing


def test_every_hook_and_every_public_name() -> None:
    page = read("hooks.md")
    hooks = [
        name
        for name, _ in inspect.getmembers(hookspecs, inspect.isfunction)
        if name.startswith("rtpipe_")
    ]
    assert len(hooks) >= 6
    assert not [hook for hook in hooks if f"\n### {hook}\n" not in page]
    offered = [name for name, _ in inspect.getmembers(Pipeline, inspect.isfunction)]
    offered = [f"`{name}(" for name in offered if not name.startswith("_")]
    offered += [f"`{name}`" for name in ("bus", "clock", "sections", "run_options")]
    assert "`tap_output(" in offered
    assert not [name for name in offered if f"\n| {name}" not in page]
    page = read("api.md")
    names = {*rtpipe.__all__, *rtpipe.testing.__all__} - {"audio"}
    assert not [name for name in names if f"\n### {name}\n" not in page]


def test_every_code_of_a_diagnostic() -> None:
    page = read("diagnostics.md")
    assert not [code for code in pages() if f"\n## {code}\n" not in page]


def test_every_exit_code() -> None:
    page = read("exit-codes.md")
    assert not [code for code in ExitCode if f"| {code.value} | `{code.name}` |" not in page]


def test_everything_a_pipeline_file_may_hold(registry: Registry) -> None:
    page = read("pipeline-file.md")
    words = [*make_schema(registry)["properties"], *RESERVED, *WhenFull]
    assert not [word for word in words if f"`{word}`" not in page]


def test_every_section_with_its_options() -> None:
    page = read("sections.md")
    registry = Registry()
    registry.add_module("rtpipe_control")
    assert "control" in registry.sections
    for key, model in registry.sections.items():
        assert f"\n## {key}\n" in page
        names = [f"\n| `{option['name']}`" for option in describe_options(model)]
        assert names
        assert not [name for name in names if name not in page]


def test_every_path_of_the_http_interface() -> None:
    from rtpipe_control.http.application import Application

    none: Any = None
    application = Application(none, none, none, none, none, none)
    page = read("http.md")
    served = [
        (route.method, resource.canonical)
        for guarded in (True, False)
        for resource in application.made(guarded=guarded).router.resources()
        for route in resource
        if route.method != "HEAD"
    ]
    assert ("POST", "/api/link") in served
    for method, path in served:
        heading = f"\n### {method} `{path}`\n\n"
        found = [each for each in (heading, heading.replace("{path}", "{path:.+}")) if each in page]
        assert found, f"{method} {path}"
        told = page.partition(found[0])[2].partition("\n\n")[0]
        assert len(told) > 20, f"{method} {path} says nothing"


def test_every_metric() -> None:
    from rtpipe_control.view.metric_list import METRICS

    page = read("metrics.md")
    assert not [name for name in METRICS if f"\n| `{name}` |" not in page]


def test_every_event_of_a_plugin_that_hangs_on_a_pipeline() -> None:
    from rtpipe_control.events import EVENTS

    page = read("events.md")
    assert not [each for each in EVENTS if f"\n| `{each.type}` |" not in page]
