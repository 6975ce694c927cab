"""`rtpipe serve-realtime`: the embedded server as a process of its own."""

from __future__ import annotations

import asyncio
import logging
import os
import secrets
import signal
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from rtpipe import reason_of

_log = logging.getLogger("rtpipe.serve_realtime")
_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
_KEY_VARIABLE = "RTPIPE_REALTIME_API_KEY"
_FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)


@dataclass(frozen=True, slots=True)
class _Serving:
    """What the command line asks for."""

    host: str
    port: int
    api_key: str | None
    session_s: float
    rules: Path | None
    model_path: Path | None
    script: Path | None
    fault: tuple[str, ...]
    seed: int | None
    limit: tuple[str, ...]
    allow_origin: tuple[str, ...]


def _origins(
    _context: click.Context, _parameter: click.Parameter, given: tuple[str, ...]
) -> tuple[str, ...]:
    from rtpipe_realtime_server.calls.origins import ANY, origin

    try:
        return tuple(each if each == ANY else origin(each) for each in given)
    except ValueError as error:
        raise click.BadParameter(str(error)) from error


@click.command("serve-realtime")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=8080,
    show_default=True,
    help="Port; 0 takes a free one.",
)
@click.option("--rules", type=_FILE, help="YAML file with the desk's answers.")
@click.option("--model-path", type=_FOLDER, help="Folder of a faster-whisper model.")
@click.option(
    "--api-key",
    help="The only key to accept; without one any will do. Whoever lists processes sees it here: "
    f"better --api-key-file, or the variable {_KEY_VARIABLE}.",
)
@click.option("--api-key-file", type=_FILE, help="File with the only key to accept, on one line.")
@click.option(
    "--allow-origin",
    multiple=True,
    metavar="ORIGIN",
    callback=_origins,
    help="Web pages that may use the server beside those on this machine: https://kiosk.example, "
    "null, or * for all; may be given several times.",
)
@click.option(
    "--limit",
    multiple=True,
    metavar="NAME=VALUE",
    help="What the server takes at most: sessions=4; may be given several times.",
)
@click.option(
    "--session-s",
    type=click.FloatRange(min=0, min_open=True),
    default=3600,
    show_default=True,
    help="Seconds that a session lasts.",
)
@click.option("--script", type=_FILE, help="YAML file with a dialogue to follow word for word.")
@click.option(
    "--fault",
    multiple=True,
    metavar="NAME[=VALUE]",
    help="Something to do wrong on purpose; may be given several times.",
)
@click.option("--seed", type=int, help="Repeats what the faults leave to chance.")
def serve_realtime(api_key: str | None, api_key_file: Path | None, **given: Any) -> None:
    """Serve the OpenAI Realtime protocol over WebRTC and WebSockets, offline, until Ctrl-C.

    Calls and what is said in them are told on stderr; not with -q.
    """
    serving = _Serving(api_key=_api_key(api_key, api_key_file), **given)
    if serving.script is not None and serving.rules is not None:
        raise click.UsageError("--script and --rules: one of the two gives the answers")
    asyncio.run(_serve(serving))


def _api_key(given: str | None, file: Path | None) -> str | None:
    """Return the only key to accept: of the command line, of a file, or of the environment."""
    if given is not None and file is not None:
        raise click.UsageError("--api-key and --api-key-file: one of the two gives the key")
    key, source = given, "--api-key"
    if file is not None:
        try:
            key, source = file.read_text(), "--api-key-file"
        except (OSError, UnicodeDecodeError) as error:
            raise click.UsageError(f"--api-key-file cannot be read: {reason_of(error)}") from error
    elif given is None:
        key, source = os.environ.get(_KEY_VARIABLE), _KEY_VARIABLE
    if key is None:
        return None
    if len(key.split()) != 1:  # a key that is empty, or two, would be a server that all may use
        raise click.UsageError(f"{source} holds no key: expected one word")
    return key.strip()


async def _serve(serving: _Serving) -> None:
    from rtpipe_realtime_server.brains.choice import brain_and_faults
    from rtpipe_realtime_server.faults.knobs import from_flags
    from rtpipe_realtime_server.limits import limits_from_flags
    from rtpipe_realtime_server.server import RealtimeServer

    brain, faults = brain_and_faults(
        rules=serving.rules,
        model=serving.model_path,
        script=serving.script,
        faults=from_flags(serving.fault),
    )

    seed = secrets.randbelow(2**31) if serving.seed is None else serving.seed
    server = RealtimeServer(
        brain,
        host=serving.host,
        port=serving.port,
        api_key=serving.api_key,
        session_s=serving.session_s,
        faults=faults,
        seed=seed,
        limits=limits_from_flags(serving.limit),
        allow_origins=serving.allow_origin,
        on_note=_note,
    )
    stop = asyncio.Event()

    def on_signal(number: int) -> None:
        if stop.is_set():
            os._exit(128 + number)  # asked twice: whatever holds up the end is not waited for
        stop.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, on_signal, number)
    try:
        await server.start()
        if brain.notice:
            _say(brain.notice)
        # A key that was given is a secret, also from this terminal's scrollback.
        key = "sk-local" if serving.api_key is None else "'<the key you gave>'"
        _say(f"Listening at {server.base_url} (brain: {brain.name}). For its clients:")
        _say(f"export OPENAI_BASE_URL={server.base_url}")
        _say(f"export OPENAI_API_KEY={key}")
        if knobs := faults.described():
            _say(f"Faults: {knobs} (--seed {seed})")
        await stop.wait()
    finally:
        await server.close()


def _note(sentence: str) -> None:
    """Say what the server has to tell, unless `-q` wants less."""
    if _log.isEnabledFor(logging.INFO):
        _say(sentence)


def _say(sentence: str) -> None:
    click.echo(sentence, err=True)
