"""The JSON Schema: what an editor knows of a pipeline file."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from ruamel.yaml import YAML

from helpers.specimens import KIOSK, registry
from rtpipe import Options, hookimpl
from rtpipe.catalogue.schema import make_schema

SCHEMA = make_schema(registry())


def fits(value: Any, schema: Any) -> bool:
    """Return whether a value fits; knows the part of JSON Schema that is used here."""
    if "$ref" in schema:
        name = schema["$ref"].removeprefix("#/$defs/")
        if not fits(value, SCHEMA["$defs"][name]):
            return False
    checks = {
        "anyOf": lambda some: any(fits(value, each) for each in some),
        "enum": lambda some: value in some,
        "const": lambda one: value == one,
        "type": lambda names: any(
            _is(value, n) for n in ([names] if isinstance(names, str) else names)
        ),
        "pattern": lambda p: not isinstance(value, str) or re.search(p, value) is not None,
        "minimum": lambda least: not _is(value, "number") or value >= least,
        "maximum": lambda most: not _is(value, "number") or value <= most,
        "exclusiveMinimum": lambda least: not _is(value, "number") or value > least,
        "required": lambda names: not isinstance(value, dict) or set(names) <= set(value),
        "items": lambda each: not isinstance(value, list) or all(fits(v, each) for v in value),
        "minItems": lambda n: not isinstance(value, list) or len(value) >= n,
        "maxItems": lambda n: not isinstance(value, list) or len(value) <= n,
    }
    known = {*checks, "$ref", "$schema", "$defs", "title", "description", "default", "properties",
             "additionalProperties", "format", "writeOnly", "propertyNames"}  # fmt: skip
    assert set(schema) <= known, set(schema) - known
    if not all(check(schema[key]) for key, check in checks.items() if key in schema):
        return False
    if not isinstance(value, dict):
        return True
    properties, more = schema.get("properties", {}), schema.get("additionalProperties", True)
    for key, inner in value.items():
        if key in properties:
            if not fits(inner, properties[key]):
                return False
        elif more is False or (isinstance(more, dict) and not fits(inner, more)):
            return False
    return True


def _is(value: Any, name: str) -> bool:
    kinds: dict[str, Any] = {
        "string": str, "number": (int, float), "integer": int, "boolean": bool, "null": type(None),
        "object": dict, "array": list,
    }  # fmt: skip
    if isinstance(value, bool) and name in {"number", "integer"}:
        return False
    return isinstance(value, kinds[name])


def plain(text: str) -> Any:
    return YAML(typ="safe", pure=True).load(text)


def test_the_kiosk_fits() -> None:
    assert fits(plain(KIOSK), SCHEMA)


@pytest.mark.parametrize(
    "text",
    [
        "stages: [mic, gain: 3, {gain: {gain_db: 3}, id: x, from: [mic, gain]}, {gain: null}]",
        "stages: [vad: '${level}', {vad: {aggressiveness: '${env:V}'}}]",
        "stages: [realtime: {turn_detection: null, ice_servers: [{urls: '${u}'}]}]",
        "stages: {mic: {enabled: false}, gain: {gain: {mute: true}}}",
        "stages: [{gain: 1, on_error: {restart: {tries: 3}}, queue: {max_ms: 3}}]",
        "events: [log, log: debug, {match: [a, b], jsonl: x}]",
        "events: [{match: a, do: [b.c], where: {k: 1}}]",
        "profiles: {a: {stages: {mic: {tone: null}}, vars: {x: 1}}}",
    ],
)
def test_what_is_right_fits(text: str) -> None:
    assert fits(plain(text), SCHEMA)


@pytest.mark.parametrize(
    "text",
    [
        "stages: [mci]",
        "stages: [file]",
        "stages: [log]",
        "stages: [mic: {rte: 3}]",
        "stages: [{mic: x, fallbak: tone}]",
        "stages: [vad: 7]",
        "stages: [vad: {aggressiveness: high}]",
        "stages: [{gain: 1, on_error: retry}]",
        "stages: [realtime: {turn_detection: {type: none}}]",
        "events: [gain: 3]",
        "events: [{do: a.b}]",
        "version: 2",
        "nmae: x",
        "vars: {a: [1]}",
    ],
)
def test_what_is_wrong_does_not_fit(text: str) -> None:
    assert not fits(plain(text), SCHEMA)


def test_it_is_json_and_describes_the_options() -> None:
    assert json.loads(json.dumps(SCHEMA)) == SCHEMA
    mapping = SCHEMA["$defs"]["options.mic"]["anyOf"][0]
    assert mapping["properties"]["device"]["description"] == "Name, part of one, or index."


def test_every_reference_leads_somewhere() -> None:
    names = set(re.findall(r'"#/\$defs/([^"]+)"', json.dumps(SCHEMA)))
    assert names <= set(SCHEMA["$defs"])


def test_the_sections_of_plugins_stand_beside_the_files_own_keys_and_in_profiles() -> None:
    class Desk(Options):
        main = "port"
        port: int

    class Plugin:
        @hookimpl
        def rtpipe_sections(self) -> dict[str, type[Options]]:
            return {"desk": Desk}

    plugins = registry()
    plugins.register(Plugin())
    schema = make_schema(plugins)
    for right in ("desk: {port: 1}", "desk: 1", "profiles: {a: {desk: '${port}'}}"):
        assert fits(plain(right), schema), right
    for wrong in ("desk: {prt: 1}", "desk: x", "desk:", "profiles: {a: {desk: {port: x}}}"):
        assert not fits(plain(wrong), schema), wrong
    assert not fits(plain("desk: 1"), SCHEMA)
