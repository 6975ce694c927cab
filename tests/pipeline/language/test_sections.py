"""Sections of the file that plugins add: checked, merged and filled as options of a stage are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from helpers.specimens import HOME, mistakes, registry, stages, understood
from rtpipe import InputPath, Options, SinkId, hookimpl
from rtpipe.catalogue.plugins import Registry
from rtpipe.language.loading import load
from rtpipe.language.sections import WELL_KNOWN
from rtpipe.wording.diagnostics import Diagnostic

STAGES = stages("  - mic\n  - speaker\n")


class Desk(Options):
    main = "port"

    port: int = 8080
    token: SecretStr | None = None
    page: InputPath | None = None
    stage: SinkId | None = None
    names: tuple[str, ...] = ()


class Gate(Options):
    key: str


class Plugin:
    @hookimpl
    def rtpipe_sections(self) -> dict[str, type[Options]]:
        return {"desk": Desk, "gate": Gate}


def with_sections() -> Registry:
    plugins = registry()
    assert plugins.register(Plugin(), "desk").error is None
    return plugins


def desk(text: str, **choices: Any) -> Desk:
    spec = understood(f"{STAGES}{text}", registry=with_sections(), **choices).spec
    found = spec.sections["desk"]
    assert isinstance(found, Desk)
    return found


def wrong(text: str, **choices: Any) -> Diagnostic:
    (found,) = mistakes(f"{STAGES}{text}", registry=with_sections(), **choices)
    return found


def test_it_is_the_models_and_none_where_the_file_lacks_it() -> None:
    assert desk("desk: {port: 1, names: [a]}\n") == Desk(port=1, names=("a",))
    assert desk("desk: 2\n") == Desk(port=2), "a bare value fills the main option"
    assert desk("desk:\n") == Desk(), "it is there, and says nothing"
    assert understood(STAGES, registry=with_sections()).spec.sections == {
        "desk": None, "gate": None,
    }  # fmt: skip
    assert understood(STAGES).spec.sections == {}


def test_values_come_from_elsewhere_and_paths_start_from_the_file() -> None:
    text = "vars: {port: 7}\ndesk: {port: '${port}', page: a/b.html, token: '${env:T}'}\n"
    loaded = understood(STAGES + text, registry=with_sections(), env={"T": "sk-canary"})
    section = loaded.spec.sections["desk"]
    assert isinstance(section, Desk)
    assert (section.port, section.page) == (7, HOME.parent / "a/b.html")
    assert "canary" not in str(loaded.resolved)
    assert loaded.resolved["desk"]["port"] == 7
    assert loaded.spec.masked("sk-canary") == "***"


def test_overlays_profiles_and_sets_change_it(tmp_path: Path) -> None:
    (tmp_path / "base.yaml").write_text(
        f"{STAGES}desk: {{port: 1, names: [a]}}\nprofiles: {{loud: {{desk: 4}}}}\n"
    )
    (tmp_path / "over.yaml").write_text("desk: {names: [b]}\n")
    (tmp_path / "bare.yaml").write_text("desk:\n")

    def loaded(*names: str, **choices: Any) -> Options | None:
        files = [tmp_path / name for name in names]
        return load(files, registry=with_sections(), env={}, **choices).spec.sections["desk"]

    assert loaded("base.yaml", "over.yaml") == Desk(port=1, names=("b",))
    assert loaded("base.yaml", "bare.yaml") == Desk(port=1, names=("a",))
    assert loaded("base.yaml", profile="loud") == Desk(port=4, names=("a",))
    assert loaded("base.yaml", sets=["desk.port=5"]) == Desk(port=5, names=("a",))
    assert loaded("base.yaml", sets=["desk=6"]) == Desk(port=6, names=("a",))


@pytest.mark.parametrize(
    ("text", "code", "column", "help"),
    [
        ("desk: {prt: 1}", "E102", 8, "did you mean `port`?"),
        ("desk: {port: x}", "E103", 14, "it takes a whole number; left out, it is `port: 8080`"),
        ("desk: [1]", "E103", 7, "write `port: 1`"),
        ("gate: {}", "E104", 7, "add it, for example `key: text`"),
        ("gate:", "E104", 1, "add it, for example `key: text`"),
        ("gate: x", "E021", 7, "for example `gate: {}`"),
        ("desk: {stage: sepaker}", "E118", 15, "did you mean `speaker`?"),
        ("dsk: 1", "E019", 1, "did you mean `desk`?"),
        ("desk: ${prot}", "E301", 7, "define it: `vars: {prot: value}`"),
    ],
)
def test_a_mistake_in_it_is_found_at_its_place(
    text: str, code: str, column: int, help: str
) -> None:
    found = wrong(f"{text}\n")
    assert found.span is not None
    assert (found.code, found.span.line, found.span.column) == (code, 5, column)
    assert found.help == help


NEEDED = {key: plugin for key, plugin in WELL_KNOWN.items() if key != "tests"}


@pytest.mark.parametrize(("key", "plugin"), NEEDED.items())
def test_one_whose_plugin_is_absent_says_what_to_install(key: str, plugin: str) -> None:
    for text in (f"{key}: {{}}\n", f"profiles: {{a: {{{key}: {{}}}}}}\n"):
        (found,) = mistakes(STAGES + text)
        assert found.code == "E022"
        assert found.span is not None
        assert found.help == f"install `{plugin}`, or remove the section"
    (found,) = mistakes(STAGES, sets=[f"{key}.port=1"])
    assert (found.code, found.help) == ("E022", f"install `{plugin}`, or remove the section")


def test_a_pipeline_runs_without_what_tests_it() -> None:
    (found,) = understood(f"{STAGES}tests: [{{name: x}}]\n").warnings
    assert (found.code, found.severity) == ("E022", "warning")
    assert found.help == "install `rtpipe_test`, or remove the section"


def test_log_is_a_subscriber_and_no_section() -> None:
    (found,) = mistakes(f"{STAGES}log: {{}}\n")
    assert (found.code, found.help) == (
        "E019", "it stands in the list of events: `events: [log]`",
    )  # fmt: skip
