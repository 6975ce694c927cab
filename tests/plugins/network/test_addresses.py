"""Addresses: what is printed of them, and user and password in them."""

from __future__ import annotations

from urllib.parse import unquote, urlsplit

import pytest
from av.error import HTTPUnauthorizedError
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from rtpipe_plugins.network.addresses import AddressOptions, shown, unreachable

anything = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
passwords = anything.map(lambda text: f"Zq1x{text}Zq2x")
schemes = st.sampled_from(["rtsp://", "icecast://", "https://", "", "concat:http://"])


@given(schemes, passwords, st.sampled_from(["h:554/live", "[::1]/a?key=Zq1x", "h/x#Zq2x"]))
def test_no_part_of_a_password_is_shown(scheme: str, password: str, rest: str) -> None:
    for user in ("viewer", "", "vi:ewer"):
        told = shown(f"{scheme}{user}:{password}@{rest}")
        assert "Zq1x" not in told
        assert "Zq2x" not in told


def test_what_an_address_is_recognized_by_is_shown() -> None:
    for address, told in {
        "rtsp://cam:pa/ss@10.0.0.7:554/a": "rtsp://***@10.0.0.7:554/a",
        "rtsp://cam:pa?ss@10.0.0.7/a": "rtsp://***",
        "https://h/x?mail=a@b": "https://***",
        "https://h/x?key=k#z": "https://h/x?***",
        "udp://@239.0.0.1:1234": "udp://239.0.0.1:1234",
        "session.sdp": "session.sdp",
    }.items():
        assert shown(address) == told


@given(anything.filter(bool), anything)
def test_user_and_password_as_options_arrive_as_they_are(user: str, password: str) -> None:
    given_ = {"url": "rtsp://h:554/live?x=1", "user": user, "password": password}
    options = AddressOptions.model_validate(given_)
    parts = urlsplit(options.address)
    assert (parts.hostname, parts.port, parts.path, parts.query) == ("h", 554, "/live", "x=1")
    name, _, secret = parts.netloc.rpartition("@")[0].partition(":")
    assert (unquote(name), unquote(secret)) == (user, password)


def test_a_password_as_an_option_is_not_shown() -> None:
    options = AddressOptions.model_validate({"url": "rtsp://h", "user": "u", "password": "s3cret"})
    assert "s3cret" not in f"{options!r} {options} {options.model_dump()} {shown(options.address)}"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"url": "rtsp://h", "password": "x"}, "a password needs a user"),
        ({"url": "rtsp://a:b@h", "user": "a"}, "leave one out"),
        ({"url": "rtsp://viewer:hun/ter2@h:9/s"}, "must be %-encoded"),
        ({"url": "rtsp://viewer:hun?ter2@h:9/s"}, "must be %-encoded"),
        ({"url": "rtsp://viewer:hun#ter2@h:9/s"}, "must be %-encoded"),
        ({"url": "icecast://source:p@s:w/d@h:9/a"}, "must be %-encoded"),
    ],
)
def test_mistakes(options: dict[str, str], message: str) -> None:
    with pytest.raises(ValidationError, match=message) as caught:
        AddressOptions.model_validate(options)
    assert "ter2" not in str(caught.value)


@pytest.mark.parametrize(
    "url", ["http://h:80/a@b", "http://[::1]:80/a@b", "http://h/a@b", "rtsp://u:p@ss w@h/x@2"]
)
def test_an_address_that_can_be_meant_is_taken(url: str) -> None:
    assert AddressOptions(url=url).address == url


@pytest.mark.parametrize("scheme", ["rtsp", "icecast", "https"])
def test_how_to_write_a_password_is_told_for_the_scheme_at_hand(scheme: str) -> None:
    refused = HTTPUnauthorizedError(1, "Unauthorized")
    error = unreachable(f"{scheme}://cam:s3cret@h/x", refused, 5)
    assert error.message == f"{scheme}://***@h/x refuses the user or the password"
    assert f"{scheme}://user:p%40ssword@host/path" in str(error.help)
    assert "`user` and `password`" in str(error.help)
    unclear = unreachable(f"{scheme}://cam:12/34@h/x", OSError(113, "x"), 5)
    assert f"{scheme}://user:p%40ssword@host/path" in str(unclear.help)
    assert unreachable(f"{scheme}://h/x", OSError(113, "x"), 5).help is None
