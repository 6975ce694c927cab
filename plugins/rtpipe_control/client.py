"""A caller of the private socket: what the commands use. Blocking; no library is imported."""

from __future__ import annotations

import http.client
import json
import socket
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from rtpipe import EnvironmentProblem, StageError
from rtpipe_control import sockets

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_PATIENCE_S = 10.0
_WRONG_FILE = 422
"""Answered with diagnostics, which say more than a sentence."""


class Client:
    """Calls the surface of one running pipeline.

    Args:
        path: Its private socket.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    @classmethod
    def of(cls, name: str) -> Client:
        """Return the caller of the run `name`.

        Raises:
            EnvironmentProblem: There is no such run.
        """
        path = sockets.find(name)
        if path is None:
            runs = [each.stem for each in sockets.found()]
            known = f"these run: {', '.join(runs)}" if runs else "no pipeline of yours runs here"
            raise EnvironmentProblem(f"no pipeline `{name}` runs here", help=known)
        return cls(path)

    def snapshot(self) -> dict[str, Any]:
        """Return the snapshot."""
        found = self.get("/api/pipeline")
        assert isinstance(found, dict)
        return found

    def get(self, path: str) -> Any:
        """Return the JSON under `path`.

        Raises:
            StageError: It is refused.
            EnvironmentProblem: The run has ended.
        """
        with self.streamed(path) as response:
            return json.loads(response.read())

    def act(self, stage: str, action: str, args: list[Any], kwargs: dict[str, Any]) -> Any:
        """Carry out an action; returns its `result` and the `event` that tells the outcome.

        Raises:
            StageError: It is refused.
            EnvironmentProblem: The run has ended.
        """
        path = f"/api/stages/{quote(stage, safe='')}/{quote(action, safe='')}"
        return self.post(path, {"args": args, "kwargs": kwargs})

    def post(self, path: str, body: Any, *, patience_s: float = _PATIENCE_S) -> Any:
        """Send JSON; returns the JSON that comes back, that of wrong files too.

        Raises:
            StageError: It is refused.
            EnvironmentProblem: The run has ended.
        """
        with self.streamed(path, body, patience_s=patience_s) as response:
            return json.loads(response.read())

    @contextmanager
    def streamed(
        self, path: str, body: Any = None, *, patience_s: float | None = _PATIENCE_S
    ) -> Iterator[http.client.HTTPResponse]:
        """Send a request, and give the answer to be read as it comes.

        Raises:
            StageError: It is refused.
            EnvironmentProblem: The run has ended.
        """
        connection = _Connection(self._path, patience_s)
        try:
            if body is None:
                connection.request("GET", path)
            else:
                text = json.dumps(body)
                connection.request("POST", path, text, {"Content-Type": "application/json"})
            response = connection.getresponse()
            if response.status >= 400 and response.status != _WRONG_FILE:
                told = json.loads(response.read())
                raise StageError(told["error"], help=told["help"] or None)
            yield response
        except (OSError, http.client.HTTPException) as error:
            raise EnvironmentProblem(f"`{self._path.stem}` has ended: {error}") from error
        finally:
            connection.close()


class _Connection(http.client.HTTPConnection):
    def __init__(self, path: Path, patience_s: float | None) -> None:
        super().__init__("localhost", timeout=patience_s)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(f"{self._path}")
