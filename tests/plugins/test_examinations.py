"""What ships examines itself: each mistake and each lack stands at its line and column."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from helpers.documentation import ROOT
from helpers.packages import needs_server
from rtpipe import ConfigError
from rtpipe.language.loading import load
from rtpipe.wording.diagnostics import Diagnostic

PIPELINES = sorted((ROOT / "pipelines").glob("*.yaml"))


@pytest.fixture(autouse=True)
def bare(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine without keys."""
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL", "AZURE_OPENAI_API_KEY"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def without(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Let a module be not installed."""
    gone: set[str] = set()
    find_spec = importlib.util.find_spec

    def found(name: str, *args: Any) -> Any:
        return None if name in gone else find_spec(name, *args)

    monkeypatch.setattr("rtpipe.examination.find_spec", found)
    return gone.add


def diagnosed(folder: Path, text: str) -> list[Diagnostic]:
    path = folder / "desk.yaml"
    path.write_text(f"version: 1\n{text}")
    try:
        return list(load([path], env={}, examine="machine").warnings)
    except ConfigError as error:
        return list(error.diagnostics)


def place(found: Diagnostic) -> tuple[str, int, str]:
    """Return the code, the line, and what is written above the carets."""
    assert found.span is not None
    start = found.span.column - 1
    line = found.span.path.read_text("utf-8").splitlines()[found.span.line - 1]
    return found.code, found.span.line, line[start : start + found.span.length]


def one(folder: Path, text: str) -> tuple[str, int, str, str]:
    """Return the place and the message of the one thing that is found."""
    (found,) = diagnosed(folder, text)
    return *place(found), found.message


def stages(*lines: str) -> str:
    return "stages:\n" + "".join(f"  {line}\n" for line in lines)


@needs_server
@pytest.mark.parametrize("path", PIPELINES, ids=lambda path: path.stem)
def test_the_pipelines_that_ship_lack_nothing_but_extras(path: Path) -> None:
    found = load([path], env={}, examine="machine").warnings
    assert all("pip install 'rtpipe-media[" in (each.help or "") for each in found)
    assert not load([path], env={}, examine="file").warnings


@pytest.mark.parametrize(
    ("lines", "line"),
    [
        (["- file: {realtime: true, path: a.wav}", "- blackhole"], 3),
        (["- file: a.wav", "- blackhole"], 3),
        (["- tone", "- chime: {path: a.wav, on: pipeline.started}", "- blackhole"], 4),
        (["- mic: {}", "  fallback: {file: a.wav}", "- blackhole"], 4),
    ],
)
def test_a_file_that_is_not_there(tmp_path: Path, lines: list[str], line: int) -> None:
    message = f"there is no file {tmp_path / 'a.wav'}"
    assert one(tmp_path, stages(*lines)) == ("E601", line, "a.wav", message)
    (tmp_path / "a.wav").touch()
    assert not diagnosed(tmp_path, stages(*lines))


def test_a_program_that_is_not_there(tmp_path: Path) -> None:
    lack = "there is no command 'no-such-program'"
    source = stages("- process: {live: true, command: no-such-program -q}", "- blackhole")
    assert one(tmp_path, source) == ("E602", 3, "no-such-program -q", lack)
    sink = stages("- tone", "- process_sink: {command: [no-such-program]}")
    assert one(tmp_path, sink) == ("E602", 4, "[no-such-program]", lack)
    subscriber = stages("- tone", "- blackhole") + "events:\n  - exec: no-such-program\n"
    assert one(tmp_path, subscriber) == ("E602", 6, "no-such-program", lack)
    relieved = stages("- process: no-such-program", "  fallback: tone", "- blackhole")
    assert not diagnosed(tmp_path, relieved)


@pytest.mark.parametrize(
    ("module", "found"),
    [
        ("def on_question(event): ...", None),
        ("from elsewhere import on_question", None),
        ("from elsewhere import *", None),
        ("if True:\n    on_question = print", None),
        ("async def on_question(event): ...\nraise RuntimeError('never imported')", None),
        ("def on_qestion(event): ...", "desk.py has no `on_question`"),
        ("class Desk:\n    pass", "desk.py has no `on_question`"),
        ("def on_question(event:\n", "desk.py, line 1: '(' was never closed"),
    ],
)
def test_a_function_is_looked_for_without_importing_its_module(
    tmp_path: Path, module: str, found: str | None
) -> None:
    (tmp_path / "desk.py").write_text(module)
    text = stages("- tone", "- blackhole") + "events:\n  - python: desk:on_question\n"
    if found is None:
        assert not diagnosed(tmp_path, text)
    else:
        assert one(tmp_path, text) == ("E601", 6, "desk:on_question", found)
    assert "desk" not in sys.modules


def test_a_module_that_is_neither_beside_the_file_nor_installed(tmp_path: Path) -> None:
    text = stages("- tone", "- blackhole") + "events:\n  - python: %s:dumps\n"
    assert not diagnosed(tmp_path, text % "json")
    lack = "there is no module `no_such_package`"
    assert one(tmp_path, text % "no_such_package.desk") == (
        "E602",
        6,
        "no_such_package.desk:dumps",
        lack,
    )


def test_certificates_that_are_not_there(tmp_path: Path) -> None:
    text = stages("- tone", "- blackhole")
    text += "events:\n  - mqtt: {topic: a, tls: true, ca_file: ca.pem}\n"
    (lack,) = diagnosed(tmp_path, text)
    assert place(lack) == ("E602", 6, "ca.pem")


def test_an_echo_canceller_without_its_engine(
    tmp_path: Path, without: Callable[[str], None]
) -> None:
    text = stages("- mic", "- echo_cancel: {reference: blackhole}", "- blackhole")
    assert not diagnosed(tmp_path, text)
    without("pywebrtc_audio")
    (lack,) = diagnosed(tmp_path, text)
    assert place(lack) == ("E602", 4, "echo_cancel")
    assert "pip install 'rtpipe-media[echo]'" in (lack.help or "")


def test_a_call_without_a_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = stages("- tone", "- realtime", "- blackhole")
    lack = "no API key: OPENAI_API_KEY is not set"
    assert one(tmp_path, text) == ("E602", 4, "realtime", lack)
    relieved = stages("- tone", "- realtime: {}", "  fallback: {gain: 0}", "- blackhole")
    assert not diagnosed(tmp_path, relieved)
    empty = stages("- tone", '- realtime: {api_key: "  "}', "- blackhole")
    assert one(tmp_path, empty) == ("E602", 4, '"  "', lack)
    monkeypatch.setenv("OPENAI_API_KEY", "sk-of-nobody")
    assert not diagnosed(tmp_path, text)


def test_a_tool_whose_program_is_not_there(tmp_path: Path) -> None:
    text = stages(
        "- tone",
        "- realtime:",
        "    api_key: sk-of-nobody",
        "    tools:",
        "      - {name: a, command: [sh]}",
        "      - {name: b, command: [no-such-program, x]}",
        "  fallback: {gain: 0}",
        "- blackhole",
    )
    lack = "there is no command 'no-such-program'"
    assert one(tmp_path, text) == ("E602", 8, "no-such-program", lack), "the call stands without it"


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
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "rtpipe_realtime_server.faults.knobs", None)
    (lack,) = diagnosed(tmp_path, embedded("faults: {http_492: 1}"))
    assert place(lack) == ("E602", 4, "embedded")
    assert lack.message == "the embedded Realtime server is not installed"
    assert lack.help == "pip install rtpipe-media"
