"""The pages about stages and events, from the registry of what ships."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from rtpipe.catalogue.describe import describe_events, describe_stage
from rtpipe.stage import FAMILIES
from tools.reference.markdown import fenced, table

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rtpipe.catalogue.plugins import Registry


_OPENAI = re.compile(
    r"(conversation|error|input_audio_buffer|mcp_list_tools|output_audio_buffer|rate_limits"
    r"|response|session)(\.|$)"
)
"""OpenAI's own server events, which the `realtime` stage publishes as they come."""

_MAIN = " \\*"
"""Marks the option that a bare value fills."""


def stages_page(registry: Registry) -> Iterator[str]:
    """Yield the paragraphs about every kind of stage."""
    yield "# Stages"
    yield (
        "What can stand under `stages:`, and the subscribers under `events:`. In the terminal: "
        "`rtpipe stages`, `rtpipe stages mute_gate`. An option marked with \\* is the one that a "
        "bare value fills: `- gain: 3`. What may stand beside every kind (`from`, `queue`, "
        "`on_error`, `fallback`, …) is in [the pipeline file](pipeline-file.md#beside-the-kind)."
    )
    for family in FAMILIES:
        kinds = registry.kinds.of_family(family)
        yield table(
            (f"{family}s".capitalize(), ""),
            [(f"[`{kind}`](#{kind})", registry.kinds.summary(kind)) for kind in kinds],
        )
    for family in FAMILIES:
        for kind in registry.kinds.of_family(family):
            yield from _stage(describe_stage(registry.kinds[kind]))


def _stage(stage: dict[str, Any]) -> Iterator[str]:
    yield f"## {stage['kind']}"
    family = stage["family"]
    yield f"*A {family}.* {stage['description']}"
    if family in {"transform", "peer", "sink"}:
        takes = stage["accepts"] or "any audio"
        frames = f", in frames of {stage['frame_ms']:g} ms" if stage["frame_ms"] else ""
        yield f"Takes {takes}{frames}{'; several inputs' if stage['many_inlets'] else ''}."
    yield fenced(stage["example"], "yaml")
    yield table(
        ("Option", "Takes", "Default", ""),
        [
            (
                f"`{option['name']}`{_MAIN if option['name'] == stage['main'] else ''}",
                option["type"],
                "required" if option["required"] else f"`{option['default']}`",
                option["description"],
            )
            for option in stage["options"]
        ],
    )
    own = [event for event in stage["events"] if not _OPENAI.match(event["type"])]
    yield table(("Event", "Importance", "Fields", ""), [_event_row(event) for event in own])
    if len(own) < len(stage["events"]):
        yield "It also publishes [OpenAI's server events](events.md#openais-own) as they come."
    yield table(
        ("Action", ""),
        [(f"`{stage['kind']}.{each['call']}`", each["summary"]) for each in stage["actions"]],
    )


def events_page(registry: Registry) -> Iterator[str]:
    """Yield the paragraphs about every event."""
    found = describe_events(registry)
    openai = [event for event in found if _OPENAI.match(event["type"])]
    core = [event for event in found if "rtpipe" in event["published_by"]]
    beside = [event for event in found if event["published_by"][0].startswith("plugin ")]
    told = [*openai, *core, *beside]
    rest = [event for event in found if event not in told]
    yield "# Events"
    yield (
        "What `match:` may name. In the terminal: `rtpipe events`. Every event has `type`, "
        "`source` (the stage's id) and `at` (seconds since the pipeline began), and the fields "
        "named here; `where:` compares fields."
    )
    yield (
        "Its importance says where a person sees it: `notice`, `warning` and `error` on the "
        "terminal of `rtpipe run`; those and `info` in [`log`](stages.md#log), too; `detail` only "
        "with `log: debug`. Where two are named it depends on what happened."
    )
    yield fenced(
        "- match: [stage.failed, stage.fell_back]\n  jsonl: out/trouble.jsonl\n"
        "- match: link.dropped\n  from: realtime\n  log: warning",
        "yaml",
    )
    yield "## In every pipeline"
    yield table(("Event", "Importance", "Fields", ""), [_event_row(event) for event in core])
    yield "## From stages"
    yield table(
        ("Event", "Importance", "Fields", "", "Published by"),
        [(*_event_row(event), _published_by(event)) for event in rest],
    )
    yield "## From plugins"
    yield (
        "What a plugin that hangs on the running pipeline publishes ([`rtpipe_events`]"
        "(hooks.md#rtpipe_events)), in any pipeline."
    )
    yield table(
        ("Event", "Importance", "Fields", "", "Plugin"),
        [(*_event_row(event), _plugins(event)) for event in beside],
    )
    yield "## OpenAI's own"
    yield (
        "The `realtime` stage publishes every server event of OpenAI's Realtime API under its own "
        "name and with its own payload; OpenAI's documentation describes them. A name that is not "
        "in this list is published too, should OpenAI add one to these families; a server's event "
        "of another family is not: it could pass for one of ours."
    )
    yield "\n".join(f"- `{event['type']}` ({_importance(event)})" for event in openai)


def _plugins(event: dict[str, Any]) -> str:
    return ", ".join(f"`{each.removeprefix('plugin ')}`" for each in event["published_by"])


def _event_row(event: dict[str, Any]) -> tuple[str, str, str, str]:
    names = ", ".join(f"`{name}`" for name in event["fields"])
    return f"`{event['type']}`", _importance(event), names, event["summary"]


def _importance(event: dict[str, Any]) -> str:
    return ", ".join(event["importance"])


def _published_by(event: dict[str, Any]) -> str:
    return ", ".join(f"[`{kind}`](stages.md#{kind})" for kind in event["published_by"])
