"""Calls as somebody types them: read as a pipeline file reads them."""

from __future__ import annotations

import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtpipe.documents import Call, read_call, read_word
from rtpipe.errors import ActionError
from rtpipe.language.nodes import plain
from rtpipe.language.reader import read_value
from rtpipe.wording.diagnostics import Findings, Span


def in_a_file(text: str) -> Any:
    """Return what the text means as the argument of a call in a file; a mistake there: raise."""
    findings = Findings()
    path = Path("a.yaml")
    findings.add_source(path, text)
    node = read_value(text, Span(path, 1, 1), findings)
    if node is None:
        raise ValueError(findings.errors()[0].message)
    return plain(node)


@pytest.mark.parametrize(
    "word",
    ["-6", "6.5", "1e3", "-.5", "0x10", "010", "true", "no", "null", "~", "", "USB Audio", "a,b",
     ".inf", "[a, 2]", "{a: {b: -1}}", '"-6"', "'it''s'", "hw:1,0", "[]", "a#b", "x=y", "ü"],
)  # fmt: skip
def test_a_word_means_what_it_means_in_a_file(word: str) -> None:
    assert read_word(word) == in_a_file(word)


@given(st.from_regex(r"[-+.\w]{0,12}", fullmatch=True))
def test_any_plain_word_means_what_it_means_in_a_file(word: str) -> None:
    # Alone, `-` begins a list in a file and `---` a document; a shell's word is text then.
    meant = word if word in {"-", "---"} else in_a_file(word)
    read = read_word(word)
    assert read == meant or (math.isnan(read) and math.isnan(meant))


@pytest.mark.parametrize(
    "text", ["We close: now", "50 % off # today", "* really *", "@noon", "- and so on", "say: hi"]
)
def test_what_people_say_is_text_whatever_stands_in_it(text: str) -> None:
    assert read_word(text) == text


@pytest.mark.parametrize(
    ("called", "words", "call"),
    [
        ("gain.set", ["-6"], Call("gain", "set", [-6], {})),
        ("gain.set", ["gain_db=-6"], Call("gain", "set", [], {"gain_db": -6})),
        ("gain.set(-6)", [], Call("gain", "set", [-6], {})),
        ("gain.set(gain_db=-6.0)", [], Call("gain", "set", [], {"gain_db": -6.0})),
        ("a-b.c", ["[1, 2]", "x={a: b}"], Call("a-b", "c", [[1, 2]], {"x": {"a": "b"}})),
        ("say.text", ["a==b"], Call("say", "text", ["a==b"], {})),
        ("say.text('a, b', \"c\")", [], Call("say", "text", ["a, b", "c"], {})),
        ("gain.mute()", [], Call("gain", "mute", [], {})),
    ],
)
def test_a_call_is_typed_by_the_word_or_as_in_a_file(
    called: str, words: list[str], call: Call
) -> None:
    assert read_call(called, words) == call


@pytest.mark.parametrize(
    ("called", "words", "told"),
    [
        ("gain", [], "`gain` is no action"),
        ("gain.set.now", [], "is no action"),
        ("gain.set(", [], "is no action"),
        ("", [], "is no action"),
        ("gain.set(1)", ["2"], "not both"),
        ("gain.set", ["gain_db=1", "2"], "`2` has no name"),
        ("gain.set", ["[1"], "never closed"),
        ("gain.set", ["\x1b"], None),
        ("gain.set", ["[\x1b]"], "control character"),
        ("gain.set", ["[" * 5000], "deep"),
        ("gain.set(!!python/object:os.system x)", [], "tag"),
    ],
)
def test_what_is_none_is_told(called: str, words: list[str], told: str | None) -> None:
    if told is None:
        assert read_call(called, words).args == words
        return
    with pytest.raises(ActionError, match=told):
        read_call(called, words)


def test_a_plain_word_is_read_without_what_reads_yaml() -> None:
    program = (
        "import sys; from rtpipe.documents import read_call\n"
        "call = read_call('gain.set', ['-6', 'x=USB'])\n"
        "print(call, {'ruamel.yaml', 'pydantic'} & {*sys.modules})"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.endswith("args=[-6], kwargs={'x': 'USB'}) set()\n")
