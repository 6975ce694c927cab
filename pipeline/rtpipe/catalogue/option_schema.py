"""The JSON Schema of options models, in the words and for the ways of an editor.

yaml-language-server, which most editors run, decides how it looks. A key is offered by a snippet of
its mapping (`defaultSnippets`), with a value on one line, which is right in block and in flow
style: of the properties themselves it makes lines, and in flow style a key without its colon. The
snippets stand in a `then`, or it offers them in the place of a value, too. What is `required`
stands apart from the properties, or it offers a skeleton under a class's name. A bound stands in an
`if`: for a bound of its own it has no words of ours (`errorMessage`), nor where a value is of none
of several forms; so there are as few forms as may be. No class's name is a title.
"""

from __future__ import annotations

from enum import Enum
from itertools import count
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema

from rtpipe.catalogue import fields
from rtpipe.vocabulary import Meant, keys
from rtpipe.wording.flow import flow

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from pydantic.fields import FieldInfo
    from pydantic_core import core_schema

Json = dict[str, Any]

_BOUNDS = ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum")
_INSIDE = frozenset({"items", "prefixItems", "additionalProperties"})
_REFERENCE = r"\$\{"
_FORMS = frozenset({"anyOf", "oneOf"})
_REMADE = {*_INSIDE, *_FORMS, *_BOUNDS, "properties", "required", "part", "default"} | {
    *("title", "examples", "verbatim", "wrong", "told")
}
_HIDDEN = ("doNotSuggest", "value")
_ABOUT = ("description", "default", "value")
_PROPERTY = 10
"""LSP's number for a completion that is a key."""


class _Generator(GenerateJsonSchema):
    """pydantic's own, with what an editor says of each field: `told`, `wrong` and its snippet."""

    def model_schema(self, schema: core_schema.ModelSchema) -> Json:
        made = super().model_schema(schema)
        properties = made.get("properties", {})
        model: type[BaseModel] = schema["cls"]
        for key, field in keys(model).items():
            if key in properties:
                properties[key] |= _remarks(key, field)
        return made


def printed(model: type[BaseModel], definitions: Json, prefix: str = "") -> Json:
    """Return a model's schema as its values stand in a file; define what it refers to."""
    made = model.model_json_schema(
        ref_template=f"#/$defs/{prefix}{{model}}", schema_generator=_Generator
    )
    inner = {f"{prefix}{name}": each for name, each in made.pop("$defs", {}).items()}
    definitions |= {name: _rewritten(each, inner) for name, each in inner.items()}
    rewritten: Json = _rewritten(made, inner)
    return rewritten


def ref(name: str) -> Json:
    """Return a reference to a definition."""
    return {"$ref": f"#/$defs/{name}"}


def offer(key: str, value: Any, about: str = "") -> Json:
    """Return a key as a mapping offers it: with a value, whose scalars are places to fill."""
    text = _filled(value) if not isinstance(value, Place) else value
    return {
        "label": key,
        "description": about,
        "body": {key: f"^{text}"},
        "suggestionKind": _PROPERTY,
    }


class Place(str):
    """A snippet in the place of a value."""

    __slots__ = ()


def offers(schema: Json) -> list[Json]:
    """Return the keys that a mapping's schema offers, with what its properties say of them."""
    found: list[Json] = []
    for key, each in schema.get("properties", {}).items():
        value = each.pop("value", Place("$1"))
        if "$ref" in each:  # whose neighbours it does not read
            each["anyOf"] = [{"$ref": each.pop("$ref")}]
        each["doNotSuggest"] = True
        found.append(offer(key, value, each.get("description", "")))
    return found


def offering(snippets: list[Json], rules: Iterable[Json] = ()) -> Json:
    """Return the part of a mapping's schema that offers its keys, and what else it must hold.

    All of it in a `then`, into which nobody looks who offers a value, or an item of a list; with an
    `allOf`, since without one it is taken for a single value's.
    """
    return {"if": {}, "then": {"defaultSnippets": snippets, "allOf": [*rules] or [{}]}}


