"""Escaping control characters: nothing foreign reaches a terminal raw."""

from __future__ import annotations

import json
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtpipe import Event
from rtpipe.errors import on_one_line, printable
from rtpipe.events import attributed_line

BIDI = "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
HOSTILE = st.text(alphabet=st.characters() | st.sampled_from("\x1b\x9b\x07\r\n\ud800" + BIDI))


def is_raw(text: str) -> bool:
    return any(unicodedata.category(char) in {"Cc", "Cs"} or char in BIDI for char in text)


@given(HOSTILE)
def test_nothing_raw_is_left_and_every_stream_can_encode_it(text: str) -> None:
    said = printable(text)
    assert not is_raw(said.replace("\n", "").replace("\t", ""))
    assert said.encode("utf-8").decode() == said
    assert printable(said) == said


@given(HOSTILE)
def test_json_means_the_same_after_it_as_before(text: str) -> None:
    assert json.loads(printable(json.dumps(text, ensure_ascii=False))) == text


@given(HOSTILE, HOSTILE, HOSTILE)
def test_the_line_of_an_event_is_one_line_whatever_a_server_calls_itself(
    name: str, source: str, text: str
) -> None:
    class Said(Event):
        def line(self) -> str:
            return text

    who, what = attributed_line(Said(type=name, source=source))
    assert not is_raw(who.replace("\n", "").replace("\t", ""))
    assert not is_raw(what)


@pytest.mark.parametrize("text", ["café … 日本 🎙️", "שלום", "a\tb"])
def test_what_people_write_stays(text: str) -> None:
    assert printable(text) == text


def test_a_long_text_is_cut() -> None:
    assert on_one_line("a\n b" * 100, 10) == "a ba ba b…"[:9] + "…"
