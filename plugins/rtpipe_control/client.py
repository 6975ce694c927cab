"""A caller of the private socket: what the commands use. Blocking; no library is imported.

Who answers may hang, end at any time, or be no pipeline at all: each becomes a sentence.
"""

from __future__ import annotations

import http.client
import json
import queue
import socket
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

from rtpipe import EnvironmentProblem, RtpipeError, StageError
from rtpipe.errors import ActionError, on_one_line
from rtpipe_control import sockets

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

_PATIENCE_S = 10.0
_MOST_BYTES = 32 * 2**20
"""Of an answer that is read as a whole."""
_MOST_LINE = 2**20
_LONGEST_ERROR = 300
_AT_ONCE = 16
_WRONG_CALL = {400, 404}
_WRONG_FILE = 422
"""Answered with diagnostics, which say more than a sentence."""
_RELOAD_S = 120.0
"""A model that the new file wants may take a minute to load."""


class RunEnded(EnvironmentProblem):
    """The run has ended, or does so while it is asked."""


class Client:
    """Calls the surface of one running pipeline.

    Args:
        path: Its private socket.
        patience_s: How long it may be silent.
    """

    def __init__(self, path: Path, patience_s: float = _PATIENCE_S) -> None:
        self._path = path
        self._patience_s = patience_s

    @classmethod
    def of(cls, name: str) -> Client:
        """Return the caller of the run `name`.

        Raises:
            EnvironmentProblem: There is no such run.
        """
        path = sockets.find(name)
        if path is None:
            runs = [each.stem for each in sockets.found()]
            shown = ", ".join(runs[:20]) + (f" and {len(runs) - 20} more" if len(runs) > 20 else "")
            known = f"these run: {shown}" if runs else "no pipeline of yours runs here"
            raise EnvironmentProblem(f"no pipeline `{name}` runs here", help=known)
        return cls(path)

    def snapshot(self, *, recent: bool = True) -> dict[str, Any]:
        """Return the snapshot.

        Args:
            recent: With what has happened lately, which may be long.

        Raises:
            EnvironmentProblem: The run has ended, or does not answer.
        """
        found = self.get(f"/api/pipeline{'' if recent else '?recent=0'}")
        if not isinstance(found, dict) or not isinstance(found.get("stages"), list):
            raise self._strange("it tells of no stages")
        return found

    def get(self, path: str) -> Any:
        """Return the JSON under `path`.

        Raises:
            StageError: It is refused.
            EnvironmentProblem: The run has ended, or does not answer.
        """
        return self._whole(path)

    def act(self, stage: str, action: str, args: list[Any], kwargs: dict[str, Any]) -> Any:
        """Carry out an action; returns its `result` and the `event` that tells the outcome.

        Raises:
            ActionError: There is no such action, or its arguments do not fit.
            StageError: It is refused.
            EnvironmentProblem: The run has ended, or does not answer.
        """
        path = f"/api/stages/{quote(stage, safe='')}/{quote(action, safe='')}"
        return self.post(path, {"args": args, "kwargs": kwargs})

    def reload(self, body: Any) -> dict[str, Any]:
        """Ask for a reload; returns the plan, or the diagnostics of files that are wrong.

        Raises:
            StageError: It is refused.
            EnvironmentProblem: The run has ended, or does not answer.
        """
        done = Client(self._path, _RELOAD_S)._whole("/api/reload", body)  # noqa: SLF001 - one of its own kind
        if not isinstance(done, dict) or "done" not in done:
            raise self._strange("it tells of no plan")
        return done

    def post(self, path: str, body: Any) -> Any:
        """Send JSON; returns the JSON that comes back.

        Raises:
            StageError: It is refused.
            EnvironmentProblem: The run has ended, or does not answer.
        """
        done = self._whole(path, body)
        if not isinstance(done, dict) or "result" not in done:
            raise self._strange("it tells of no result")
        return done

    def events(
        self, match: Sequence[str] = (), *, levels: bool = False, state: bool = False
    ) -> Iterator[tuple[str, Any]]:
        """Yield what `/api/events` sends, each by its name.

        First the snapshot, then `event`, `missed` and what else is wanted, at last `end`.

        Args:
            match: Globs over the types of events; none: all.
            levels: Whether levels are wanted.
            state: Whether states are wanted.

        Raises:
            EnvironmentProblem: It breaks off before the end.
        """
        asked = [*(("match", glob) for glob in match), ("levels", 10 if levels else 0)]
        path = f"/api/events?{urlencode([*asked, ('state', int(state))])}"
        with self.streamed(path, endless=True) as response:
            name = ""
            while line := response.readline(_MOST_BYTES):
                key, _, value = line.rstrip(b"\r\n").partition(b": ")
                if key == b"event":
                    name = value.decode("ascii", "replace")
                elif key == b"data":
                    told = self._json(value)
                    yield name, told
                    if name == "end":
                        return
        raise self._ended()

    @contextmanager
    def streamed(
        self, path: str, body: Any = None, *, endless: bool = False
    ) -> Iterator[http.client.HTTPResponse]:
        """Send a request, and give the answer to be read as it comes.

        Args:
            path: What is asked for.
            body: What is sent as JSON; None: nothing.
            endless: Whether the answer may be silent for as long as it likes once it has begun.

        Raises:
            StageError: It is refused.
            EnvironmentProblem: The run has ended, or does not answer.
        """
        connection = _Connection(self._path, self._patience_s)
        begun = False
        try:
            connection.connect()
            line = connection.sock  # which http.client may let go of
            if body is None:
                connection.request("GET", path)
            else:
                text = json.dumps(body)
                connection.request("POST", path, text, {"Content-Type": "application/json"})
            response = connection.getresponse()
            if response.status >= 400 and response.status != _WRONG_FILE:
                self._refuse(response)
            if endless:
                line.settimeout(None)
            begun = True
            yield response
        except TimeoutError as error:
            raise EnvironmentProblem(
                f"`{self._path.stem}` does not answer",
                help="it hangs, or was stopped (Ctrl-Z): look at its terminal",
            ) from error
        except BrokenPipeError as error:
            if begun:
                raise  # of another pipe: nothing is sent any more
            raise self._ended() from error
        except (ConnectionError, FileNotFoundError, http.client.IncompleteRead) as error:
            raise self._ended() from error
        except http.client.HTTPException as error:
            raise self._strange(type(error).__name__) from error
        finally:
            connection.close()

    def _whole(self, path: str, body: Any = None) -> Any:
        with self.streamed(path, body) as response:
            text = response.read(_MOST_BYTES)
            if response.length:
                raise self._ended()
            return self._json(text)

    def _refuse(self, response: http.client.HTTPResponse) -> None:
        told = self._json(response.read(_MOST_LINE))
        if not isinstance(told, dict) or not told.get("error"):
            raise self._strange(f"status {response.status}")
        error = on_one_line(f"{told['error']}", _LONGEST_ERROR)
        help = on_one_line(f"{told.get('help') or ''}", _LONGEST_ERROR) or None
        raise (ActionError if response.status in _WRONG_CALL else StageError)(error, help=help)

    def _json(self, text: bytes) -> Any:
        try:
            return json.loads(text)
        except (ValueError, RecursionError) as error:
            raise self._strange("no JSON") from error

    def _ended(self) -> RunEnded:
        return RunEnded(f"`{self._path.stem}` has ended")

    def _strange(self, what: str) -> EnvironmentProblem:
        return EnvironmentProblem(
            f"what listens on {self._path} does not answer as a pipeline: {what}",
            help="another version of rtpipe runs there, or another program",
        )


