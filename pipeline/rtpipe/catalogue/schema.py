"""The JSON Schema of a pipeline file, for the plugins that are installed; editors read it.

An item is one mapping that knows every kind and every reserved key, and rules beside it say that it
has one kind: an editor offers each key once, and tells what is wrong where it stands.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rtpipe.catalogue.describe import describe_events
from rtpipe.catalogue.kinds import stage_summary
from rtpipe.catalogue.option_schema import (
    Json,
    Place,
    default_of,
    needed,
    offer,
    offered,
    offering,
    printed,
    ref,
    with_main,
)
from rtpipe.stage import offered_actions, shape
from rtpipe.vocabulary import (
    BesideDo,
    BesideFallback,
    BesideStage,
    BesideSubscriber,
    with_sections,
)

if TYPE_CHECKING:
    import inspect
    from collections.abc import Iterable, Sequence

    from pydantic import BaseModel

    from rtpipe.catalogue.plugins import Registry
    from rtpipe.stage import Options

_SHAPES = ("source", "transform", "sink")
_NOT_OFFERED: Json = {"doNotSuggest": True}
"""A key that a rule offers, where it may stand."""
_LISTS = ("stages", "events")
_STAGE = "a stage has one kind, with its options under it and reserved keys beside it"
_ROUTE = "a route is a subscriber, or `match:` with `do:`, and reserved keys beside it"
_SUBSCRIBER_ALONE = ("id", "on_error", "fallback")


def make_schema(registry: Registry) -> Json:
    """Return the JSON Schema (2020-12) of the files that `registry`'s plugins understand."""
    definitions: Json = {}
    kinds: dict[str, list[str]] = {shape: [] for shape in (*_SHAPES, "subscriber")}
    for kind, stage_type in sorted(registry.kinds.importable().items()):
        kinds[shape(stage_type)].append(kind)
        about = stage_summary(stage_type)
        _add_options(f"options.{kind}", kind, about, stage_type.options_type, definitions)
    for key, section in sorted(registry.sections.items()):
        _add_options(f"section.{key}", key, "", section, definitions)
    _add_items(registry, kinds, definitions)
    file = printed(with_sections(registry.sections), definitions)
    for holder in (file, definitions["Profile"]):
        for each in offered(holder):
            if each["label"] in _LISTS:
                each["body"] = {each["label"]: ["$1"]}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **file,
        "$defs": _without_values(definitions),
    }


def _without_values(schema: Json) -> Json:
    """Return definitions without what they told to the snippets."""
    return {name: {k: v for k, v in each.items() if k != "value"} for name, each in schema.items()}


def _add_items(registry: Registry, kinds: dict[str, list[str]], definitions: Json) -> None:
    """Define what stands in `stages:`, in `events:`, in a profile's changes, and a fallback."""
    stage = _beside(BesideStage, definitions)
    fallback = _beside(BesideFallback, definitions)
    giving = sorted(kind for name in ("source", "transform") for kind in kinds[name])
    definitions["BesideStage.from"]["defaultSnippets"] = [
        {"label": kind, "body": kind, "description": registry.kinds.summary(kind)}
        for kind in giving
    ]
    audio = sorted(kind for name in _SHAPES for kind in kinds[name])
    of_fallback = definitions["BesideFallback.fallback"]
    for name in (*_SHAPES, "subscriber"):
        beside = {**fallback, "fallback": ref(f"fallback.{name}")}
        made = _item(kinds[name], registry, beside, definitions)
        definitions[f"fallback.{name}"] = {
            "description": of_fallback.get("description", ""),
            **_NOT_OFFERED,
            "anyOf": [made, {"type": "null"}],
        }
    definitions["fallback"] = {
        **_NOT_OFFERED,
        "anyOf": [ref(f"fallback.{name}") for name in _SHAPES],
    }
    by_shape = [
        {
            "if": {"anyOf": [{"required": [kind]} for kind in kinds[name]]},
            "then": _offering({"fallback": ref(f"fallback.{name}")}, definitions),
        }
        for name in _SHAPES
        if kinds[name]
    ]
    without_kind = {
        "if": {"not": {"anyOf": [{"required": [kind]} for kind in audio]}},
        "then": _offering({"fallback": ref("fallback")}, definitions),
    }
    of_stage = {**stage, "fallback": _NOT_OFFERED}
    for name, of_change in (("item", False), ("change", True)):
        rules = [*by_shape, without_kind] if of_change else by_shape
        definitions[name] = _item(
            audio, registry, of_stage, definitions, rules, of_change=of_change
        )
    definitions["route"] = _route(kinds["subscriber"], registry, definitions)


