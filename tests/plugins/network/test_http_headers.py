"""What a server's headers say of time."""

from __future__ import annotations

import time
from email.utils import formatdate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtpipe_plugins.network.http_headers import retry_after_s, server_time_s

NOON = "Sun, 22 Nov 2026 12:00:00 GMT"


@pytest.mark.parametrize(
    ("value", "seconds"),
    [("7", 7.0), ("0", 0.0), (" 99999999 ", 99_999_999.0)]
    + [(odd, None) for odd in ("", "-5", "soon", "²", "1.5", "nan", "9" * 400)],
)
def test_retry_after_in_seconds(value: str, seconds: float | None) -> None:
    assert retry_after_s({"Retry-After": value}) == seconds


def test_retry_after_as_a_date_goes_by_the_servers_clock() -> None:
    later, earlier = "Sun, 22 Nov 2026 12:00:30 GMT", "Sun, 22 Nov 2026 11:00:00 GMT"
    assert retry_after_s({"Retry-After": later, "Date": NOON}) == 30.0
    assert retry_after_s({"Retry-After": earlier, "Date": NOON}) == 0.0


def test_a_server_that_shows_no_clock_is_taken_to_have_ours() -> None:
    asked = retry_after_s({"Retry-After": formatdate(time.time() + 7200, usegmt=True)})
    assert asked == pytest.approx(7200, abs=5)
    assert retry_after_s({"Retry-After": formatdate(time.time() - 7200, usegmt=True)}) == 0.0


def test_nothing_said_is_nothing_known() -> None:
    assert retry_after_s({}) is None
    assert server_time_s({}) is None
    assert server_time_s({"Date": "yesterday"}) is None
    assert server_time_s({"Date": NOON}) == 1_795_348_800


WORDS = st.sampled_from(
    ["Mon,", "01", "Jan", "99999999999", "2020", "00:00:00", "99:99:99", "1:2:3:4", "GMT", "-0000"]
)
ZONES = st.sampled_from(["+99999999999999999999", "-0000", "²", "(", ",", ":"])
HEADERS = st.text() | st.lists(WORDS | ZONES, max_size=9).map(" ".join)


@given(HEADERS, HEADERS)
def test_no_header_is_too_odd(wanted: str, date: str) -> None:
    """An exception here once ended delivery for the rest of the run."""
    seconds = retry_after_s({"Retry-After": wanted, "Date": date})
    assert seconds is None or 0.0 <= seconds < float("inf")
