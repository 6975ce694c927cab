"""Reload: the files are read again; what they change is answered, or what is wrong with them."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from rtpipe import ConfigError, RtpipeError
from rtpipe_control.http.answers import Refused

if TYPE_CHECKING:
    from rtpipe import Pipeline

_HELP = 'send {"dry_run": true}, or {"when": "now"} or {"when": "pause"}'


class Reloads:
    """Lets a pipeline reload.

    Args:
        pipeline: Which.
    """

    def __init__(self, pipeline: Pipeline) -> None:
        self._pipeline = pipeline
        self._waiting: asyncio.Task[object] | None = None

    async def reload(self, body: Any) -> tuple[int, dict[str, Any]]:
        """Return an HTTP status, and the plan: what changes, how, and what is heard of it.

        `{"dry_run": true}` changes nothing. `{"when": "pause"}` answers at once, and changes when
        nobody speaks: `pipeline.reloaded` tells of it. A file that is wrong answers its
        `diagnostics`, and changes nothing.

        Raises:
            Refused: It cannot be reloaded now, or that is no such body.
        """
        dry_run, when = _asked(body)
        pipeline = self._pipeline
        try:
            if dry_run or when == "pause":
                plan = await pipeline.reload(dry_run=True)
            else:
                plan = await pipeline.reload()
        except ConfigError as error:
            found = [each.as_dict() for each in error.diagnostics]
            wrong = {"error": error.message, "help": error.help or "", "diagnostics": found}
            return 422, {**wrong, "done": "nothing"}
        except RtpipeError as error:
            raise Refused(409, error.message, error.help or "") from error
        done = "nothing" if dry_run else "reloaded"
        if not dry_run and when == "pause":
            done = "waits for a pause"
            self._wait()
        return 200, {**plan.as_dict(), "done": done}

    def _wait(self) -> None:
        """Reload when nobody speaks, once however often that is asked for."""
        if self._waiting is None or self._waiting.done():
            self._waiting = asyncio.create_task(self._at_pause(), name="reload at a pause")

    async def _at_pause(self) -> None:
        with suppress(RtpipeError):  # its event says so
            await self._pipeline.reload(when="pause")


def _asked(body: Any) -> tuple[bool, str]:
    body = {} if body is None else body
    if not isinstance(body, dict) or body.keys() - {"dry_run", "when"}:
        raise Refused(400, "the body is no such JSON object", _HELP)
    dry_run, when = body.get("dry_run", False), body.get("when", "now")
    if not isinstance(dry_run, bool) or when not in {"now", "pause"}:
        raise Refused(400, "`dry_run` is true or false, `when` is now or pause", _HELP)
    return dry_run, when
