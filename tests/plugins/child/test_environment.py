"""A child's environment: without secrets, and without what the pipeline's files read."""

from __future__ import annotations

import os
import sys
from unittest import mock

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from rtpipe_plugins.child.environment import GivenBack, child_environment
from rtpipe_plugins.child.process import ChildProcess

SECRET = ("KEY", "TOKEN", "SECRET", "PASSWORD", "PASS")
LETTERS = st.characters(exclude_categories=["Cs"], exclude_characters="=\0")
PLAIN = st.text(LETTERS, min_size=1, max_size=12)
ENDINGS = st.sampled_from([*SECRET, *map(str.lower, SECRET)])
NAMES = PLAIN | st.builds(str.__add__, st.text(LETTERS, max_size=8), ENDINGS)
VALUES = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=8)


@st.composite
def machines(draw: st.DrawFn) -> tuple[dict[str, str], set[str], set[str]]:
    """An environment, what of it a file reads, and what is given back."""
    ours = draw(st.dictionaries(NAMES, VALUES, max_size=8))
    some = st.sets(st.sampled_from(sorted(ours)) | NAMES if ours else NAMES, max_size=4)
    return ours, draw(some), draw(some)


@given(machines())
def test_every_variable_is_given_or_withheld_for_a_reason(
    machine: tuple[dict[str, str], set[str], set[str]],
) -> None:
    ours, read, back = machine
    with mock.patch.dict(os.environ, ours, clear=True):
        child = child_environment(read, back)
    assert {*child.variables, *child.withheld} == set(ours)
    assert all(ours[name] == value for name, value in child.variables.items())
    for name in ours:
        secret = name in read or name.upper().endswith(SECRET)
        assert (name in child.withheld) == (secret and name not in back)
        assert (name in child.variables) != (name in child.withheld)


@settings(max_examples=15)
@given(machines())
async def test_a_real_child_sees_just_that(
    machine: tuple[dict[str, str], set[str], set[str]],
) -> None:
    ours, read, back = machine
    code = "import os, sys; sys.stdout.buffer.write(b'\\0'.join(os.environb))"
    with mock.patch.dict(os.environ, ours, clear=True):
        child = ChildProcess([sys.executable, "-ISc", code], read=read, given=back)
        try:
            await child.start(writes=True)
            seen = {name.decode() for name in (await child.read(1 << 20)).split(b"\0") if name}
            await child.succeeded()
        finally:
            await child.close()
    assert seen - {"LC_CTYPE"} == set(ours) - set(child.withheld) - {"LC_CTYPE"}


@pytest.mark.parametrize(
    "name", ["OPENAI_API_KEY", "AZURE_OPENAI_API_KEY", "AZURE_OPENAI_AD_TOKEN", "AZURE_SECRET"]
)
def test_the_keys_of_the_providers_are_withheld(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, "sk-canary")
    assert name in child_environment().withheld
    assert name not in child_environment(given=(name,)).withheld


@pytest.mark.parametrize("name", ["", "A=B", "A\0"])
def test_what_can_be_no_name_is_refused(name: str) -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(GivenBack).validate_python([name])