def _item(
    kinds: Sequence[str],
    registry: Registry,
    beside: Json,
    definitions: Json,
    rules: Iterable[Json] = (),
    *,
    of_change: bool = False,
) -> Json:
    """Return an item: a bare kind, or a mapping with one kind and reserved keys, and some rules.

    A change to a stage may leave out the options that the kind needs, and the kind.
    """
    options = "changes.options" if of_change else "options"
    one: Json = {"oneOf": [{"required": [kind]} for kind in kinds]}
    if of_change:
        one = {"anyOf": [one, {"not": {"anyOf": [{"required": [kind]} for kind in kinds]}}]}
    bare = [
        kind for kind in kinds if of_change or not _is_needed(registry.kinds[kind].options_type)
    ]
    one_kind = {"if": one, "else": {"type": "string", "errorMessage": _STAGE}}
    known = {kind: ref(f"{options}.{kind}") for kind in kinds}
    offered_one = _one_of(known, definitions)
    made = {
        "type": ["object", "string"],
        **_offering(beside, definitions, [offered_one, one_kind, *rules]),
        "additionalProperties": False,
        "pattern": f"^({'|'.join(bare)})$" if bare else "^(?!)",
        "errorMessage": _STAGE,
    }
    made["properties"] = known | beside
    return made


def _offering(properties: Json, definitions: Json, rules: Iterable[Json] = ()) -> Json:
    """Return properties, references to definitions, with the snippets that offer them."""
    return {"properties": properties, **offering(_snippets(properties, definitions), rules)}


def _snippets(properties: Json, definitions: Json) -> list[Json]:
    found: list[Json] = []
    for key, each in properties.items():
        if each is _NOT_OFFERED:
            continue
        defined = definitions.get(each["$ref"].removeprefix("#/$defs/"), {})
        value = defined.get("value", Place("{$1}" if key == "fallback" else "$1"))
        found.append(offer(key, value, defined.get("description", "")))
    return found


def _one_of(properties: Json, definitions: Json) -> Json:
    """Return the rule that offers some keys where none of them stands yet."""
    none: Json = {"propertyNames": {"not": {"pattern": f"^({'|'.join(properties)})$"}}}
    return {"if": none, "then": offering(_snippets(properties, definitions))}


def _route(kinds: Sequence[str], registry: Registry, definitions: Json) -> Json:
    """Return an item of `events:`."""
    subscriber = _beside(BesideSubscriber, definitions)
    subscriber["fallback"] = ref("fallback.subscriber")
    do = _beside(BesideDo, definitions)["do"]
    definitions["BesideDo.do"]["defaultSnippets"] = _actions(registry)
    definitions["BesideSubscriber.match"]["defaultSnippets"] = _events(registry)
    alone = {key: subscriber[key] for key in _SUBSCRIBER_ALONE}
    hidden = dict.fromkeys(_SUBSCRIBER_ALONE, _NOT_OFFERED)
    made = _item(kinds, registry, {**subscriber, **hidden}, definitions)
    made["properties"]["do"] = do
    known = {kind: ref(f"options.{kind}") for kind in kinds}
    one = {"oneOf": [{"required": [key]} for key in (*kinds, "do")]}
    of_do = {
        "properties": dict.fromkeys(_SUBSCRIBER_ALONE, False),
        "allOf": [{"required": ["match"], "errorMessage": _ROUTE}],
        "errorMessage": _ROUTE,
    }
    made["errorMessage"] = _ROUTE
    made["then"]["allOf"] = [
        _one_of({"do": do, **known}, definitions),
        {"if": one, "else": {"type": "string", "errorMessage": _ROUTE}},
        {
            "if": {"required": ["do"]},
            "then": {"if": {"type": "object"}, "then": of_do},
            "else": _offering(alone, definitions),
        },
    ]
    return made


