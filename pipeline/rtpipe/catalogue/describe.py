"""What is installed, as data: the pages of `rtpipe stages`, `events` and the reference."""

from __future__ import annotations

import dataclasses
import inspect
import re
from operator import itemgetter
from typing import TYPE_CHECKING, Any

from rtpipe.catalogue import fields
from rtpipe.catalogue.kinds import own_doc, stage_summary
from rtpipe.events import CORE_EVENTS, ENVELOPE, Event, event_type
from rtpipe.field_types import description
from rtpipe.stage import family, offered_actions, summary
from rtpipe.wording.flow import flow

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pydantic import BaseModel

    from rtpipe.actions import ActionSpec
    from rtpipe.catalogue.plugins import Registry
    from rtpipe.stage import Stage

_SECTIONS = re.compile(r"\n\n(?:Attributes|Args|Raises|Examples?):\n")


def describe_stage(stage_type: type[Stage[Any]], origin: str = "") -> dict[str, Any]:
    """Return everything that can be said of a kind, JSON-ready."""
    options = stage_type.options_type
    accepts = stage_type.accepts
    description, written = _described(stage_type)
    return {
        "kind": stage_type.kind,
        "family": family(stage_type),
        "summary": stage_summary(stage_type),
        "description": description,
        "plugin": origin,
        "accepts": None if accepts is None else str(accepts),
        "frame_ms": stage_type.exact_ms,
        "many_inlets": stage_type.many_inlets,
        "main": options.main,
        "options": describe_options(options),
        "events": _by_name(stage_type.publishes),
        "actions": [
            {"name": name, "call": _call(spec), "summary": spec.summary}
            for name, spec in sorted(offered_actions(stage_type).items())
        ],
        "example": written or example(stage_type),
    }


def _described(stage_type: type[Stage[Any]]) -> tuple[str, str]:
    """Return what a kind's docstring says to a user, and the example in it, if there is one.

    What only a programmer reads (`Attributes:`) is left out. A paragraph that begins as an item of
    a list is the example.
    """
    told = _SECTIONS.split(own_doc(stage_type))[0]
    paragraphs = told.split("\n\n")
    examples = [text for text in paragraphs if text.startswith("- ")]
    return "\n\n".join(text for text in paragraphs if text not in examples), "\n".join(examples)


def describe_options(model: type[BaseModel], prefix: str = "") -> list[dict[str, Any]]:
    """Return an options model's fields, those of nested models under dotted names."""
    found: list[dict[str, Any]] = []
    for name, field in model.model_fields.items():
        wanted = fields.annotation(field)
        inner = fields.model_of(wanted)
        found.append(
            {
                "name": prefix + name,
                "type": "a mapping" if inner is not None else fields.described(wanted),
                "default": fields.shown_default(field),
                "required": field.is_required(),
                "description": " ".join(description(model, name).split()),
            }
        )
        if inner is not None and not issubclass(inner, model):
            found += describe_options(inner, f"{prefix}{name}.")
    return found


def describe_event(event: type[Event] | str) -> dict[str, Any]:
    """Return an event's name, what it says, the fields it carries, how important it is."""
    made = Event if isinstance(event, str) else event
    own = made.payload is Event.payload  # or else its fields are not what it carries
    return {
        "type": event_type(event),
        "summary": "" if isinstance(event, str) else summary(event),
        "fields": [
            field.name for field in dataclasses.fields(made) if own and field.name not in ENVELOPE
        ],
        "importance": [made.importance.name.lower()],
    }


def describe_events(registry: Registry) -> list[dict[str, Any]]:
    """Return every event that the framework, a kind or a plugin publishes, by name, with who does.

    A plugin that publishes beside its stages is told apart from a kind by a prefix: `plugin NAME`.
    """
    publishers: dict[str, Iterable[type[Event] | str]] = {"rtpipe": CORE_EVENTS}
    for kind, stage_type in sorted(registry.kinds.importable().items()):
        publishers[kind] = stage_type.publishes
    for plugin, beside in sorted(registry.events.items()):
        publishers[f"plugin {plugin}"] = beside
    by: dict[str, list[str]] = {}
    for publisher, events in publishers.items():
        for name in dict.fromkeys(map(event_type, events)):
            by.setdefault(name, []).append(publisher)
    every = _by_name(event for events in publishers.values() for event in events)
    return [
        {**described, "published_by": by[described["type"]]}
        for described in sorted(every, key=itemgetter("type"))
    ]


def _by_name(events: Iterable[type[Event] | str]) -> list[dict[str, Any]]:
    """Describe events; classes that share a name are one event, as important as any of them."""
    found: dict[str, dict[str, Any]] = {}
    for event in events:
        described = describe_event(event)
        known = found.setdefault(described["type"], described)
        known["importance"] = list(dict.fromkeys(known["importance"] + described["importance"]))
    return list(found.values())


def example(stage_type: type[Stage[Any]]) -> str:
    """Return an item of this kind as a pipeline file has it, where its author wrote none."""
    model = stage_type.options_type
    needed = {
        name: fields.example(fields.annotation(field))
        for name, field in model.model_fields.items()
        if field.is_required()
    }
    main = model.main
    if not needed and main is not None:
        field = model.model_fields[main]
        needed = {main: fields.example(fields.annotation(field), field.default)}
    kind = stage_type.kind
    if main is not None and list(needed) == [main]:
        return f"- {kind}: {flow(needed[main])}"
    return f"- {kind}: {flow(needed)}" if needed else f"- {kind}"


def _call(action: ActionSpec) -> str:
    """Return an action with its parameters; annotations are texts there and would be quoted."""
    shown = []
    for parameter in action.signature.parameters.values():
        text = str(parameter.replace(annotation=inspect.Parameter.empty))
        annotation = parameter.annotation
        if isinstance(annotation, str):
            name, equals, default = text.partition("=")
            text = f"{name}: {annotation}{f' = {default}' if equals else ''}"
        shown.append(text)
    return f"{action.name}({', '.join(shown)})"