def offered(mapping: Json) -> list[Json]:
    """Return the snippets by which a mapping offers its keys."""
    found: list[Json] = mapping["then"]["defaultSnippets"]
    return found


def with_main(mapping: Json, main: Json, *, nothing: bool) -> Json:
    """Return the schema of a mapping that may also be its main option's value, or nothing."""
    types = main.get("type")
    if types is None or main.keys() & {"enum", "const", "properties", "items"}:
        value = {key: main[key] for key in main if key not in {"description", *_HIDDEN}}
        forms = [mapping, value] if value else [mapping]
        null = [{"type": "null", "errorMessage": mapping["errorMessage"]}] if nothing else []
        return {"anyOf": [*forms, *null]}
    types = [types] if isinstance(types, str) else types
    either = dict.fromkeys(["object", *types, *(["null"] if nothing else [])])
    made = {**mapping, "type": [*either]}
    made |= {key: main[key] for key in ("pattern", "minLength", "default") if key in main}
    if "if" in main:
        rule = {"if": main["if"], "else": main["else"]}
        made["then"] = {**made["then"], "allOf": [*made["then"]["allOf"], rule]}
    return made


def example(wanted: Any, default: Any = None) -> Any:
    """Return a value that an annotation takes, whole: with what a mapping needs."""
    model = fields.model_of(wanted)
    if model is not None:
        return {
            key: example(fields.annotation(field))
            for key, field in keys(model).items()
            if field.is_required()
        }
    kind = fields.described(wanted)
    if kind.startswith("a mapping"):
        return {}
    if kind.startswith("a list"):
        inner = fields.inside(wanted, 0)
        return [example(inner)] if inner is not None else []
    return fields.example(wanted, default)


def needed(options: type[BaseModel]) -> Json:
    """Return examples of the options that a model needs, by their keys."""
    return {
        key: example(fields.annotation(field))
        for key, field in keys(options).items()
        if field.is_required()
    }


def _remarks(key: str, field: FieldInfo) -> Json:
    wanted = fields.annotation(field)
    kind = _kind(wanted, field)
    made: Json = {"wrong": f"`{key}`: expected {kind}"}
    if "value" not in kind.replace("single value", ""):
        default = default_of(field)
        unset = "" if default is None else f"; {flow(default)} if left out"
        made["told"] = (
            f"{kind[:1].upper()}{kind[1:]}{'; needed' if field.is_required() else unset}."
        )
    if isinstance(default := default_of(field), str | int | float):
        return {**made, "value": default}
    if fields.choices_of(wanted):
        return {**made, "value": Place("$1")}
    return {**made, "value": field.examples[0] if field.examples else example(wanted)}


def default_of(field: FieldInfo) -> Any:
    """Return what a field is where a file leaves it out; None, too, if it may not."""
    if field.is_required():
        return None
    return plain(field.get_default(call_default_factory=True, validated_data={}))


def _kind(wanted: Any, field: FieldInfo) -> str:
    """Return what a field takes, in the words of a diagnostic."""
    for mark in field.metadata:
        if isinstance(mark, Meant) and mark.text:
            return mark.text
    return "a mapping" if fields.model_of(wanted) is not None else fields.described(wanted)


def _filled(value: Any, places: Iterator[int] | None = None) -> str:
    """Return a value as a snippet: each scalar, and each room for one, is a place to fill."""
    places = places or count(1)
    if isinstance(value, dict) and value:
        inside = ", ".join(f"{key}: {_filled(inner, places)}" for key, inner in value.items())
        return f"{{{inside}}}"
    if isinstance(value, list | tuple) and value:
        return f"[{', '.join(_filled(each, places) for each in value)}]"
    if isinstance(value, dict):
        return f"{{${next(places)}}}"
    if isinstance(value, list | tuple):
        return f"[${next(places)}]"
    text = flow(plain(value)).replace("\\", "\\\\").replace("$", r"\$").replace("}", r"\}")
    return f"${{{next(places)}:{text}}}"