@contextmanager
def understood(name: str) -> Iterator[None]:
    """Say that `name` is no pipeline where what it says has another form than a pipeline's.

    Raises:
        EnvironmentProblem: It has.
    """
    try:
        yield
    except (TypeError, KeyError, AttributeError, ValueError) as error:
        raise EnvironmentProblem(
            f"what answers as `{name}` is no pipeline, or another version's",
            help="`rtpipe ps --json` shows the versions",
        ) from error


def snapshots(
    paths: Iterable[Path], within_s: float
) -> list[tuple[Path, dict[str, Any] | RtpipeError]]:
    """Return what each socket answers, or why it does not, in the order of `paths`.

    All are asked beside one another, and nobody is waited for longer than `within_s`.
    """
    order = list(paths)
    waiting: queue.SimpleQueue[Path] = queue.SimpleQueue()
    answers: queue.SimpleQueue[tuple[Path, dict[str, Any] | RtpipeError]] = queue.SimpleQueue()
    for path in order:
        waiting.put(path)
    deadline = time.monotonic() + within_s

    def ask() -> None:
        while (left := deadline - time.monotonic()) > 0:
            try:
                path = waiting.get_nowait()
            except queue.Empty:
                return
            try:
                answers.put((path, Client(path, left).snapshot(recent=False)))
            except RtpipeError as error:
                answers.put((path, error))
            except Exception as error:  # noqa: BLE001 - whatever rubbish makes of a parser
                answers.put((path, EnvironmentProblem(f"{type(error).__name__}: {error}")))

    for _ in range(min(_AT_ONCE, len(order))):
        threading.Thread(target=ask, daemon=True).start()
    found: dict[Path, dict[str, Any] | RtpipeError] = {}
    while len(found) < len(order):
        try:
            path, answer = answers.get(timeout=max(0.0, deadline - time.monotonic()))
        except queue.Empty:
            break
        found[path] = answer
    late = EnvironmentProblem("does not answer")
    return [(path, found.get(path, late)) for path in order]


class _Connection(http.client.HTTPConnection):
    def __init__(self, path: Path, patience_s: float) -> None:
        super().__init__("localhost", timeout=patience_s)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(f"{self._path}")
