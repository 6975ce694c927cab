"""`rtpipe lsp` as an editor meets it: what it offers, tells, underlines, and what it never does."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from editor.servers import rtpipe_lsp
from helpers.language_client import Json, LanguageClient, accept, cut, underlined, units
from helpers.mistakes import mistakes
from rtpipe.language.loading import from_text

pytestmark = pytest.mark.slow

Editor = tuple[LanguageClient, Path]


@pytest.fixture(scope="module")
def editor(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Editor]:
    folder = tmp_path_factory.mktemp("kiosk")
    (folder / "prompts").mkdir()
    (folder / "prompts" / "desk.md").write_text("Be kind.")
    with rtpipe_lsp(folder, KIOSK_VOICE="marin") as client:
        yield client, folder / "kiosk.yaml"


HEAD = "version: 1\nvars: {level: 3, door_key: hunter2}\nstages:\n"
FILE = HEAD + "  - tone\n  - gain: 1\n    id: louder\n  - speaker\n"
ROUTE = FILE + "events:\n  - match: pipeline.started\n"
WHOLE = [
    # ids
    (
        HEAD + "  - tone\n  - gain: 1\n    id: louder\n  - speaker:\n    from: ▮\n",
        "louder",
        "louder",
    ),
    (
        HEAD + "  - tone\n  - gain: 1\n    id: louder\n  - speaker:\n    from: lo▮\n",
        "louder",
        "louder",
    ),
    (HEAD + "  - tone\n  - tone\n  - mix:\n    from: [tone, ▮]\n  - speaker\n", "tone2", "tone2"),
    (HEAD + "  - tone\n  - {speaker: , from: t▮}\n", "tone", "tone"),
    (HEAD + "  - tone\n  - mix:\n    from:\n      - ▮\n  - speaker\n", "tone", "tone"),
    (HEAD + '  - tone\n  - speaker:\n    from: "▮"\n', "tone", "tone"),
    (FILE + "events:\n  - log:\n    from: sp▮\n", "speaker", "speaker"),
    # actions
    (ROUTE + "    do: ▮\n", "louder.set", "louder.set"),
    (ROUTE + "    do: speaker.▮\n", "speaker.flush", "speaker.flush"),
    (ROUTE + "    do: [speaker.flush, lou▮]\n", "louder.flush", "louder.flush"),
    (ROUTE + "    do:\n      - ▮\n", "speaker.flush", "speaker.flush"),
    (ROUTE + "    do:\n    - ▮\n", "speaker.flush", "speaker.flush"),
    (FILE + "events: [{match: pipeline.started, do: sp▮}]\n", "speaker.flush", "speaker.flush"),
    # events
    (FILE + "events:\n  - match: pipe▮\n    log:\n", "pipeline.started", "pipeline.started"),
    (FILE + "events:\n  - match: pipe▮\n    log:\n", "pipeline.*", "pipeline.*"),
    (
        FILE + "events:\n  - match: [pipeline.started, st▮]\n    log:\n",
        "stage.failed",
        "stage.failed",
    ),
    (FILE + "events:\n  - match:\n      - ▮\n    log:\n", "pipeline.ended", "pipeline.ended"),
    # references
    (HEAD + "  - tone\n  - gain: ${▮}\n  - speaker\n", "level", "level"),
    (HEAD + "  - tone\n  - gain: ${le▮\n  - speaker\n", "level", "level}"),
    (HEAD + '  - tone\n  - speaker: {device: "${le▮"}\n', "level", "level}"),
    (HEAD + '  - tone\n  - speaker: "${env:KIOSK▮}"\n', "env:KIOSK_VOICE", "env:KIOSK_VOICE"),
    (HEAD + "  - tone\n  - speaker: ${file:prompts/▮}\n", "file:prompts/desk.md", None),
    # room for an option in flow style, where yaml-language-server offers nothing
    (HEAD + "  - tone\n  - gain: {▮}\n  - speaker\n", "gain_db", None),
    (HEAD + "  - tone\n  - gain: {mute: true, ▮}\n  - speaker\n", "ramp_ms", None),
    (HEAD + "  - tone\n  - gain: { ▮ }\n  - speaker\n", "mute", None),
]


@pytest.mark.parametrize(("marked", "label", "inserted"), WHOLE, ids=range(len(WHOLE)))
def test_what_is_offered_and_chosen_is_what_the_loader_reads(
    editor: Editor, marked: str, label: str, inserted: str | None
) -> None:
    client, path = editor
    items = client.completions(path, marked)
    labels = [item["label"] for item in items]
    assert labels.count(label) == 1, labels
    chosen = accept(marked, items[labels.index(label)])
    before, _, after = marked.partition("▮")
    if inserted is not None:
        word = re.search(r"(?:(?<=\$\{)[\w:/.]*|[\w.*]*)$", before)
        assert word is not None
        assert chosen == before[: word.start()] + inserted + after
        if "level}" not in inserted or "gain" in marked:
            from_text(
                chosen.replace("louder.set\n", "louder.set(1)\n"),
                path=path,
                env={"KIOSK_VOICE": "marin"},
            )
    else:
        assert label in chosen


def test_what_stands_there_is_not_offered_again(editor: Editor) -> None:
    client, path = editor
    items = client.completions(path, HEAD + "  - tone\n  - gain: {mute: true, ▮}\n")
    assert {item["label"] for item in items} == {"gain_db", "ramp_ms", "limiter"}


def test_a_sink_is_no_input_but_its_events_are_some(editor: Editor) -> None:
    client, path = editor
    of_stage = client.completions(path, FILE + "  - blackhole:\n    from: ▮\n")
    assert {item["label"] for item in of_stage} == {"tone", "louder"}
    of_route = client.completions(path, FILE + "events:\n  - log:\n    from: ▮\n")
    assert {item["label"] for item in of_route} == {"tone", "louder", "speaker"}


@pytest.mark.parametrize(
    "marked", ["▮", "stages:\n  - ▮", HEAD + "  - tone\n  # from: ▮\n", "stages:\n  - gain: ▮"]
)
def test_what_a_schema_offers_is_left_to_it(editor: Editor, marked: str) -> None:
    client, path = editor
    assert client.completions(path, marked) == []


HOVERS = [
    (FILE + "  - blackhole:\n    from: lou▮der\n", ["`louder`: `gain`, a transform", "volume"]),
    (FILE + "  - blackhole:\n    from: [to▮ne, louder]\n", ["`tone`, a source"]),
    (ROUTE + "    do: speaker.fl▮ush\n", ["`speaker.flush()`", "Drop what is buffered"]),
    (ROUTE + "    do: louder.se▮t(3)\n", ["`louder.set(gain_db: float", "\n\n"]),
    (FILE + "events:\n  - match: pipeline.star▮ted\n    log:\n", ["From `rtpipe`."]),
    (FILE + "events:\n  - match: stage.fa▮iled\n    log:\n", ["Fields: ", "`error`"]),
    (
        FILE + "events:\n  - match: transcript.us▮er\n    log:\n",
        ["Nothing in this file publishes it"],
    ),
    (HEAD + "  - gain: ${le▮vel}\n", ["`level: 3` under `vars:`"]),
    (HEAD + "  - mic: ${env:KIOSK▮_VOICE}\n", ["`KIOSK_VOICE` of the environment is set here"]),
    (HEAD + '  - mic: "${env:NOB▮ODY:-usb}"\n', ["`NOBODY`", "is not set here; else `usb`"]),
    (HEAD + "  - mic: ${file:prompts/de▮sk.md}\n", ["The text of `", "prompts/desk.md`"]),
    (HEAD + "  - mic: ${file:prompts/no▮.md}\n", ["which is not there"]),
]


@pytest.mark.parametrize(("marked", "told"), HOVERS, ids=range(len(HOVERS)))
def test_hover_tells_what_a_word_means(editor: Editor, marked: str, told: list[str]) -> None:
    client, path = editor
    text = client.hover(path, marked)
    assert all(each in text for each in told), text


def test_no_secret_is_told(editor: Editor) -> None:
    client, path = editor
    marked = HEAD + "  - mic: ${door▮_key}\n"
    items = client.completions(path, marked)
    told = client.hover(path, marked) + json.dumps(items)
    assert "door_key" in told
    assert "hunter2" not in told


WRONG = [
    (HEAD + "  - tone: {«rte»: 3}\n  - speaker\n", "E102", "`tone` has no option `rte`"),
    (HEAD + "  - tone\n  - gain: {gain_db: «loud»}\n  - speaker\n", "E103", "cannot be loud"),
    (HEAD + "  - tone\n  - «gian»: 3\n  - speaker\n", "E101", "did you mean `gain`"),
    (HEAD + "  - tone\n  - gain: «${lvel}»\n  - speaker\n", "E301", "lvel"),
    (HEAD + "  - tone\n  - speaker:\n    from: «louder»\n", "E20", "louder"),
    (ROUTE + "    do: «speker.flush»\n", "E70", "speker"),
    (ROUTE + "    do: «speaker.flsh»\n", "E70", "flsh"),
    (FILE + "events:\n  - match: «pipeline.stared»\n    log:\n", "E701", "pipeline.started"),
    (FILE + "«nmae»: x\n", "E019", "nmae"),
    (HEAD + "  - «gain»: 1\n  - speaker\n", "E203", "`gain` has no input"),
    (HEAD + '  - tone: {shape: "𝄞", «rte»: 1}\n  - speaker\n', "E102", "rte"),
    (HEAD + "  - tone\n  - speaker:\n    on_error: «never»\n", "E107", "never"),
]


@pytest.mark.parametrize(("marked", "code", "said"), WRONG, ids=range(len(WRONG)))
def test_what_is_wrong_is_underlined_where_it_stands(
    editor: Editor, marked: str, code: str, said: str
) -> None:
    client, path = editor
    text, start, end = underlined(marked)
    found = [
        each
        for each in client.diagnostics(path, text)
        if each["code"].startswith(code) and said in each["message"]
    ]
    assert [(each["range"]["start"], each["range"]["end"]) for each in found] == [(start, end)]
    assert found[0]["source"] == "rtpipe"


def test_it_says_what_validate_says(editor: Editor) -> None:
    client, _ = editor
    compared = 0
    for mistake in mistakes()[::4]:
        if mistake.run or mistake.machine:
            continue
        said = client.diagnostics(mistake.path, mistake.text)
        lines = mistake.text.split("\n")
        wanted = [
            (code, line - 1, units(lines[line - 1][: column - 1]), severity)
            for code, line, column, severity in mistake.found
        ]
        found = [
            (each["code"], *each["range"]["start"].values(), _severity(each))
            for each in said
            if each["code"] != "E602"  # what this machine lacks
        ]
        assert sorted(found) == sorted(wanted), mistake
        compared += 1
    assert compared > 20


def _severity(diagnostic: Json) -> str:
    return "error" if diagnostic["severity"] == 1 else "warning"


def test_what_its_help_says_is_a_quick_fix(editor: Editor) -> None:
    client, path = editor
    text, start, end = underlined(HEAD + "  - tone\n  - «gian»: 3\n  - speaker\n")
    uri = client.show(path, text)
    params = {
        "textDocument": {"uri": uri},
        "range": {"start": start, "end": end},
        "context": {"diagnostics": []},
    }
    (action,) = client.request("textDocument/codeAction", params)
    assert action["title"] == "change it to `gain`"
    (edit,) = action["edit"]["changes"][uri]
    assert (edit["newText"], edit["range"]["start"], edit["range"]["end"]) == ("gain", start, end)


def test_other_yaml_is_nobodys_business(editor: Editor) -> None:
    client, path = editor
    other = path.with_name("compose.yaml")
    assert client.diagnostics(other, "services: {web: {image: x}}\n") == []
    assert client.diagnostics(other, "stages: [tnoe]\n")


def test_what_a_file_includes_is_looked_at_again_once_it_is_saved(editor: Editor) -> None:
    client, path = editor
    base, top = path.with_name("base.yaml"), path.with_name("top.yaml")
    base.write_text("vars: {level: loud}\n")
    text = "version: 1\ninclude: base.yaml\nstages:\n  - tone\n  - gain: ${level}\n  - blackhole\n"
    (found,) = client.diagnostics(top, text)
    assert found["code"] == "E103"
    base.write_text("vars: {level: 3}\n")
    assert (
        client.said_again(top, "textDocument/didSave", {"textDocument": {"uri": base.as_uri()}})
        == []
    )


PLUGIN = """
from pathlib import Path
print("noise on standard output", flush=True)
Path({ran!r}).touch()
from rtpipe import Options, Transform, hookimpl

