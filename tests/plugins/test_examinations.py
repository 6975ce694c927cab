"""What ships examines itself: each mistake and each lack stands at its line and column."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner

from helpers import fake_sounddevice
from helpers.documentation import ROOT
from helpers.examining import diagnosed, one, place, stages
from helpers.packages import needs_server
from rtpipe import ExitCode
from rtpipe.cli import cli
from rtpipe.language.loading import load

PIPELINES = sorted((ROOT / "pipelines").glob("*.yaml"))


@pytest.fixture(autouse=True)
def bare(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine without keys."""
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL", "AZURE_OPENAI_API_KEY"):
        monkeypatch.delenv(name, raising=False)


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


def test_a_program_that_may_not_be_run_and_words_for_a_shell(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "light.sh").touch(0o600)
    (closed,) = diagnosed(tmp_path, stages("- process: ./light.sh on", "- blackhole"))
    assert (closed.message, closed.help) == ("'./light.sh' may not be run", "chmod +x ./light.sh")
    (absent,) = diagnosed(tmp_path, stages("- process: ./dark.sh on", "- blackhole"))
    assert "starts from the current folder" in (absent.help or "")
    text = stages("- tone", "- blackhole") + 'events:\n  - exec: cat | grep "a" > b\n'
    (odd,) = diagnosed(tmp_path, text)
    assert place(odd) == ("E604", 6, 'cat | grep "a" > b')
    assert odd.message == "no shell stands between: `|` is given to cat as it is"
    assert odd.fix is not None
    assert not diagnosed(tmp_path, odd.fix.applied(f"version: 1\n{text}").partition("\n")[2])
    filled = 'vars: {c: "cat | tee"}\n' + text.replace('cat | grep "a" > b', "${c}")
    (odd,) = diagnosed(tmp_path, filled)
    assert odd.fix is None


@pytest.mark.parametrize(
    ("lines", "code", "message"),
    [
        (["- tone", "- file_sink: {path: there.wav}"], "E602", "/there.wav exists already"),
        (["- tone", "- file_sink: {path: there.wav, overwrite: true}"], "", ""),
        (["- tone", "- recorder: there.wav"], "", "it goes to there-2.wav"),
        (["- tone", "- recorder: folder.wav"], "E601", "folder.wav is a folder, and a file is"),
        (["- tone", "- recorder: there.wav/a.wav"], "E601", "there.wav is a file, and a folder"),
        (["- tone", "- recorder: there.wav/b/%Y.wav"], "E601", "there.wav is a file, and a"),
        (["- tone", "- recorder: new/folders/%Y.wav"], "", ""),
        (["- tone", "- blackhole", "events:", "  - jsonl: folder.wav"], "E601", "a folder"),
        (["- tone", "- blackhole", "events:", "  - transcript: there.wav/a.txt"], "E601", ""),
        (["- tone", "- file_sink: {path: /dev/null, format: wav, overwrite: true}"], "", ""),
    ],
)  # fmt: skip
def test_an_output_that_cannot_be_written(
    tmp_path: Path, lines: list[str], code: str, message: str
) -> None:
    (tmp_path / "there.wav").touch()
    (tmp_path / "folder.wav").mkdir()
    text = stages(*lines).replace("  events:", "events:").replace("    - ", "  - ")
    found = diagnosed(tmp_path, text)
    assert [each.code for each in found] == ([code] if code else [])
    assert all(message in each.message for each in found)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_may_not_be_written_to(tmp_path: Path) -> None:
    (tmp_path / "locked").mkdir(mode=0o500)
    lack = f"may not write in {tmp_path / 'locked'}"
    text = stages("- tone", "- recorder: locked/new/%Y.wav")
    assert one(tmp_path, text) == ("E602", 4, "locked/new/%Y.wav", lack)


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


NOT_SO = "`on_question` of desk.py "