def _rewritten(schema: Any, definitions: Mapping[str, Any], *, wrong: str | None = None) -> Any:
    """Return a schema as an editor reads it best; every single value may also be a `${...}`.

    Args:
        schema: pydantic's, with remarks.
        definitions: What it refers to.
        wrong: Where it is a value's: what is said of another one.
    """
    if isinstance(schema, list):
        return [_rewritten(each, definitions, wrong=wrong) for each in schema]
    if not isinstance(schema, dict):
        return schema
    is_value = wrong is not None
    said: str = schema.get("wrong", wrong or "")
    changed = {key: value for key, value in schema.items() if key not in _REMADE}
    for key in _INSIDE & schema.keys():
        changed[key] = _rewritten(schema[key], definitions, wrong=said)
    for key in _FORMS & schema.keys():
        changed[key] = [_form(each, definitions, said) for each in schema[key]]
    if "part" in schema:
        changed |= ref(schema["part"])
    if isinstance(schema.get("default"), str | int | float):
        changed["default"] = plain(schema["default"])
    if "told" in schema:
        told = filter(None, [schema.get("description"), schema["told"]])
        changed["description"] = "\n\n".join(told)
    changed |= _bounded(schema, said) | _mapping(schema, definitions)
    if is_value and said and schema.keys() & {"type", "enum", "const", "pattern"}:
        changed["errorMessage"] = said
    if is_value and "verbatim" not in schema and _may_be_referred_to(schema, definitions):
        return _or_reference(changed, said)
    return changed


def _or_reference(changed: Json, wrong: str) -> Json:
    """Return a value's schema that takes a text with `${...}`, too."""
    if changed.get("type") in {"number", "integer", "boolean"}:
        return {**changed, "type": [changed["type"], "string"], "pattern": _REFERENCE}
    about = {key: changed.pop(key) for key in _ABOUT if key in changed}
    wrong_or = {"type": "string", "pattern": _REFERENCE, "errorMessage": wrong}
    return {**about, "anyOf": [changed, wrong_or]}


def _mapping(schema: Json, definitions: Mapping[str, Any]) -> Json:
    """Return the parts of a mapping's schema that say which keys it has, if it says so."""
    if "properties" not in schema:
        return {}
    inner = schema["properties"].items()
    made: Json = {
        "properties": {key: _rewritten(each, definitions, wrong="") for key, each in inner}
    }
    needs = [
        {"required": [name], "errorMessage": f"`{name}` is needed"}
        for name in schema.get("required", ())
    ]
    return made | offering(offers(made), needs)


def _form(schema: Json, definitions: Mapping[str, Any], wrong: str) -> Any:
    """Return one of several forms of a value: a `${...}` is a form of its own beside them."""
    return _rewritten({**schema, "verbatim": True}, definitions, wrong=wrong)


def _bounded(schema: Json, wrong: str) -> Json:
    """Return the bounds of a number, if it has any, with our words for what is beyond."""
    bounds = {key: schema[key] for key in _BOUNDS if key in schema}
    if not bounds:
        return {}
    return {"if": bounds, "else": {"type": "null", "errorMessage": wrong}}


def _may_be_referred_to(schema: Json, definitions: Mapping[str, Any]) -> bool:
    leaves = list(_leaves(schema, definitions))
    return not any(map(_is_text, leaves)) and any(map(_is_single, leaves))


def _leaves(schema: Json, definitions: Mapping[str, Any]) -> Iterator[Json]:
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


def plain(value: Any) -> Any:
    """Return a default as a file would have it: 20 for 20.0, an enumeration's word."""
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, BaseModel):
        return plain(value.model_dump(mode="json", exclude_none=True))
    if isinstance(value, dict):
        return {str(key): plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(inner) for inner in value]
    return value if value is None or isinstance(value, str | int | float) else str(value)
