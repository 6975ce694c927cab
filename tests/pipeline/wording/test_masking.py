"""No password, token or key is printed, whatever characters it holds and however it is quoted."""

from __future__ import annotations

import json
from urllib.parse import quote

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from helpers.specimens import mistakes, stage, stages, understood
from rtpipe.wording.flow import block
from rtpipe.wording.masking import mask, url_secrets
from rtpipe.wording.rendering import render

MARKS = ("Zq1x", "Zq2x", "Zq3x")
"""Parts of a password: none of them may be seen, so that half a password is not, either."""

special = st.text(st.sampled_from("/?#@:&=;+%, '\"\\<>|!*()[]{}^`~$-_.äß€😀"), max_size=6)
passwords = st.tuples(special, special).map(lambda s: f"Zq1x{s[0]}Zq2x{s[1]}Zq3x")
addresses = st.sampled_from(
    ["rtsp://viewer:{}@h/x", "icecast://a:{}@[::1]:8/x?y=z", "http://:{}@h"]
)


def seen(text: str) -> list[str]:
    return [each for each in MARKS if each in text]


def written(value: str) -> str:
    """Return `value` as YAML."""
    return json.dumps(value.replace("$", "$$"), ensure_ascii=False)


def test_masking() -> None:
    assert mask("a sk-12345 b", {"sk-12345", "12345"}) == "a *** b"
    assert mask("key: sk-12345", {"sk-12345"}, keep_length=True) == "key: ********"
    assert mask("rtsp://u:pw@host/x?a=b@c", set()) == "rtsp://u:***@host/x?a=b@c"
    assert mask("a: 1", {"1", ""}) == "a: 1"
    assert mask("1", {"1", ""}) == "***"
    assert mask("", {""}) == ""


@pytest.mark.parametrize("name", ["key", "api_key", "access_token", "password", "auth", "Secret"])
def test_a_key_in_a_query_is_hidden_and_the_rest_is_not(name: str) -> None:
    text = f"GET http://h:80/x?a=1&{name}=pa#ss&b=2 failed"
    assert mask(text, set()) == f"GET http://h:80/x?a=1&{name}=***&b=2 failed"


@given(passwords, addresses)
def test_a_password_in_a_url_is_hidden_in_every_quotation(password: str, address: str) -> None:
    url = address.format(password)
    secrets = url_secrets(url)
    for text in (url, repr(url), json.dumps(url), quote(url), f"no {url} here", password):
        assert not seen(mask(text, secrets)), text
        assert len(mask(text, secrets, keep_length=True)) == len(text)
    assert not seen(mask(address.format(quote(password, safe="")), secrets))


@given(passwords.filter(lambda each: not set(each) & set(' "\\?#')), addresses)
def test_a_password_in_a_url_of_somebody_elses_is_hidden_too(password: str, address: str) -> None:
    assert not seen(mask(f"cannot open {address.format(password)}: gone", set()))


@settings(max_examples=50)
@given(passwords, addresses)
@example('Zq1x"Zq2x${Zq3x', "rtsp://viewer:{}@h/x")
@example("Zq1x'Zq2x${Zq3x", "http://:{}@h")
def test_looking_at_a_pipeline_shows_no_part_of_a_password(password: str, address: str) -> None:
    url = address.format(password)
    text = stages(f"  - mic: {written(url)}\n  - blackhole\n")
    loaded = understood(text)
    assert stage(loaded, "mic").options.device == url
    assert not seen(block(loaded.resolved))
    assert not seen(loaded.spec.masked(f"{ValueError(url)!r} {password}"))
    from_variable = stages("  - mic: '${camera}'\n  - blackhole\n")
    loaded = understood(f"{from_variable}vars: {{camera: {written(url)}}}\n")
    assert not seen(block(loaded.resolved))
    found = mistakes(text.replace("- blackhole", "- blackhole: {sped: 1}"))
    for quoted in (written(url), "'{}'".format(url.replace("$", "$$").replace("'", "''"))):
        found += mistakes(stages(f"  - mic: {{device: {quoted}, rte: 1}}\n  - blackhole\n"))
    assert not seen(render(found) + f"{found}")


@settings(max_examples=50)
@given(passwords, st.sampled_from(["api_key", "voice"]))
def test_a_secret_option_shows_no_part_of_itself(password: str, name: str) -> None:
    env = {"MY_SECRET": password}
    shown = "'${env:MY_SECRET}'" if name == "voice" else written(password)
    loaded = understood(
        stages(f"  - tone\n  - realtime: {{{name}: {shown}}}\n  - blackhole\n"), env=env
    )
    assert not seen(block(loaded.resolved))
    assert not seen(loaded.spec.masked(f"{ValueError(password)!r}"))


def test_a_pin_without_quotes_is_refused_and_not_shown() -> None:
    found = mistakes(stages("  - tone\n  - realtime: {api_key: 0012345678}\n  - blackhole\n"))
    assert "12345678" not in render(found) + f"{found}"
    assert [(each.code, each.message) for each in found] == [
        ("E103", "`api_key` of `realtime` cannot be ***")
    ]
    assert found[0].help == 'in quotes: `api_key: "..."`'
