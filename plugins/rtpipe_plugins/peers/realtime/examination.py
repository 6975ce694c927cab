"""What the stage `realtime` needs: documents, tools and a key by looking, a way out by trying."""

from __future__ import annotations

import asyncio
import os
import socket
from typing import TYPE_CHECKING

from rtpipe import Finding, RtpipeError
from rtpipe.examination import missing_command
from rtpipe_plugins.peers.realtime.account import account_of
from rtpipe_plugins.peers.realtime.embedded import examine_embedded, speech
from rtpipe_plugins.peers.realtime.tools.declarations import CommandTool

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Mapping

    from rtpipe.examination import Examined
    from rtpipe_plugins.peers.realtime.account import Account
    from rtpipe_plugins.peers.realtime.options import RealtimeOptions

_NETWORK_S = 5.0
_SELF_TEST_S = 15.0
_LEAST_SNR_DB = 20.0


def examine(options: RealtimeOptions) -> Iterator[Examined]:
    """Yield what is wrong with the options or missing on this machine, without trying anything.

    Raises:
        ConfigError: `rules` or `script` is no such document.
    """
    for index, tool in enumerate(options.tools):
        if isinstance(tool, CommandTool):
            option = f"tools.{index}.command.0"
            yield from missing_command(tool.command[0], option, needed=False)
    if options.provider == "embedded":
        yield from examine_embedded(options)
    else:
        yield account(options, os.environ)[0]


async def probe(options: RealtimeOptions) -> AsyncIterator[Finding]:
    """Yield whether there is a key, whether its server answers, and whether audio gets through."""
    host = None
    if options.provider != "embedded":
        key, found = account(options, os.environ)
        yield key
        if found is not None:
            yield await reachable(found.base_url)
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
    return Finding("ok", f"set, for {found.host}", "api_key", name="key"), found


async def reachable(url: str) -> Finding:
    """Ask the server for anything, without the key: any answer will do."""
    import aiohttp

    remedy = "look at the network, HTTPS_PROXY and the address; or `provider: embedded`"
    limit = aiohttp.ClientTimeout(total=_NETWORK_S)
    try:
        async with (
            aiohttp.ClientSession(timeout=limit, trust_env=True) as client,
            client.get(f"{url}/models", allow_redirects=False) as answer,
        ):
            return Finding("ok", f"{url} answers ({answer.status})", name="server")
    except (aiohttp.ClientError, OSError) as error:
        reason = str(error) or f"no answer within {_NETWORK_S:g} s"
        return Finding("missing", f"{url}: {reason}", help=remedy, name="server")


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
