"""What the shell completes: names of runs, stages and actions. Silent, and quick whatever hangs.

Called from the prompt, at each press of Tab: it says nothing, and gives up after half a second.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from click.shell_completion import CompletionItem

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    import click

_WITHIN_S = 0.3
OF_THE_RUN = {
    "link": "A link that opens the page once.",
    "stop": "Let it play out what is queued, and end.",
}
"""What `ctl` does with the run itself."""


def runs(_: click.Context, __: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Return the names of the runs."""
    return _in_time(_runs, incomplete)


def calls(ctx: click.Context, _: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Return what `ctl` can do with the run that is named."""
    return _in_time(lambda: _calls(ctx.params.get("name")), incomplete)


def stages(ctx: click.Context, _: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Return the stages of the run that is named."""
    return _in_time(lambda: _stages(ctx.params.get("name")), incomplete)


def values(ctx: click.Context, _: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Return the names of an action's arguments."""
    return _in_time(
        lambda: _arguments(ctx.params.get("name"), ctx.params.get("called")), incomplete
    )


def _runs() -> Iterable[tuple[str, str]]:
    from rtpipe_control import sockets
    from rtpipe_control.client import snapshots

    for path, answer in snapshots(sockets.found(), _WITHIN_S / 2):
        if isinstance(answer, dict):
            yield f"{answer['run']}", f"{answer['file']}"
        else:
            yield path.stem, "does not answer"


def _calls(name: str | None) -> Iterable[tuple[str, str]]:
    yield from OF_THE_RUN.items()
    for stage in _snapshot(name)["stages"]:
        for action in stage["actions"]:
            why_not = f"(not now: {action['why_not']}) " if action["why_not"] else ""
            yield f"{stage['id']}.{action['name']}", f"{why_not}{action['summary']}"


def _stages(name: str | None) -> Iterable[tuple[str, str]]:
    for stage in _snapshot(name)["stages"]:
        yield f"{stage['id']}", f"{stage['summary']}"


def _arguments(name: str | None, called: str | None) -> Iterable[tuple[str, str]]:
    id, _, action = (called or "").partition(".")
    for stage in _snapshot(name)["stages"]:
        for each in stage["actions"]:
            if (stage["id"], each["name"]) == (id, action):
                for argument in each["arguments"]:
                    yield f"{argument['name']}=", f"{argument['type']}"


def _snapshot(name: str | None) -> dict[str, Any]:
    from rtpipe_control import sockets
    from rtpipe_control.client import Client

    path = sockets.find(name or "")
    return {"stages": []} if path is None else Client(path, _WITHIN_S).snapshot(recent=False)


def _in_time(
    look: Callable[[], Iterable[tuple[str, str]]], incomplete: str
) -> list[CompletionItem]:
    """Return what `look` finds in time and begins with `incomplete`; what goes wrong is nothing."""
    from rtpipe_control.commands.words import safe

    found: list[CompletionItem] = []

    def fill() -> None:
        try:
            for value, about in look():
                shown = safe(value)
                if shown.startswith(incomplete) and " " not in shown:
                    found.append(CompletionItem(shown, help=safe(about, 80)))
        except Exception:  # noqa: BLE001, S110 - a prompt is no place for an error
            pass

    worker = threading.Thread(target=fill, daemon=True)
    worker.start()
    worker.join(_WITHIN_S)
    return list(found)
