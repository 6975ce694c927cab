"""`rtpipe serve-realtime`: the embedded server as a process of its own."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path
from typing import TYPE_CHECKING

import click

from rtpipe import ExitCode, RtpipeError

if TYPE_CHECKING:
    from rtpipe_plugins.realtime_server.brain import Brain

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
_FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)


def add_commands(cli: click.Group) -> None:
    """Add `serve-realtime` to the command line."""
    cli.add_command(serve_realtime)


@click.command("serve-realtime")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", default=8080, show_default=True, help="Port; 0 takes a free one.")
@click.option("--rules", type=_FILE, help="YAML file with the desk's answers.")
@click.option("--model-path", type=_FOLDER, help="Folder of a faster-whisper model.")
@click.option("--api-key", help="The only key to accept. Without it any key will do.")
def serve_realtime(
    host: str, port: int, rules: Path | None, model_path: Path | None, api_key: str | None
) -> None:
    """Serve the OpenAI Realtime protocol over WebRTC, offline, until Ctrl-C."""
    from rtpipe_plugins.realtime_server.desk import DeskError
    from rtpipe_plugins.realtime_server.speech import ModelError, brain_from_options

    try:
        asyncio.run(_serve(brain_from_options(rules, model_path), host, port, api_key))
    except (DeskError, ModelError) as error:
        raise RtpipeError(str(error), exit_code=ExitCode.CONFIGURATION) from error


async def _serve(brain: Brain, host: str, port: int, api_key: str | None) -> None:
    from rtpipe_plugins.realtime_server.server import RealtimeServer

    server = RealtimeServer(brain, host=host, port=port, api_key=api_key, on_note=_say)
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    try:
        await server.start()
        if brain.notice:
            _say(brain.notice)
        # A key that was given is a secret, also from this terminal's scrollback.
        key = "sk-local" if api_key is None else "'<the key you gave>'"
        _say(f"Listening at {server.base_url} (brain: {brain.name}). For its clients:")
        _say(f"export OPENAI_BASE_URL={server.base_url}")
        _say(f"export OPENAI_API_KEY={key}")
        await stop.wait()
    finally:
        await server.close()


def _say(sentence: str) -> None:
    click.echo(sentence, err=True)