@pytest.mark.parametrize(
    ("module", "found"),
    [
        ("def on_question(event): ...", None),
        ("from json import on_question", None),
        ("from json import *", None),
        ("if True:\n    on_question = print", None),
        ("if True:\n    on_question = 3\nelse:\n    def on_question(event): ...", None),
        ("async def on_question(event): ...\nraise RuntimeError('never imported')", None),
        ("@whatever\ndef on_question(): ...", None),
        ("def on_question(event, more=1, *rest, **others): ...", None),
        ("def on_question(*events): ...", None),
        ("on_question = lambda event: None", None),
        ("on_question = make()", None),
        ("class on_question:\n    def __init__(self, event): ...", None),
        ("def on_qestion(event): ...", "desk.py has no `on_question`"),
        ("class Desk:\n    pass", "desk.py has no `on_question`"),
        ("def on_question(event:\n", "desk.py, line 1: '(' was never closed"),
        ("\0", "desk.py: source code string cannot contain null bytes"),
        ("on_question = 'desk'", NOT_SO + "is not a function"),
        ("def on_question(): ...", NOT_SO + "takes no argument, and is given the event"),
        ("on_question = lambda: 1", NOT_SO + "takes no argument, and is given the event"),
        (
            "def on_question(event, desk): ...",
            NOT_SO + "takes 2 arguments, and is given the event alone",
        ),
        (
            "def on_question(event, *, desk): ...",
            NOT_SO + "needs `desk` by name, and is given the event alone",
        ),
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


@pytest.mark.parametrize(
    ("target", "found"),
    [
        ("desk:Desk.static", None),
        ("desk:Desk.made", None),
        ("desk:Heir.from_elsewhere", None),
        ("desk:Desk.plain", "`Desk.plain` of desk.py takes 2 arguments"),
        ("desk:Desk.nothing", "`Desk` of desk.py has no `nothing`"),
    ],
)
def test_a_method_is_looked_for_too(tmp_path: Path, target: str, found: str | None) -> None:
    (tmp_path / "desk.py").write_text(
        "class Desk:\n"
        "    @staticmethod\n    def static(event): ...\n"
        "    @classmethod\n    def made(cls, event): ...\n"
        "    def plain(self, event): ...\n"
        "class Heir(Desk): ...\n"
    )
    seen = diagnosed(tmp_path, stages("- tone", "- blackhole") + f"events:\n  - python: {target}\n")
    assert [each.message.startswith(found or "") for each in seen] == [True] * (found is not None)


def test_what_a_module_of_the_users_imports_is_looked_for(tmp_path: Path) -> None:
    (tmp_path / "desk.py").write_text(
        "import json, os.path\nfrom . import near\nfrom no_such_package.sub import thing\n"
        "try:\n    import neither\nexcept ImportError:\n    pass\n"
        "def on_question(event): ...\n"
    )
    text = stages("- tone", "- blackhole") + "events:\n  - python: desk:on_question\n"
    lack = "desk.py imports `no_such_package`, which is not installed"
    assert one(tmp_path, text) == ("E602", 6, "desk:on_question", lack)


def test_a_module_that_is_nearly_there_is_meant(tmp_path: Path) -> None:
    (tmp_path / "desk_rules.py").write_text("def on_question(event): ...\n")
    text = stages("- tone", "- blackhole") + "events:\n  - python: desk_rule:on_question\n"
    (found,) = diagnosed(tmp_path, text)
    assert place(found) == ("E601", 6, "desk_rule:on_question")
    assert found.help == "did you mean `desk_rules:on_question`?"


def test_a_module_that_is_neither_beside_the_file_nor_installed(tmp_path: Path) -> None:
    text = stages("- tone", "- blackhole") + "events:\n  - python: %s:dumps\n"
    assert not diagnosed(tmp_path, text % "json")
    assert not diagnosed(tmp_path, (text % "os.path").replace("dumps", "join"))
    assert one(tmp_path, (text % "json").replace("dumps", "dmups")) == (
        "E601", 6, "json:dmups", "json has no `dmups`",
    )  # fmt: skip
    assert one(tmp_path, (text % "json.coder")) == (
        "E602", 6, "json.coder:dumps", "there is no module `json.coder`",
    )  # fmt: skip
    assert one(tmp_path, (text % "click.types").replace("dumps", "nothing"))[0] == "E602"
    lack = "there is no module `no_such_package`"
    assert one(tmp_path, text % "no_such_package.desk") == (
        "E602",
        6,
        "no_such_package.desk:dumps",
        lack,
    )


def test_a_device_that_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_sounddevice.install(monkeypatch)
    assert not diagnosed(tmp_path, stages("- mic: {device: headset}", "- speaker: Headset"))
    text = stages("- mic: Headphone", "- speaker: {device: Camera}")
    mic, speaker = diagnosed(tmp_path, text)
    assert (place(mic), place(speaker)) == (("E602", 3, "Headphone"), ("E602", 4, "Camera"))
    assert mic.message.startswith("no input device matches `Headphone`; there is 0: Built-in")
    assert mic.help == "`rtpipe devices` prints what to paste"
    relieved = stages("- mic: Headphone", "  fallback: tone", "- speaker")
    assert not diagnosed(tmp_path, relieved)
    (several,) = diagnosed(tmp_path, stages("- mic: audio", "- blackhole"))
    assert several.message.startswith("several input devices match `audio`")
    path = tmp_path / "desk.yaml"
    assert not load([path], env={}, examine="file").warnings, "a run does not look"
    fake_sounddevice.remove_portaudio(monkeypatch)
    (lack,) = diagnosed(tmp_path, stages("- mic", "- blackhole"))
    assert place(lack) == ("E602", 3, "mic")
    assert lack.message == "the PortAudio library is not installed"


def test_a_sound_system_that_hangs_is_not_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake = fake_sounddevice.install(monkeypatch)
    end = threading.Event()
    monkeypatch.setattr(fake, "query_devices", lambda: [] if end.wait() else None)
    monkeypatch.setattr("rtpipe_plugins.soundcard.probing._LOOK_S", 0.05)
    try:
        (lack,) = diagnosed(tmp_path, stages("- mic", "- blackhole"))
    finally:
        end.set()
    assert lack.message.startswith("the sound system hangs")


def test_certificates_that_are_not_there(tmp_path: Path) -> None:
    text = stages("- tone", "- blackhole")
    text += "events:\n  - mqtt: {topic: a, tls: true, ca_file: ca.pem}\n"
    (lack,) = diagnosed(tmp_path, text)
    assert place(lack) == ("E602", 6, "ca.pem")


def test_an_echo_canceller_without_its_engine(
    tmp_path: Path, without: Callable[[str], None]
) -> None:
    text = stages(
        "- tone: {realtime: true}", "- echo_cancel: {reference: blackhole}", "- blackhole"
    )
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


def test_a_server_of_somebody_elses_may_know_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-of-nobody")
    said = "turn_detection: {type: none, patience: 3}, voice: marine, session: {temperature: 1}"
    strict = stages("- tone", f"- realtime: {{{said}}}", "- blackhole")
    codes = {each.code for each in diagnosed(tmp_path, strict)}
    assert codes == {"E102", "E103"}
    other = strict.replace("{turn", "{base_url: https://desk.example/v1, turn")
    assert not diagnosed(tmp_path, other)
    monkeypatch.setenv("OPENAI_BASE_URL", "https://desk.example/v1")
    assert not diagnosed(tmp_path, strict)


def test_a_run_is_refused_before_anything_opens(tmp_path: Path) -> None:
    path = tmp_path / "desk.yaml"
    for line in (
        "realtime: {transport: websocket, jitter: {max_ms: 300}}",
        "realtime: {turn_detection: {threshold: 5}}",
        "realtime: {tools: [{python: 'desk:nothing'}]}",
    ):
        (tmp_path / "desk.py").write_text("raise SystemExit('imported')\n")
        path.write_text(f"version: 1\n{stages('- tone', f'- {line}', '- blackhole')}")
        ran = CliRunner().invoke(cli, ["run", str(path)])
        assert ran.exit_code == ExitCode.CONFIGURATION, ran.output
        assert "error[E" in ran.stderr


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