class Tremolo(Transform[Options]):
    \"\"\"Trembles.\"\"\"
    kind = "tremolo"
    def process(self, frame):
        return frame

@hookimpl
def rtpipe_stages():
    return [Tremolo]
"""
TREMBLING = "version: 1\nstages:\n  - tone\n  - tremolo\n  - blackhole:\n    from: ▮\n"


@pytest.fixture
def brought(tmp_path: Path) -> Path:
    (tmp_path / "plugins").mkdir()
    code = PLUGIN.format(ran=str(tmp_path / "ran"))
    (tmp_path / "plugins" / "tremolo.py").write_text(code)
    return tmp_path


def test_the_code_of_a_folder_that_nobody_trusted_is_not_run(brought: Path) -> None:
    text, _ = cut(TREMBLING)
    with rtpipe_lsp(brought, XDG_STATE_HOME=str(brought), RTPIPE_TRUST="") as client:
        codes = {each["code"] for each in client.diagnostics(brought / "kiosk.yaml", text)}
        client.completions(brought / "kiosk.yaml", TREMBLING)
        client.hover(brought / "kiosk.yaml", TREMBLING)
    assert "E404" in codes
    assert not (brought / "ran").exists()


def test_a_trusted_folders_stages_are_known_whatever_they_print(brought: Path) -> None:
    with rtpipe_lsp(brought, RTPIPE_TRUST="1") as client:
        items = client.completions(brought / "kiosk.yaml", TREMBLING)
        assert "Trembles." in client.hover(
            brought / "kiosk.yaml", TREMBLING.replace("▮", "trem▮olo")
        )
    assert (brought / "ran").exists()
    assert {item["label"] for item in items} == {"tone", "tremolo"}


def test_without_its_library_it_says_what_to_install() -> None:
    code = "import sys; sys.modules['pygls'] = None; sys.argv[1:] = ['lsp']; import rtpipe.__main__"
    code += "; rtpipe.__main__.main()"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (run.returncode, run.stdout) == (69, "")
    assert "pip install 'rtpipe-media[lsp]'" in run.stderr