def _actions(registry: Registry) -> list[Json]:
    """Return what `do:` may set off, as an editor offers it: at a stage that has no other id."""
    found: list[Json] = []
    for kind, stage_type in sorted(registry.kinds.importable().items()):
        for name, spec in sorted(offered_actions(stage_type).items()):
            given = _required(spec.signature.parameters.values())
            places = ", ".join(f"${{{at}:{each}}}" for at, each in enumerate(given, 1))
            body = f"{kind}.{name}({places})" if given else f"{kind}.{name}"
            text = f"'{body}'" if len(given) > 1 else body
            found.append({"label": f"{kind}.{name}", "body": text, "description": spec.summary})
    return found


def _required(parameters: Iterable[inspect.Parameter]) -> list[str]:
    return [
        each.name
        for each in parameters
        if each.default is each.empty
        and each.kind not in {each.VAR_POSITIONAL, each.VAR_KEYWORD}
        and each.name != "self"
    ]


def _events(registry: Registry) -> list[Json]:
    """Return what `match:` may name, as an editor offers it."""
    return [
        {"label": event["type"], "body": event["type"], "description": event["summary"]}
        for event in describe_events(registry)
        if not event["type"].startswith("*")
    ]


def _is_needed(options: type[Options]) -> bool:
    """Whether something must stand under a kind, or in a section."""
    return any(field.is_required() for field in options.model_fields.values())


def _add_options(
    name: str, key: str, about: str, options: type[Options], definitions: Json
) -> None:
    """Define, as `name`, what may stand under a kind, or in a section; as `changes.NAME` a change.

    That is their mapping, the main option's value, or nothing.
    """
    mapping = printed(options, definitions, f"{name}.")
    known = ", ".join(mapping.get("properties", ()))
    mapping["errorMessage"] = f"`{key}` has the options {known}" if known else f"`{key}` has none"
    is_needed = _is_needed(options)
    main = {} if options.main is None else mapping["properties"][options.main]
    told: Json = {"description": about, "value": _under(options), **_NOT_OFFERED}
    definitions[name] = with_main(mapping, main, nothing=not is_needed) | told
    if not is_needed:
        definitions[f"changes.{name}"] = told | {"anyOf": [ref(name)]}
        return
    some = mapping | offering(offered(mapping)) if known else mapping
    definitions[f"changes.{name}"] = with_main(some, main, nothing=True) | told


def _under(options: type[Options]) -> Any:
    """Return what an editor writes behind a kind: what it needs, its main option, or room."""
    wanted = needed(options)
    if options.main is not None and wanted.keys() <= {options.main}:
        default = default_of(options.model_fields[options.main])
        if options.main in wanted or isinstance(default, str | int | float):
            return wanted.get(options.main, default)
    return wanted


def _beside(model: type[BaseModel], definitions: Json) -> Json:
    """Return what stands beside a kind, each key's value a definition: every kind has it."""
    made = printed(model, definitions)
    properties = made["properties"]
    for each in offered(made):
        key = each["label"]
        value = Place(each["body"][key].removeprefix("^"))
        definitions[f"{model.__name__}.{key}"] = {**properties[key], "value": value}
    return {key: ref(f"{model.__name__}.{key}") for key in properties}
