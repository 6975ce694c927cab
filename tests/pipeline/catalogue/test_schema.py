"""The JSON Schema: what an editor knows of a pipeline file."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from ruamel.yaml import YAML

from helpers.specimens import KIOSK, registry
from rtpipe import Options, hookimpl
from rtpipe.catalogue.schema import make_schema

SCHEMA = make_schema(registry())


VALIDATOR = Draft202012Validator(SCHEMA)


def plain(text: str) -> Any:
    return YAML(typ="safe", pure=True).load(text)


def test_the_kiosk_fits() -> None:
    assert VALIDATOR.is_valid(plain(KIOSK))


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
    assert VALIDATOR.is_valid(plain(text))


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
    assert not VALIDATOR.is_valid(plain(text))


def test_it_is_json_and_describes_the_options() -> None:
    assert json.loads(json.dumps(SCHEMA)) == SCHEMA
    mapping = SCHEMA["$defs"]["options.mic"]["anyOf"][0]
    told = "Name, part of one, or index.\n\nText or a whole number; default if left out."
    assert mapping["properties"]["device"]["description"] == told


def test_the_standard_calls_it_a_schema() -> None:
    Draft202012Validator.check_schema(SCHEMA)


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
    validator = Draft202012Validator(make_schema(plugins))
    for right in ("desk: {port: 1}", "desk: 1", "profiles: {a: {desk: '${port}'}}"):
        assert validator.is_valid(plain(right)), right
    for wrong in ("desk: {prt: 1}", "desk: x", "desk:", "profiles: {a: {desk: {port: x}}}"):
        assert not validator.is_valid(plain(wrong)), wrong
    assert not VALIDATOR.is_valid(plain("desk: 1"))
