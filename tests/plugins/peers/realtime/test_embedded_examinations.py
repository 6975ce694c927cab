"""The embedded server is examined with the stage that runs it: options, documents, speech."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from helpers.examining import diagnosed, one, place, stages
from helpers.packages import needs_server


def embedded(options: str) -> str:
    return stages("- tone", f"- realtime: {{provider: embedded, {options}}}", "- blackhole")


@needs_server
@pytest.mark.parametrize(
    ("options", "code", "pointed", "message"),
    [
        ("faults: {http_492: 1}", "E102", "http_492", "`faults` has no option `http_492`"),
        ("faults: {drift_ppm: fast}", "E103", "fast", "`drift_ppm` of `faults` cannot be fast"),
        ("faults: {http_429: true}", "E103", "true", "`http_429` of `faults` cannot be true"),
        ("rules: no.yaml", "E601", "no.yaml", "there is no file"),
        ("script: no.yaml", "E601", "no.yaml", "there is no file"),
        ("model_path: whisper", "E601", "whisper", "there is no folder"),
    ],
)
def test_what_an_embedded_server_cannot_use(
    tmp_path: Path, options: str, code: str, pointed: str, message: str
) -> None:
    found = one(tmp_path, embedded(options))
    assert found[:3] == (code, 4, pointed)
    assert found[3].startswith(message)


@needs_server
def test_a_bad_day_of_an_embedded_server_is_checked_in_a_fallback_too(tmp_path: Path) -> None:
    text = stages(
        "- tone",
        "- realtime: {api_key: sk-of-nobody}",
        "  fallback: {realtime: {provider: embedded, faults: {vanish: 1}}}",
        "- blackhole",
    )
    (found,) = diagnosed(tmp_path, text)
    assert place(found) == ("E102", 5, "vanish")
    assert found.help == "did you mean `vanish_s`?"


@needs_server
@pytest.mark.parametrize(
    ("option", "document"),
    [
        ("script", "turns: [{say: hello, sya: hello}]\n"),
        (
            "rules",
            "rules: [{about: a, any: [a], say: [b], sya: 1}]\notherwise: [c]\nsilence: [d]\n",
        ),
    ],
)
def test_a_document_of_an_embedded_server_is_checked_in_its_own_place(
    tmp_path: Path, option: str, document: str
) -> None:
    path = tmp_path / "talk.yaml"
    path.write_text(document)
    (wrong,) = diagnosed(tmp_path, embedded(f"{option}: talk.yaml"))
    assert wrong.span is not None
    assert wrong.span.path == path
    assert place(wrong) == ("E102", 1, "sya")
    assert wrong.source == document.splitlines()[0]


@needs_server
def test_an_embedded_server_without_speech_where_it_is_to_speak(
    tmp_path: Path, without: Callable[[str], None]
) -> None:
    without("hibari")
    lack = "without hibari the embedded peer has tones instead of a voice"
    assert one(tmp_path, embedded("voice: ash")) == ("E602", 4, "realtime", lack)
    script = tmp_path / "talk.yaml"
    script.write_text("turns: [{say: hello}]\n")
    assert not diagnosed(tmp_path, embedded("script: talk.yaml"))
    script.write_text("turns: [{say: hello, sound: {spoken: true}}]\n")
    assert one(tmp_path, embedded("script: talk.yaml")) == ("E602", 4, "realtime", lack)


def test_an_embedded_server_that_is_not_installed(
    tmp_path: Path, without: Callable[[str], None]
) -> None:
    without("rtpipe_realtime_server")
    (lack,) = diagnosed(tmp_path, embedded("faults: {http_492: 1}"))
    assert place(lack) == ("E602", 4, "embedded")
    assert lack.message == "the embedded Realtime server is not installed"
    assert lack.help == "pip install rtpipe-media"
