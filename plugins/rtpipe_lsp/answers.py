"""What is offered at a place, and what is told of the word that stands there."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lsprotocol import types

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from rtpipe import Outline
    from rtpipe_lsp.cursor import Cursor

_SCHEMES = {
    "env": "A variable of the environment: `${env:NAME}`, `${env:NAME:-default}`.",
    "file": "The text of a file: `${file:PATH}`.",
    "cred": "A credential that systemd hands over: `${cred:NAME}`.",
}
_GIVING = frozenset({"source", "transform", "peer"})
_MOST_FILES = 200


def offered(cursor: Cursor, outline: Outline, folder: Path) -> Iterator[types.CompletionItem]:
    """Yield what may stand at a place; what the editor replaces is the cursor's word.

    Args:
        cursor: The place.
        outline: The text.
        folder: The file's.
    """
    if cursor.sort == "reference":
        yield from _references(cursor.word, outline, folder)
    elif cursor.sort == "from":
        yield from _ids(outline, of_events=cursor.section == "events")
    elif cursor.sort == "do":
        yield from _actions(outline)
    elif cursor.sort == "match":
        yield from _events(outline)
    elif cursor.sort == "options":
        yield from _options(cursor, outline)


def told(cursor: Cursor, outline: Outline, folder: Path) -> str:
    """Return what a word means, as Markdown; "" where nothing is known of it."""
    word = cursor.word
    if cursor.sort == "reference":
        return _reference(word, outline, folder)
    if cursor.sort == "from":
        return _stage(word.partition(".")[0], outline)
    if cursor.sort == "do":
        id, _, name = word.partition(".")
        for action in outline.stages.get(id, {}).get("actions", ()):
            if action["name"] == name:
                return f"`{id}.{action['call']}`\n\n{action['summary']}"
        return _stage(id, outline)
    if cursor.sort == "match":
        for event in outline.events:
            if event["type"] == word:
                return _event(event)
    return ""


def _ids(outline: Outline, *, of_events: bool) -> Iterator[types.CompletionItem]:
    for id, stage in outline.stages.items():
        if of_events or stage.get("family", "source") in _GIVING:
            kind = stage["kind"] if stage["kind"] != id else stage.get("family")
            yield _item(id, types.CompletionItemKind.Variable, _stage(id, outline), detail=kind)


def _actions(outline: Outline) -> Iterator[types.CompletionItem]:
    for id, stage in outline.stages.items():
        for action in stage.get("actions", ()):
            name = f"{id}.{action['name']}"
            yield _item(
                name,
                types.CompletionItemKind.Method,
                action["summary"],
                detail=f"{id}.{action['call']}",
            )


def _events(outline: Outline) -> Iterator[types.CompletionItem]:
    rooms: dict[str, bool] = {}
    for event in outline.events:
        name, here = event["type"], event["here"]
        if name.startswith("*"):
            continue
        kind = types.CompletionItemKind.Event
        yield _item(name, kind, _event(event), sort=f"{'0' if here else '1'}{name}")
        room = name.rpartition(".")[0]
        rooms[room] = rooms.get(room, False) or here
    for room, here in rooms.items():
        if room and not room.endswith("*"):
            name = f"{room}.*"
            about = f"Every event of `{room}`."
            yield _item(
                name,
                types.CompletionItemKind.Event,
                about,
                sort=f"{'0' if here else '1'}{name}",
            )


def _options(cursor: Cursor, outline: Outline) -> Iterator[types.CompletionItem]:
    """Yield the options of a kind in flow style, where no letter of one is written yet."""
    stage = next((each for each in outline.stages.values() if each["kind"] == cursor.above), None)
    for option in () if stage is None else stage.get("options", ()):
        name = option["name"]
        if "." in name or name in cursor.beside:
            continue
        about = f"{option['description']}\n\n{option['type']}; {option['default']} if left out"
        item = _item(name, types.CompletionItemKind.Property, about)
        item.insert_text = f"{name}: "
        yield item


def _references(word: str, outline: Outline, folder: Path) -> Iterator[types.CompletionItem]:
    scheme, colon, rest = word.partition(":")
    if not colon:
        for name, value in outline.variables.items():
            kind = types.CompletionItemKind.Variable
            yield _item(name, kind, f"`{name}: {value}` under `vars:`", detail=value)
        for name, about in _SCHEMES.items():
            yield _item(f"{name}:", types.CompletionItemKind.Keyword, about)
    elif scheme == "env" and ":" not in rest:
        for name in sorted(os.environ):
            yield _item(f"env:{name}", types.CompletionItemKind.Constant, "Set here.")
    elif scheme == "file":
        for name in _files(rest, folder):
            yield _item(f"file:{name}", types.CompletionItemKind.File, "")


def _files(rest: str, folder: Path) -> Iterator[str]:
    above, slash, _ = rest.rpartition("/")
    place = folder / f"{above}{slash}"
    try:
        found = sorted(place.iterdir())[:_MOST_FILES]
    except (OSError, ValueError):
        return
    for each in found:
        if not each.name.startswith("."):
            yield f"{above}{slash}{each.name}{'/' if each.is_dir() else ''}"


def _reference(word: str, outline: Outline, folder: Path) -> str:
    scheme, colon, rest = word.partition(":")
    if not colon:
        if word not in outline.variables:
            return f"`{word}` is not under `vars:`"
        return f"`{word}: {outline.variables[word]}` under `vars:`"
    if scheme == "env":
        name, _, default = rest.partition(":-")
        name = name.partition(":?")[0]
        state = "is set here" if name in os.environ else "is not set here"
        return f"`{name}` of the environment {state}" + (f"; else `{default}`" if default else "")
    if scheme == "file":
        path = folder / Path(rest).expanduser()
        return f"The text of `{path}`" + ("" if path.is_file() else ", which is not there")
    return _SCHEMES.get(scheme, "")


def _stage(id: str, outline: Outline) -> str:
    stage = outline.stages.get(id)
    if stage is None:
        return f"no stage is called `{id}`"
    if "family" not in stage:
        return f"`{stage['kind']}`, of which no plugin knows"
    named = "" if id == stage["kind"] else f"`{id}`: "
    return f"{named}`{stage['kind']}`, a {stage['family']}\n\n{stage['summary']}"


def _event(event: Mapping[str, Any]) -> str:
    fields = ", ".join(f"`{name}`" for name in event["fields"])
    publishers = ", ".join(f"`{name}`" for name in event["published_by"])
    parts = [event["summary"], f"Fields: {fields}." if fields else "", f"From {publishers}."]
    if not event["here"]:
        parts.append("Nothing in this file publishes it.")
    return "\n\n".join(filter(None, parts))


def _item(
    label: str,
    kind: types.CompletionItemKind,
    about: str,
    *,
    detail: str | None = None,
    sort: str | None = None,
) -> types.CompletionItem:
    return types.CompletionItem(
        label=label,
        kind=kind,
        detail=detail,
        documentation=types.MarkupContent(types.MarkupKind.Markdown, about),
        sort_text=sort,
    )
