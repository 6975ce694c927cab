"""The JSON Schema of a pipeline file, for the plugins that are installed; editors read it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rtpipe.catalogue.describe import stage_summary
from rtpipe.stage import family

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rtpipe.catalogue.plugins import Registry
    from rtpipe.stage import Options

Json = dict[str, Any]

_REFERENCE: Json = {"type": "string", "pattern": r"\$\{"}
_NAME: Json = {"type": "string", "pattern": r"^[A-Za-z_][A-Za-z0-9_-]*$"}
_TEXTS: Json = {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]}
_FLAG: Json = {"anyOf": [{"type": "boolean"}, _REFERENCE]}
_POSITIVE: Json = {"anyOf": [{"type": "number", "exclusiveMinimum": 0}, _REFERENCE]}


def make_schema(registry: Registry) -> Json:
    """Return the JSON Schema (2020-12) of the files that `registry`'s plugins understand."""
    definitions: Json = {}
    audio = [kind for kind, stage in registry.kinds.items() if family(stage) != "subscriber"]
    subscribers = [kind for kind in registry.kinds if kind not in audio]
    for kind, stage_type in sorted(registry.kinds.items()):
        definitions[f"options.{kind}"] = _options(kind, stage_type.options_type, definitions)
    sections = {
        key: _options(f"section.{key}", model, definitions)
        for key, model in sorted(registry.sections.items())
    }
    definitions["item"] = _items(sorted(audio), registry, _reserved())
    definitions["change"] = {
        "anyOf": [{"$ref": "#/$defs/item"}, _closed(_reserved(), "Changes a stage by its id.")]
    }
    definitions["stages"] = {
        "anyOf": [
            {"type": "array", "items": {"$ref": "#/$defs/item"}},
            {"type": "object", "additionalProperties": {"$ref": "#/$defs/change"}},
        ],
        "description": "A list of stages; in an overlay a mapping of ids to changes.",
    }
    definitions["route"] = _routes(sorted(subscribers), registry)
    definitions["events"] = {"type": "array", "items": {"$ref": "#/$defs/route"}}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "rtpipe pipeline",
        **_closed(_top_level(sections), "A pipeline: a list of stages, and what events set off."),
        "$defs": definitions,
    }


def _top_level(sections: Json) -> Json:
    profile = _closed(
        {
            "vars": _variables(),
            "stages": {"type": "object", "additionalProperties": {"$ref": "#/$defs/change"}},
            "events": {"$ref": "#/$defs/events"},
            **sections,
        },
        "Changes that --profile NAME applies.",
    )
    return {
        "version": {"const": 1},
        "name": {"type": "string"},
        "description": {"type": "string"},
        "include": {**_TEXTS, "description": "Files that count less than this one."},
        "plugins": {**_TEXTS, "description": "Modules, or paths of files, with more stages."},
        "vars": _variables(),
        "fuse": {**_FLAG, "description": "false gives every transform a task of its own."},
        "stages": {"$ref": "#/$defs/stages"},
        "events": {"$ref": "#/$defs/events"},
        "profiles": {"type": "object", "additionalProperties": profile},
        **sections,
    }


def _variables() -> Json:
    single: Json = {"type": ["string", "number", "boolean", "null"]}
    return {"type": "object", "additionalProperties": single}


def _reserved() -> Json:
    restart = _closed(
        {
            "backoff_s": {
                "type": "array",
                "items": {"type": "number", "minimum": 0},
                "minItems": 2,
                "maxItems": 2,
            },
            "tries": _POSITIVE,
            "within_s": _POSITIVE,
        }
    )
    choices = ["block", "drop_oldest", "drop_newest", "fail"]
    return {
        "id": {**_NAME, "description": "Another name than the kind."},
        "from": {**_TEXTS, "description": "What it reads; the stage above if left out."},
        "queue": _closed({"max_ms": _POSITIVE, "when_full": {"enum": choices}}),
        "enabled": {**_FLAG, "description": "false bypasses a transform, removes other stages."},
        "on_error": {
            "anyOf": [
                {"enum": ["fail", "drop", "restart"]},
                _closed({"restart": {"anyOf": [restart, {"type": "null"}]}}),
            ]
        },
        "fallback": {
            "$ref": "#/$defs/item",
            "description": "Takes over when the surroundings lack what the stage needs.",
        },
        "label": {"type": "string"},
    }


def _routes(subscribers: list[str], registry: Registry) -> Json:
    beside: Json = {
        "match": {**_TEXTS, "description": "Events by name or glob; quote a leading *."},
        "where": {"type": "object"},
        "from": {**_NAME, "description": "Only events of this stage."},
        "enabled": _FLAG,
        "label": {"type": "string"},
    }
    do = _closed({**beside, "do": _TEXTS})
    do["required"] = ["match", "do"]
    route = _items(subscribers, registry, {**beside, "id": _NAME})
    route["anyOf"].append(do)
    return route


def _items(kinds: Iterable[str], registry: Registry, beside: Json) -> Json:
    """Return the forms of an item: a bare kind, or a kind with options and reserved keys."""
    forms: list[Json] = []
    bare = [kind for kind in kinds if not _needs_options(registry.kinds[kind].options_type)]
    if bare:
        forms.append({"enum": bare})
    for kind in kinds:
        options: Json = {
            "$ref": f"#/$defs/options.{kind}",
            "description": stage_summary(registry.kinds[kind]),
        }
        form = _closed({kind: options, **beside})
        form["required"] = [kind]
        forms.append(form)
    return {"anyOf": forms}


def _needs_options(model: type[Options]) -> bool:
    return any(field.is_required() for field in model.model_fields.values())


def _options(name: str, options: type[Options], definitions: Json) -> Json:
    """Return what may stand under a kind: its mapping, the main option's value, or nothing."""
    prefix = f"options.{name}."
    model = options.model_json_schema(ref_template=f"#/$defs/{prefix}{{model}}", mode="validation")
    for inner_name, inner in model.pop("$defs", {}).items():
        definitions[prefix + inner_name] = _with_references(inner)
    mapping = _with_references(model)
    forms: list[Json] = [mapping]
    if options.main is not None:
        forms.append({**mapping["properties"][options.main]})
    if not _needs_options(options):
        forms.append({"type": "null"})
    return {"anyOf": forms}


def _with_references(schema: Any, *, value: bool = False) -> Any:
    """Return a schema in which every single value may also be a text with `${...}`."""
    if isinstance(schema, list):
        return [_with_references(item, value=value) for item in schema]
    if not isinstance(schema, dict):
        return schema
    changed: Json = {}
    for key, inner in schema.items():
        if key == "properties":
            changed[key] = {n: _with_references(s, value=True) for n, s in inner.items()}
        elif key in {"items", "additionalProperties"}:
            changed[key] = _with_references(inner, value=True)
        else:
            changed[key] = inner
    is_text = changed.get("type") == "string" and "enum" not in changed and "const" not in changed
    if not value or is_text or changed.get("type") in {"object", "array"} or not changed:
        return changed
    about = {k: changed.pop(k) for k in ("title", "description", "default") if k in changed}
    return {**about, "anyOf": [changed, _REFERENCE]}


def _closed(properties: Json, description: str = "") -> Json:
    schema: Json = {"type": "object", "properties": properties, "additionalProperties": False}
    return {**schema, "description": description} if description else schema
