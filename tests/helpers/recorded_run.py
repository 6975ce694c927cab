"""A real run of `pipelines/kiosk.yaml`, as its surface told it, for what shows one."""

from __future__ import annotations

import json
from pathlib import Path

from rtpipe_control.commands.top.look import Look
from rtpipe_control.commands.top.picture import picture
from rtpipe_control.commands.top.state import State

FOLDER = Path(__file__).parents[1] / "control" / "top"


def kiosk() -> State:
    """The state at the moment when the desk gives its second answer."""
    state = State()
    for name, data in json.loads((FOLDER / "kiosk.json").read_text("utf-8")):
        state.take(name, data)
    return state


def text(state: State, look: Look, width: int, height: int) -> str:
    """The picture without its styles, no blanks at the ends of lines."""
    lines = picture(state, look, width, height)
    return "\n".join("".join(span.text for span in line).rstrip() for line in lines)
