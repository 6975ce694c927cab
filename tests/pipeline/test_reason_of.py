"""Why something failed, in the system's words."""

from __future__ import annotations

import errno
import socket
import ssl

import aiohttp
import av
import pytest
from aiohttp.client_reqrep import ConnectionKey

from rtpipe import reason_of

KEY = ConnectionKey(
    "desk.example", 443, is_ssl=True, ssl=True, proxy=None, proxy_auth=None, proxy_headers_hash=None
)


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (OSError(errno.ENOSPC, "whatever", "/secret/path"), "No space left on device"),
        (OSError("a WAV file holds 4 GiB"), "a WAV file holds 4 GiB"),
        (OSError(), "OSError"),
        (OSError(errno.ECONNREFUSED, "Connect call failed ('::1', 9)"), "Connection refused"),
        (socket.gaierror(8, "nodename nor servname provided"), "nodename nor servname provided"),
        (ssl.SSLError(1, "[SSL] wrong version number"), "[SSL] wrong version number"),
        (ValueError("half a frame"), "half a frame"),
        (TimeoutError(), "TimeoutError"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_the_systems_words_come_first(error: Exception, reason: str) -> None:
    assert reason_of(error) == reason


def test_what_aiohttp_wraps_is_unwrapped() -> None:
    refused = OSError(errno.ECONNREFUSED, "Connect call failed")
    assert reason_of(aiohttp.ClientConnectorError(KEY, refused)) == "Connection refused"
    unknown = socket.gaierror(-2, "Name or service not known")
    wrapped = aiohttp.ClientConnectorDNSError(KEY, unknown)
    assert reason_of(wrapped) == "Name or service not known"


def test_ffmpegs_numbers_are_not_the_systems() -> None:
    with pytest.raises(av.error.InvalidDataError) as caught:
        av.open("/etc/passwd")
    assert reason_of(caught.value) == "Invalid data found when processing input"


def test_an_errors_own_text_can_be_left_out() -> None:
    assert reason_of(aiohttp.InvalidURL("http://desk:s3cret@x"), own_text=False) == "InvalidURL"
    assert reason_of(OSError(errno.EPIPE, "s3cret"), own_text=False) == "Broken pipe"
