"""The grammar of the file is one: what the loader takes the schema takes, and the reverse."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, event, given, settings
from jsonschema import Draft202012Validator
from pydantic import BaseModel
from ruamel.yaml import YAML

from helpers.specimens import registry
from pipeline.language.pipeline_files import VARIABLES, overlays, whole_files
from rtpipe import ConfigError, Options, Source, hookimpl
from rtpipe.catalogue.explain import pages
from rtpipe.catalogue.plugins import Registry
from rtpipe.catalogue.schema import make_schema
from rtpipe.field_types import description
from rtpipe.language.loading import load
from rtpipe.testing.declaration import declaration_findings
from rtpipe.vocabulary import (
    RESERVED,
    BesideDo,
    BesideStage,
    BesideSubscriber,
    PipelineFile,
    QueueSpec,
    Restart,
    keys,
)
from rtpipe.wording.flow import block

VALIDATOR = Draft202012Validator(make_schema(registry()))

BASE = {
    "version": 1,
    "vars": VARIABLES,
    "stages": ["tone", "gain", {"file_sink": "a.wav"}],
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("files")


def refused(folder: Path, *files: Any, plugins: Registry | None = None) -> list[str]:
    """Return what the loader has against some files on top of one another."""
    paths = [folder / f"{number}.yaml" for number in range(len(files))]
    for path, file in zip(paths, files, strict=True):
        path.write_text(block(file))
    try:
        load(paths, registry=plugins or registry(), env={})
    except ConfigError as error:
        return [f"{each.code} {each.message}" for each in error.diagnostics]
    return []


def agree(why_not: list[str], file: Any) -> None:
    event("refused" if why_not else "taken")
    if VALIDATOR.is_valid(file):
        assert not why_not, "the schema takes it, the loader does not"
    else:
        assert why_not, "the loader takes it, the schema does not"


settled = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])


@pytest.mark.slow
@settled
@given(file=whole_files())
def test_the_loader_takes_what_the_schema_takes_and_the_reverse(
    folder: Path, file: dict[str, Any]
) -> None:
    agree(refused(folder, file), file)


@pytest.mark.slow
@settled
@given(file=overlays())
def test_both_take_the_same_overlays(folder: Path, file: dict[str, Any]) -> None:
    agree(refused(folder, BASE, file), file)


def overlay(folder: Path, text: str) -> tuple[bool, bool]:
    """Return whether the loader (on top of `BASE`) and the schema take a text."""
    file = YAML(typ="safe", pure=True).load(text)
    return not refused(folder, BASE, file), VALIDATOR.is_valid(file)


@pytest.mark.parametrize(
    "text",
    [
        "events: [{log: info, on_error: drop}]",
        "events: [{log: info, from: '${gain}'}]",
        "stages: {gain: {on_error: '${drop}'}}",
        "stages: {gain: {queue: {when_full: '${rule}'}}}\nvars: {rule: block}",
        "stages: {gain: {fallback: null}}",
        "stages: {file_sink: {file_sink: {overwrite: true}}}",
        "stages: {file_sink: file_sink}",
        "name:\nvars:\nevents:\nprofiles:\ninclude:\nplugins:\n",
        "profiles: {a: {stages: [tone, speaker], vars: null}}",
        "stages: {gain: {on_error: {restart: {tries: 3.0}}}}",
    ],
)
def test_both_take(folder: Path, text: str) -> None:
    assert overlay(folder, text) == (True, True)


@pytest.mark.parametrize(
    "text",
    [
        "version: true",
        "stages: {gain: {enabled: 'true'}}",
        "stages: {gain: {queue: {max_ms: '40'}}}",
        "stages: {gain: {on_error: {restart: {tries: 2.5}}}}",
        "stages: {gain: {from: []}}",
        "stages: {gain: {enabled: false, queue: 3}}",
        "stages: {gain: {gain: 1, fallback: tone}}",
        "stages: {gain: {gain: 1, fallback: {vad: 1, label: x}}}",
        "events: [{match: '*', do: toggle}]",
        "events: [{match: '*', do: []}]",
        "events: [{match: [], log: info}]",
        "events: [{match: '*', do: gain.toggle, label: 3}]",
        "events: [{match: '*', log: info, enabled: false, where: {a: [1]}}]",
        "events: [{log: info, queue: {}}]",
        "profiles: {a: {vars: 3}}",
        "profiles: {a: {vars: {b: [1]}}}",
        "profiles: {a: {stages: {gain: {queue: {max: 3}}}}}",
        "profiles: {a: {stages: {gain: {fallback: {gain: 1, on_error: never}}}}}",
        "profiles: {a: {stages: {gain: {unknown: 3}}}}",
        "profiles: {a: {events: [{do: gain.toggle}]}}",
        "profiles: {a: {events: [{match: '*'}]}}",
    ],
)
def test_neither_takes(folder: Path, text: str) -> None:
    assert overlay(folder, text) == (False, False)


def test_a_mistake_in_a_value_that_a_later_file_replaces_is_still_one(folder: Path) -> None:
    wrong = {**BASE, "stages": ["tone", {"gain": 1, "queue": 3}, {"file_sink": "a.wav"}]}
    assert [why[:4] for why in refused(folder, wrong, {"stages": ["tone", "speaker"]})] == ["E107"]


class Desk(Options):
    main = "port"

    port: int = 80
    names: tuple[str, ...] = ()


class Gate(Options):
    key: str
    level: int = 0


class Sections:
    @hookimpl
    def rtpipe_sections(self) -> dict[str, type[Options]]:
        return {"desk": Desk, "gate": Gate, "copy": Desk}


def section(folder: Path, text: str) -> tuple[bool, bool]:
    """Return whether the loader (on top of `BASE`) and the schema take a text, with `Sections`."""
    plugins = registry()
    assert plugins.register(Sections()).error is None
    file = YAML(typ="safe", pure=True).load(text)
    schema = Draft202012Validator(make_schema(plugins))
    return not refused(folder, BASE, file, plugins=plugins), schema.is_valid(file)


@pytest.mark.parametrize(
    "text",
    [
        "desk:",
        "desk: 1",
        "desk: {port: 1, names: [a]}",
        "desk: '${forty}'",
        "copy: 1",
        "gate: {key: a}",
        "profiles: {a: {desk: 3, gate: {level: 2}, copy: }}",
    ],
)
def test_both_take_a_section_of_a_plugin(folder: Path, text: str) -> None:
    assert section(folder, text) == (True, True)


@pytest.mark.parametrize(
    "text",
    [
        "desk: {prt: 1}",
        "desk: x",
        "desk: [1]",
        "gate:",
        "gate: a",
        "gate: {level: 1}",
        "gate: '${gain}'",
        "profiles: {a: {gate: [1]}}",
        "profiles: {a: {dsk: 1}}",
        "control: {}",
    ],
)
def test_neither_takes_a_section_that_is_wrong_or_unknown(folder: Path, text: str) -> None:
    assert section(folder, text) == (False, False)


@pytest.mark.parametrize("key", sorted(keys(PipelineFile)))
def test_no_section_is_called_like_a_key_of_the_file(key: str) -> None:
    class Plugin:
        @hookimpl
        def rtpipe_sections(self) -> dict[str, type[Options]]:
            return {key: Desk}

    assert "belongs to rtpipe itself" in (Registry().register(Plugin()).error or "")


@pytest.mark.parametrize("word", sorted(RESERVED))
def test_no_kind_is_called_like_a_reserved_key(word: str) -> None:
    kind = type("Kind", (Source,), {"kind": word, "options_type": Options})

    class Plugin:
        @staticmethod
        @hookimpl
        def rtpipe_stages() -> list[type]:
            return [kind]

    made = Registry()
    assert "reserved" in (made.register(Plugin()).error or "")
    refused = f"kind '{word}' is a word of the pipeline file: "
    assert any(each.startswith(refused) for each in declaration_findings(kind))


@pytest.mark.parametrize(
    "model", [PipelineFile, BesideStage, BesideSubscriber, BesideDo, QueueSpec, Restart]
)
def test_every_key_is_described(model: type[BaseModel]) -> None:
    assert not [name for name in model.model_fields if not description(model, name)]


def test_the_pages_of_explain_name_every_key() -> None:
    assert not [key for key in keys(PipelineFile) if key not in pages()["E019"].text]
    assert not [key for key in keys(BesideStage) if key not in pages()["E102"].text]
