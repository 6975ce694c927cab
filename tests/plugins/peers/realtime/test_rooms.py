"""What the rooms of the peer know of each other, in types as in names of events."""

from __future__ import annotations

import ast
import re
from graphlib import TopologicalSorter
from pathlib import Path
from typing import TYPE_CHECKING

import rtpipe_plugins
from rtpipe_plugins.peers.realtime.dialects.openai.vocabulary import SERVER_EVENTS

if TYPE_CHECKING:
    from collections.abc import Iterator

PLUGINS = Path(rtpipe_plugins.__file__).parent
PEER = PLUGINS / "peers" / "realtime"
PACKAGE = "rtpipe_plugins.peers.realtime."
SPACES = {name.partition(".")[0] for name in SERVER_EVENTS if "." in name}
NAME = re.compile(rf"\b(?:{'|'.join(sorted(SPACES))})\.[a-z*]")
"""A name of an event of OpenAI's, the server's or the client's, or a glob of them."""


def strings(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


def imported(path: Path) -> Iterator[str]:
    """Yield the rooms that a module imports from, be it for a type only."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(PACKAGE):
            yield (node.module or "").removeprefix(PACKAGE).partition(".")[0]


def test_no_event_of_openais_is_known_by_name_outside_its_dialect() -> None:
    dialect = PEER / "dialects" / "openai"
    known = {
        str(path.relative_to(PLUGINS)): text
        for path in PLUGINS.rglob("*.py")
        if not path.is_relative_to(dialect)
        for text in strings(path)
        if NAME.search(text)
    }
    assert known == {}
    assert any(NAME.search(text) for path in dialect.glob("*.py") for text in strings(path))


def test_the_rooms_know_each_other_one_way() -> None:
    rooms: dict[str, set[str]] = {}
    for path in PEER.rglob("*.py"):
        room = path.relative_to(PEER).parts[0].removesuffix(".py")
        rooms.setdefault(room, set()).update(set(imported(path)) - {room})
    TopologicalSorter(rooms).prepare()  # raises where there is a circle
    assert rooms["call"] >= {"dialects", "transports"}
