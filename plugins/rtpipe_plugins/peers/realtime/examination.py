"""What the stage `realtime` needs: documents, tools and a key by looking, a way out by trying."""

from __future__ import annotations

import asyncio
import os
import socket
from typing import TYPE_CHECKING

from rtpipe import Finding, Ineffective, RtpipeError
from rtpipe.examination import missing_command
from rtpipe_plugins.child.source import missing_function
from rtpipe_plugins.network.addresses import shown
from rtpipe_plugins.peers.realtime.account import account_of
from rtpipe_plugins.peers.realtime.dialects.choice import examine_dialect
from rtpipe_plugins.peers.realtime.embedded import examine_embedded, speech
from rtpipe_plugins.peers.realtime.tools.declarations import CommandTool, PythonTool

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Mapping

    from rtpipe.examination import Examined
    from rtpipe_plugins.peers.realtime.account import Account
    from rtpipe_plugins.peers.realtime.options import RealtimeOptions

_NETWORK_S = 5.0
_SELF_TEST_S = 15.0
_LEAST_SNR_DB = 20.0


def examine(options: RealtimeOptions) -> Iterator[Examined]:
    """Yield what is wrong with the options or missing on this machine; nothing is tried.

    Raises:
        ConfigError: `rules` or `script` is no such document.
    """
    for index, tool in enumerate(options.tools):
        if isinstance(tool, CommandTool):
            option = f"tools.{index}.command.0"
            yield from missing_command(tool.command[0], option, needed=False)
        elif isinstance(tool, PythonTool):
            option = f"tools.{index}.python"
            yield from missing_function(tool.python, tool.folder, option, "named")
    yield from _ineffective(options)
    yield from examine_dialect(options)
    if options.provider == "embedded":
        yield from examine_embedded(options)
    else:
        yield account(options, os.environ)[0]


def _ineffective(options: RealtimeOptions) -> Iterator[Ineffective]:
    """Yield the options that the others leave without effect, if they are written."""
    if options.transport != "webrtc":
        for option in ("opus", "jitter", "ice_servers"):
            message = f"`{option}` is WebRTC's, and `transport` is {options.transport}"
            yield Ineffective(option, message, ("transport",), "say `transport: webrtc`")
    elif options.jitter.engine == "aiortc":
        for option in ("jitter.target_ms", "jitter.max_ms"):
            message = f"`{option}` is for our own buffer, and `engine` is aiortc"
            yield Ineffective(option, message, ("jitter.engine",), "say `engine: rtpipe`")
    if options.provider == "embedded":
        for option in ("api_key", "base_url"):
            message = f"`{option}` is for a server elsewhere, and `provider` is embedded"
            yield Ineffective(option, message, ("provider",))
    else:
        for option in ("rules", "script", "model_path", "faults"):
            message = f"`{option}` is for the embedded server, and `provider` is {options.provider}"
            yield Ineffective(option, message, ("provider",), "say `provider: embedded`")
    if options.reconnect is False and options.roll_over is False:
        message = "no other call follows, to be told `history_items`"
        yield Ineffective("history_items", message, ("reconnect", "roll_over"))
    if options.transcription is None:
        message = "`words_ms` waits for a transcript, and `transcription` is off"
        yield Ineffective("false_interruption.words_ms", message, ("transcription",))


async def probe(options: RealtimeOptions) -> AsyncIterator[Finding]:
    """Yield whether there is a key, whether its server answers, and whether audio gets through."""
    host = None
    if options.provider != "embedded":
        key, found = account(options, os.environ)
        yield key
        if found is not None:
            yield await reachable(found)
            host = found.hostname
    yield udp(host)
    yield speech(options.model_path)
    yield await self_test()


def account(
    options: RealtimeOptions, environment: Mapping[str, str]
) -> tuple[Finding, Account | None]:
    """Look whether there is a key; it is never shown."""
    try:
        found = account_of(options, environment)
    except RtpipeError as error:
        return Finding("missing", error.message, "api_key", error.help, "key"), None
    state = "set, for" if found.key.get_secret_value() else "none; a call asks without one at"
    return Finding("ok", f"{state} {found.host}", "api_key", name="key"), found


async def reachable(account: Account) -> Finding:
    """Ask the server for anything, without the key: any answer will do."""
    import aiohttp

    from rtpipe_plugins.peers.realtime.http_client import heeds_proxies, unreachable

    url, limit = account.base_url, aiohttp.ClientTimeout(total=_NETWORK_S)
    try:
        async with (
            aiohttp.ClientSession(timeout=limit, trust_env=heeds_proxies(account)) as client,
            client.get(f"{url}/models", allow_redirects=False) as answer,
        ):
            return Finding("ok", f"{url} answers ({answer.status})", name="server")
    except (aiohttp.ClientError, OSError) as error:
        why = unreachable(account, error, shown, _NETWORK_S)
        return Finding("missing", f"{url}: {why.message}", help=why.help, name="server")


def udp(host: str | None) -> Finding:
    """Look whether UDP leaves this machine, as far as that shows without an answer."""
    name = "UDP"
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as near:
            near.settimeout(1.0)
            near.bind(("127.0.0.1", 0))
            near.sendto(b"rtpipe", near.getsockname())
            near.recv(16)
            if host is None:
                return Finding("ok", "passes within this machine", name=name)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as out:
            out.connect((host, 443))
            out.send(b"\0")
            seen = f"leaves by {out.getsockname()[0]}; a firewall would only show in a call"
            return Finding("ok", seen, name=name)
    except OSError as error:
        remedy = "let UDP out: WebRTC carries the audio by it, and there is no way round by TCP"
        return Finding("missing", f"{host or 'here'}: {error}", help=remedy, name=name)


async def self_test() -> Finding:
    """Send a tone through Opus and WebRTC, from here to here, and measure what arrives."""
    from rtpipe_plugins.peers.realtime.transports.webrtc.self_test import call_oneself

    name, remedy = "WebRTC self-test", "let UDP pass on 127.0.0.1; `rtpipe -v` says what failed"
    try:
        async with asyncio.timeout(_SELF_TEST_S):
            heard = await call_oneself()
    except (OSError, ConnectionError) as error:
        reason = str(error) or f"nothing arrived within {_SELF_TEST_S:g} s"
        return Finding("missing", reason, help=remedy, name=name)
    seen = f"SNR {heard.snr_db:.1f} dB through Opus, connected in {heard.connect_s * 1000:.0f} ms"
    if heard.snr_db < _LEAST_SNR_DB:
        remedy = "the machine is too busy for live audio: look what else runs"
        return Finding("missing", seen, help=remedy, name=name)
    return Finding("ok", seen, name=name)
