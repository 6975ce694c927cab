"""JSON of whatever an event carries."""

import json
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from rtpipe_plugins.disk.json_text import json_text

TEXTS = st.text(st.characters(), max_size=20) | st.text(
    st.sampled_from('\0\x1b\x7f\x85\x9b\u2028\u2029\ud800\udfff"\\\n\r é'), max_size=6
)
LEAVES = (
    TEXTS
    | st.integers()
    | st.floats()
    | st.none()
    | st.booleans()
    | st.binary()
    | st.complex_numbers()
)
VALUES = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.tuples(inner)
        | st.sets(st.integers(), max_size=3)
        | st.dictionaries(TEXTS | st.integers() | st.tuples(st.integers()), inner, max_size=4)
    ),
    max_leaves=12,
)


def no_number(name: str) -> None:
    raise AssertionError(f"{name} is no JSON")


@given(VALUES)
def test_whatever_it_is_a_strict_parser_takes_it_from_one_line(value: object) -> None:
    text = json_text(value)
    assert text.splitlines() == [text]
    assert all(ord(character) >= 32 and not 127 <= ord(character) < 160 for character in text)
    json.loads(text.encode(), parse_constant=no_number)


@given(
    st.dictionaries(st.text(), st.text() | st.integers() | st.booleans() | st.none(), max_size=5)
)
def test_what_json_can_say_comes_back_as_it_was(value: dict[str, Any]) -> None:
    assert json.loads(json_text(value).encode()) == value


def test_what_it_cannot_say_does_not_raise() -> None:
    class Mute:
        def __str__(self) -> str:
            raise OSError

    circle: list[Any] = []
    circle.append(circle)
    assert json.loads(json_text(circle)) != []
    odd = {"mute": Mute(), "large": 10**5000, "path": Path("/x"), (1, 2): float("nan")}
    assert json.loads(json_text(odd)) == {
        "mute": "<Mute>",
        "large": "<int>",
        "path": "/x",
        "(1, 2)": None,
    }
