"""validate, print, graph, stages, events, plugins, schema, explain."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from helpers.specimens import KIOSK, registry
from rtpipe import ExitCode
from rtpipe.catalogue.explain import pages
from rtpipe.catalogue.plugins import Registry
from rtpipe.cli import cli
from rtpipe.language.nodes import plain
from rtpipe.language.reader import read_text
from rtpipe.wording.diagnostics import Findings

TREMOLO = """
from rtpipe import Options, Transform, hookimpl

class TremoloOptions(Options):
    \"\"\"Wobbles the volume.\"\"\"

class Tremolo(Transform[TremoloOptions]):
    kind = "tremolo"

@hookimpl
def rtpipe_stages():
    return [Tremolo]
"""


@pytest.fixture(autouse=True)
def specimens(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(Registry, "discover", registry)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "prompts").mkdir()
    (tmp_path / "prompts" / "desk.md").write_text("Be kind.\nBe brief.\n")
    (tmp_path / "kiosk.yaml").write_text(KIOSK)
    (tmp_path / "odd.yaml").write_text("version: 1\nstages: [tone, gain: 3, mic, blackhole]\n")
    (tmp_path / "bad.yaml").write_text("version: 1\nstages: [mci, gain: x]\n")


LOOKED_AT = "(looked at the file, the graph and the environment)"


def run(*args: str) -> Result:
    return CliRunner().invoke(cli, list(args))


def good(*args: str) -> str:
    result = run(*args)
    assert result.exit_code == ExitCode.OK, result.output
    return result.stdout


def test_validate() -> None:
    assert (
        good("validate", "kiosk.yaml")
        == f"kiosk.yaml: 7 stages, 3 routes, no problems {LOOKED_AT}\n"
    )
    result = run("validate", "odd.yaml")
    assert result.exit_code == ExitCode.OK
    assert result.stdout == f"odd.yaml: 4 stages, 0 routes, 1 warning {LOOKED_AT}\n"
    assert "warning[E208]: nobody reads `gain`" in result.stderr
    assert run("validate", "odd.yaml", "-q").stderr == ""
    assert run("validate", "bad.yaml").stderr.endswith(
        " errors (looked at the file and the graph)\n"
    )
    Path("none.yaml").write_text("{")
    assert run("validate", "none.yaml").stderr.splitlines()[-1].startswith("1 error (looked at")
    report = json.loads(run("validate", "bad.yaml", "--format", "json").stdout)
    assert report["looked_at"] == ["file", "graph"]
    less = good("validate", "--no-environment", "kiosk.yaml")
    assert less.endswith("no problems (looked at the file and the graph)\n")


def test_validate_with_everything_that_can_be_said() -> None:
    Path("over.yaml").write_text(
        "profiles: {quiet: {stages: {speaker: {file_sink: x.wav}}}}\nstages: {mic: {tone: null}}\n"
    )
    shown = json.loads(
        good("print", "--json", "kiosk.yaml", "over.yaml", "--profile", "quiet",
             "--set", "gain=-3", "--set", "vars.voice=ash")
    )  # fmt: skip
    assert [next(iter(s)) if isinstance(s, dict) else s for s in shown["stages"]] == [
        "tone", "gain", "vad", "mute_gate", "realtime", "file_sink", "recorder",
    ]  # fmt: skip
    assert shown["stages"][1] == {"gain": {"gain_db": -3}}
    assert shown["stages"][4]["realtime"]["voice"] == "ash"


def test_validate_as_json() -> None:
    assert json.loads(good("validate", "kiosk.yaml", "--format", "json")) == {
        "ok": True, "looked_at": ["file", "graph", "environment"], "diagnostics": [],
    }  # fmt: skip
    result = run("validate", "bad.yaml", "--format", "json")
    assert result.exit_code == ExitCode.CONFIGURATION
    report = json.loads(result.stdout)
    assert report["ok"] is False
    assert [(d["code"], d["line"], d["column"]) for d in report["diagnostics"]] == [
        ("E101", 2, 10), ("E103", 2, 21),
    ]  # fmt: skip
    assert result.stderr == ""


def test_validate_for_github() -> None:
    lines = run("validate", "bad.yaml", "--format", "github").stdout.splitlines()
    assert lines[0].startswith("::error file=bad.yaml,line=2,col=10,endColumn=13,title=E101::")
    assert good("validate", "odd.yaml", "--format", "github").startswith("::warning file=odd.yaml")


def test_print_is_yaml_that_means_the_same() -> None:
    text = good("print", "kiosk.yaml")
    Path("again.yaml").write_text(text)
    assert good("print", "again.yaml") == text
    root = read_text(text, Path("x"), Findings())
    assert root is not None
    assert plain(root) == json.loads(good("print", "kiosk.yaml", "--json"))
    assert "      instructions: |\n        Be kind.\n        Be brief.\n" in text


def test_print_masks_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DESK_KEY", "sk-canary-1")
    text = good("print", "kiosk.yaml", "--set", "realtime.api_key=${env:DESK_KEY}",
                "--set", "realtime.session.token=sk-canary-2")  # fmt: skip
    assert "canary" not in text
    assert text.count("***") == 2


def test_graph_as_text() -> None:
    stages, _, routes = good("graph", "kiosk.yaml").partition("\n\nevents\n")
    lines = stages.splitlines()
    assert [line.split()[1] for line in lines if "●" in line] == [
        "mic", "gain", "vad", "mute_gate", "realtime", "speaker", "recorder",
    ]  # fmt: skip
    assert lines[0] == "●    mic        mic (source), else file"
    assert lines[1].split("  ")[-1] == "<- mic"
    assert "<- mute_gate [queue" in lines[4]
    assert "as s16, mono, 48000 Hz; 20 ms frames]" in lines[4]
    assert "<- mute_gate [" in lines[6]
    assert lines[7].strip().startswith("<- realtime [")
    assert "input_audio_buffer.speech_started  ->  speaker.flush" in routes


def test_graph_in_other_forms() -> None:
    mermaid = good("graph", "kiosk.yaml", "--format", "mermaid").splitlines()
    assert mermaid[0] == "flowchart LR"
    assert '  s_mic(["mic<br>else file"])' in mermaid
    assert any(line.startswith("  s_mute_gate -->|") for line in mermaid)
    assert "  s_mic -.-> s_gain" in mermaid
    dot = good("graph", "kiosk.yaml", "--format", "dot")
    assert dot.startswith("digraph pipeline {\n")
    assert '  "mute_gate" -> "recorder" [label=' in dot
    report = json.loads(good("graph", "kiosk.yaml", "--json"))
    assert report == json.loads(good("graph", "kiosk.yaml", "--format", "json"))
    assert report["stages"][6]["inputs"] == ["mute_gate", "realtime"]
    assert {"from": "mute_gate", "to": "recorder", "inlet": 0}.items() <= next(
        edge for edge in report["edges"] if edge["to"] == "recorder"
    ).items()


def test_stages_lists_every_kind_by_family() -> None:
    text = good("stages")
    assert text.index("sources") < text.index("transforms") < text.index("subscribers")
    assert "  mic   What a microphone hears.\n" in text
    listed = json.loads(good("stages", "--json"))
    assert [each["kind"] for each in listed] == sorted(registry().kinds)


def test_a_page_of_a_stage() -> None:
    text = good("stages", "mic")
    assert text.startswith("mic, a source\n\n  What a microphone hears.\n")
    assert "  device *     text or a whole number (default). Name, part of one, or index.\n" in text
    assert "  sample_rate  a whole number from 8000 to 192000 (48000).\n" in text
    assert "  block_ms     a number, more than 0 (20).\n" in text
    assert text.endswith("Example\n  - mic: default\n")
    gain = good("stages", "gain")
    assert "  set(gain_db: float, ramp_ms: float = 20.0)\n" in gain
    assert "Mute or unmute.\n" in gain
    realtime = good("stages", "realtime")
    assert "  response.*" in realtime
    assert "takes  s16, mono, 48000 Hz, in frames of 20 ms" in realtime
    assert "several inputs" in good("stages", "mix")
    assert "  - file: folder/name.wav\n" in good("stages", "file")


def test_a_page_as_json() -> None:
    page = json.loads(good("stages", "vad", "--json"))
    assert page["options"] == [
        {
            "name": "aggressiveness", "type": "a whole number from 0 to 3", "default": "2",
            "required": False, "description": "",
        }
    ]  # fmt: skip
    assert [event["type"] for event in page["events"]] == [
        "vad.speech_started",
        "vad.speech_stopped",
    ]


@pytest.mark.parametrize("kind", sorted(registry().kinds))
def test_the_example_of_every_page_is_yaml_of_that_kind(kind: str) -> None:
    root = read_text(json.loads(good("stages", kind, "--json"))["example"], Path("x"), Findings())
    assert root is not None
    (item,) = plain(root)
    assert item == kind or list(item) == [kind]


def test_a_stage_that_there_is_not() -> None:
    result = run("stages", "mci")
    assert result.exit_code == ExitCode.USAGE
    assert "did you mean `mic`?" in result.stderr


def test_a_plugin_in_the_folder_here_is_listed() -> None:
    Path("plugins").mkdir()
    Path("plugins/tremolo.py").write_text(TREMOLO)
    assert "  tremolo    Wobbles the volume.\n" in good("stages")
    assert "a transform" in good("stages", "tremolo")
    assert good("plugins").endswith("tremolo (plugins/tremolo.py)\n  tremolo\n") or (
        "/plugins/tremolo.py)\n  tremolo\n" in good("plugins")
    )


def test_a_broken_plugin_is_named_and_the_others_are_listed() -> None:
    Path("more").mkdir()
    Path("more/bad.py").write_text("1 / 0\n")
    result = run("stages", "--plugins-dir", "more")
    assert result.exit_code == ExitCode.OK
    assert (
        "warning: the plugin `bad` (more/bad.py) cannot be used: ZeroDivisionError" in result.stderr
    )
    assert "mic" in result.stdout
    result = run("plugins", "--plugins-dir", "more")
    assert result.exit_code == ExitCode.CONFIGURATION
    assert (
        "bad (more/bad.py)\n  cannot be used: ZeroDivisionError: division by zero\n"
        in result.stdout
    )
    assert "Traceback" in run("plugins", "--plugins-dir", "more", "--debug").stderr
    listed = json.loads(run("plugins", "--plugins-dir", "more", "--json").stdout)
    assert listed[-1] == {
        "name": "bad", "origin": "more/bad.py", "kinds": [], "adds": {},
        "error": "ZeroDivisionError: division by zero",
    }  # fmt: skip


def test_events() -> None:
    text = good("events")
    assert "vad.speech_started" in text
    listed = {event["type"]: event for event in json.loads(good("events", "--json"))}
    assert listed["stage.fell_back"]["published_by"] == ["rtpipe"]
    assert listed["stage.fell_back"]["fields"] == ["wanted", "used", "reason"]
    assert listed["playback.started"]["published_by"] == ["speaker"]


def test_schema() -> None:
    assert json.loads(good("schema"))["$defs"]["options.mic"]


def test_explain() -> None:
    assert good("explain", "e102").startswith("E102: An unknown option\n\n")
    listed = good("explain").splitlines()
    assert len(listed) == len(pages())
    assert "E102  An unknown option" in listed
    assert json.loads(good("explain", "E102", "--json"))["title"] == "An unknown option"
    assert json.loads(good("explain", "--json"))["E102"] == "An unknown option"
    result = run("explain", "E1O2")
    assert result.exit_code == ExitCode.USAGE
    assert "did you mean" in result.stderr


def test_an_expression_may_stand_for_a_file() -> None:
    assert good("validate", "-x", "tone ! gain -6 ! blackhole") == (
        f"tone ! gain -6 ! blackhole: 3 stages, 0 routes, no problems {LOOKED_AT}\n"
    )
    result = run("graph", "-x", "tone ! gain loud ! blackhole")
    assert result.exit_code == ExitCode.CONFIGURATION
    assert "1 | tone ! gain loud ! blackhole\n  |             ^^^^" in result.stderr
