"""The JSON Schema of a pipeline file, for the plugins that are installed; editors read it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rtpipe.catalogue.kinds import stage_summary
from rtpipe.stage import shape
from rtpipe.vocabulary import (
    BesideDo,
    BesideFallback,
    BesideStage,
    BesideSubscriber,
    with_sections,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from pydantic import BaseModel

    from rtpipe.catalogue.plugins import Registry
    from rtpipe.stage import Options

Json = dict[str, Any]

_REFERENCE: Json = {"type": "string", "pattern": r"\$\{"}
_SHAPES = ("source", "transform", "sink")


def make_schema(registry: Registry) -> Json:
    """Return the JSON Schema (2020-12) of the files that `registry`'s plugins understand."""
    definitions: Json = {}
    kinds: dict[str, list[str]] = {shape: [] for shape in (*_SHAPES, "subscriber")}
    for kind, stage_type in sorted(registry.kinds.importable().items()):
        kinds[shape(stage_type)].append(kind)
        _add_options(f"options.{kind}", stage_type.options_type, definitions)
    for key, section in sorted(registry.sections.items()):
        _add_options(f"section.{key}", section, definitions)
    stage = _beside(BesideStage, definitions)
    fallback = _beside(BesideFallback, definitions)
    for name in _SHAPES:
        stand_ins = _items(kinds[name], registry, fallback)["anyOf"]
        definitions[f"fallback.{name}"] = {"anyOf": [*stand_ins, {"type": "null"}]}
    beside_subscriber = _beside(BesideSubscriber, definitions)
    stand_ins = _items(kinds["subscriber"], registry, fallback)["anyOf"]
    definitions["fallback.subscriber"] = {"anyOf": [*stand_ins, {"type": "null"}]}
    audio = sorted(kind for name in _SHAPES for kind in kinds[name])
    definitions |= {
        "fallback": {"anyOf": [_ref(f"fallback.{name}") for name in _SHAPES]},
        "item": _items(audio, registry, stage),
        "change": _items(audio, registry, stage, of_change=True),
        "route": _items(kinds["subscriber"], registry, beside_subscriber),
    }
    definitions["change"]["anyOf"].append(_closed(stage))
    definitions["route"]["anyOf"].append(_printed(BesideDo, definitions))
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **_printed(with_sections(registry.sections), definitions),
        "title": "rtpipe pipeline",
        "$defs": definitions,
    }


def _items(
    kinds: Iterable[str], registry: Registry, beside: Json, *, of_change: bool = False
) -> Json:
    """Return the forms of an item: a bare kind, or a kind with options and reserved keys.

    A change to a stage of the same kind may leave out the options that the kind needs.
    """
    forms: list[Json] = []
    bare = [
        kind for kind in kinds if of_change or not _is_needed(registry.kinds[kind].options_type)
    ]
    if bare:
        forms.append({"enum": bare})
    for kind in kinds:
        stage_type = registry.kinds[kind]
        options = _ref(f"changes.options.{kind}" if of_change else f"options.{kind}")
        properties = {kind: {**options, "description": stage_summary(stage_type)}}
        properties |= beside
        if "fallback" in beside:
            properties["fallback"] = _ref(f"fallback.{shape(stage_type)}")
        forms.append({**_closed(properties), "required": [kind]})
    return {"anyOf": forms}


def _is_needed(options: type[Options]) -> bool:
    """Whether something must stand under a kind, or in a section."""
    return any(field.is_required() for field in options.model_fields.values())


def _add_options(name: str, options: type[Options], definitions: Json) -> None:
    """Define, as `name`, what may stand under a kind, or in a section; as `changes.NAME` a change.

    That is their mapping, the main option's value, or nothing.
    """
    mapping = _printed(options, definitions, f"{name}.")
    forms: list[Json] = [mapping]
    if options.main is not None:
        forms.append({**mapping["properties"][options.main]})
    nothing: Json = {"type": "null"}
    some = {key: value for key, value in mapping.items() if key != "required"}
    needed = _is_needed(options)
    definitions[name] = {"anyOf": forms if needed else [*forms, nothing]}
    changes = {"anyOf": [_ref(name), some, nothing]} if needed else _ref(name)
    definitions[f"changes.{name}"] = changes


def _printed(model: type[BaseModel], definitions: Json, prefix: str = "") -> Json:
    """Return a model's schema as its values stand in a file; define what it refers to."""
    made = model.model_json_schema(ref_template=f"#/$defs/{prefix}{{model}}")
    inner = {f"{prefix}{name}": each for name, each in made.pop("$defs", {}).items()}
    definitions |= {name: _with_references(each, inner) for name, each in inner.items()}
    printed: Json = _with_references(made, inner)
    return printed


def _with_references(schema: Any, definitions: Json, *, value: bool = False) -> Any:
    """Return a schema in which every single value may also be a text with `${...}`."""
    if isinstance(schema, list):
        return [_with_references(each, definitions, value=value) for each in schema]
    if not isinstance(schema, dict):
        return schema
    changed: Json = {}
    for key, inner in schema.items():
        if key == "properties":
            changed[key] = {
                name: _with_references(each, definitions, value=True)
                for name, each in inner.items()
            }
        elif key in {"items", "prefixItems", "additionalProperties"}:
            changed[key] = _with_references(inner, definitions, value=True)
        elif key in {"anyOf", "oneOf"}:
            changed[key] = _with_references(inner, definitions)
        elif key == "part":
            changed |= _ref(inner)
        elif key != "verbatim" and (key != "default" or inner is not None):
            changed[key] = inner
    leaves = list(_leaves(schema, definitions)) if value and "verbatim" not in schema else []
    if any(map(_is_text, leaves)) or not any(map(_is_single, leaves)):
        return changed
    about = {k: changed.pop(k) for k in ("title", "description", "default") if k in changed}
    return {**about, "anyOf": [changed, _REFERENCE]}


def _leaves(schema: Json, definitions: Json) -> Iterator[Json]:
    """Yield what a value may be, with references and alternatives followed."""
    if "$ref" in schema:
        schema = definitions[schema["$ref"].removeprefix("#/$defs/")]
    branches = schema.get("anyOf", schema.get("oneOf"))
    if branches is None:
        yield schema
    for branch in branches or ():
        yield from _leaves(branch, definitions)


def _is_text(leaf: Json) -> bool:
    """Whether any text fits, and so one with `${...}`."""
    limits = leaf.keys() & {"enum", "const", "pattern", "part"}
    return not limits and leaf.get("type", "string") == "string"


def _is_single(leaf: Json) -> bool:
    return leaf.get("type", "object") not in {"object", "array", "null"} or "enum" in leaf


def _beside(model: type[BaseModel], definitions: Json) -> Json:
    """Return what stands beside a kind, each key's value a definition: every kind has it."""
    properties = _printed(model, definitions)["properties"]
    definitions |= {f"{model.__name__}.{key}": value for key, value in properties.items()}
    return {key: _ref(f"{model.__name__}.{key}") for key in properties}


def _closed(properties: Json) -> Json:
    return {"type": "object", "properties": properties, "additionalProperties": False}


def _ref(name: str) -> Json:
    return {"$ref": f"#/$defs/{name}"}
