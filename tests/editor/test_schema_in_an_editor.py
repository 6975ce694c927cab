"""What an editor with yaml-language-server offers, tells and underlines, by our schema alone."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from editor.servers import HEAD, yaml_language_server
from helpers.command import ROOT
from helpers.language_client import LanguageClient, accept, underlined
from rtpipe import MODELINE
from rtpipe.language.loading import from_text

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def editor(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[LanguageClient, Path]]:
    folder = tmp_path_factory.mktemp("kiosk")
    with yaml_language_server(folder) as client:
        yield client, folder / "kiosk.yaml"


END = "\n  - blackhole\n"
TONE = "stages:\n  - tone\n"
PLAY = "stages:\n  - tone\n  - speaker\n"

WHOLE = [
    # a kind, with what it needs or its main option
    ("stages:\n  - ▮" + END, "tone", "stages:\n  - tone: 440" + END),
    ("stages:\n  - to▮" + END, "tone", "stages:\n  - tone: 440" + END),
    ("stages:\n  - mi▮" + END, "mic", "stages:\n  - mic: default" + END),
    ("stages:\n  - fi▮" + END, "file", "stages:\n  - file: folder/name.wav" + END),
    (TONE + "  - bl▮\n", "blackhole", TONE + "  - blackhole: {}\n"),
    (TONE + "  - ga▮" + END, "gain", TONE + "  - gain: 0" + END),
    (TONE + "  - {ga▮}" + END, "gain", TONE + "  - {gain: 0}" + END),
    ("stages: [tone, {bl▮}]\n", "blackhole", "stages: [tone, {blackhole: {}}]\n"),
    # options, in flow and in block style
    (TONE + "  - gain: {g▮}" + END, "gain_db", TONE + "  - gain: {gain_db: 0}" + END),
    (TONE + "  - gain: {g▮" + END, "gain_db", None),
    (
        TONE + "  - gain: {gain_db: 3, m▮}" + END,
        "mute",
        TONE + "  - gain: {gain_db: 3, mute: false}" + END,
    ),
    (TONE + "  - gain:\n      ▮" + END, "ramp_ms", TONE + "  - gain:\n      ramp_ms: 20" + END),
    (TONE + "  - gain:\n      li▮" + END, "limiter", TONE + "  - gain:\n      limiter: true" + END),
    ("stages:\n  - file: {p▮}" + END, "path", "stages:\n  - file: {path: folder/name.wav}" + END),
    # values
    (TONE + "  - gain: ▮" + END, "0", TONE + "  - gain: 0" + END),
    (TONE + "  - gain: {mute: ▮}" + END, "true", TONE + "  - gain: {mute: true}" + END),
    (
        TONE + "  - realtime: {transport: ▮}" + END,
        "websocket",
        TONE + "  - realtime: {transport: websocket}" + END,
    ),
    # reserved keys and their values
    ("stages:\n  - tone:\n    i▮" + END, "id", "stages:\n  - tone:\n    id: desk_mic" + END),
    ("stages:\n  - tone: 3\n    i▮" + END, "id", "stages:\n  - tone: 3\n    id: desk_mic" + END),
    (TONE + "  - gain:\n    en▮" + END, "enabled", TONE + "  - gain:\n    enabled: true" + END),
    ("stages:\n  - tone:\n    l▮" + END, "label", "stages:\n  - tone:\n    label: text" + END),
    (
        TONE + "  - speaker:\n    q▮\n",
        "queue",
        TONE + "  - speaker:\n    queue: {max_ms: 80, when_full: drop_oldest}\n",
    ),
    (
        TONE + "  - speaker:\n    queue: {when_full: ▮}\n",
        "block",
        TONE + "  - speaker:\n    queue: {when_full: block}\n",
    ),
    (
        TONE + "  - speaker:\n    on_error: ▮\n",
        "restart",
        TONE + "  - speaker:\n    on_error: restart\n",
    ),
    (
        TONE + "  - speaker:\n    on_error: {restart: {tr▮}}\n",
        "tries",
        TONE + "  - speaker:\n    on_error: {restart: {tries: 5}}\n",
    ),
    (
        TONE + "  - speaker:\n    fallback: {bl▮}\n",
        "blackhole",
        TONE + "  - speaker:\n    fallback: {blackhole: {}}\n",
    ),
    (
        "stages:\n  - mic:\n    fallback:\n      t▮" + END,
        "tone",
        "stages:\n  - mic:\n    fallback:\n      tone: 440" + END,
    ),
    (
        TONE + "  - blackhole:\n    from: ▮\n",
        "tone",
        TONE + "  - blackhole:\n    from: tone\n",
    ),
    # events
    (PLAY + "events:\n  - lo▮\n", "log", PLAY + "events:\n  - log: info\n"),
    (
        PLAY + "events:\n  - match: ▮\n    log:\n",
        "pipeline.started",
        PLAY + "events:\n  - match: pipeline.started\n    log:\n",
    ),
    (
        PLAY + "events:\n  - match: pipeline.started\n    do: sp▮\n",
        "speaker.flush",
        PLAY + "events:\n  - match: pipeline.started\n    do: speaker.flush\n",
    ),
    (
        PLAY + "events:\n  - log:\n    m▮\n",
        "match",
        None,
    ),
    # the top
    (PLAY + "na▮\n", "name", PLAY + "name: text\n"),
    (PLAY + "fuse: ▮\n", "false", PLAY + "fuse: false\n"),
    (PLAY + "prof▮\n", "profiles", PLAY + "profiles: {}\n"),
    (
        PLAY + "profiles:\n  night:\n    stages:\n      speaker: {en▮}\n",
        "enabled",
        PLAY + "profiles:\n  night:\n    stages:\n      speaker: {enabled: true}\n",
    ),
    (PLAY + "mqtt:\n  ho▮\n", "host", PLAY + "mqtt:\n  host: localhost\n"),
    ("st▮\n", "stages", None),
]


@pytest.mark.parametrize(("marked", "label", "whole"), WHOLE, ids=range(len(WHOLE)))
def test_what_is_offered_once_and_chosen_is_what_the_loader_reads(
    editor: tuple[LanguageClient, Path], marked: str, label: str, whole: str | None
) -> None:
    client, path = editor
    items = client.completions(path, HEAD + marked)
    labels = [item["label"] for item in items]
    assert labels.count(label) == 1, labels
    chosen = accept(HEAD + marked, items[labels.index(label)])
    assert f"{label}: {label}" not in chosen
    if whole is not None:
        assert chosen == HEAD + whole
        from_text(chosen, path=path)


def test_no_class_is_named_and_no_kind_stands_there_twice(
    editor: tuple[LanguageClient, Path],
) -> None:
    client, path = editor
    for marked in ("stages:\n  - ▮", "stages:\n  - {▮}", "events:\n  - ▮", "▮", "stages:\n  ▮"):
        labels = [item["label"] for item in client.completions(path, HEAD + marked)]
        assert len(labels) == len(set(labels))
        assert not [label for label in labels if not label.islower() or " " in label]


@pytest.mark.parametrize(
    "marked", ["stages:\n  - gain: 3\n    ▮" + END, "events:\n  - log:\n    ▮"]
)
def test_beside_a_kind_no_other_is_offered(
    editor: tuple[LanguageClient, Path], marked: str
) -> None:
    client, path = editor
    labels = {item["label"] for item in client.completions(path, HEAD + marked)}
    assert {"enabled", "label", "fallback", "id", "from"} <= labels
    assert not labels & {"gain", "tone", "log", "jsonl", "do"}


HOVERS = [
    ("stages:\n  - ga▮in: 3\n", ["Changes the volume"]),
    (
        "stages:\n  - gain: {gain▮_db: 3}\n",
        ["By how much (dB)", "A number from -120 to 60; 0 if left out."],
    ),
    ("stages:\n  - gain:\n      mu▮te: true\n", ["Start muted.", "True or false; false if"]),
    ("stages:\n  - file: {pa▮th: a.wav}\n", ["A path; needed."]),
    ("stages:\n  - mic: {dev▮ice: a}\n", ["a name or a part of one", "Text; default if left out."]),
    ("stages:\n  - realtime: {trans▮port: memory}\n", ["How the call travels", "* `websocket`"]),
    ("stages:\n  - tone:\n    en▮abled: false\n", ["false bypasses a transform"]),
    (
        "stages:\n  - tone:\n    fr▮om: mic\n",
        ["the stage above if left out", "An id or a list of ids"],
    ),
    ("stages:\n  - tone:\n    qu▮eue: {max_ms: 3}\n", ["How much audio may wait"]),
    ("stages:\n  - tone:\n    queue: {max▮_ms: 3}\n", ["Milliseconds of audio."]),
    ("events:\n  - lo▮g: info\n", ["Writes one line for each event"]),
    ("events:\n  - ma▮tch: vad.*\n    log:\n", ["Events by name or glob"]),
    ("fu▮se: true\n", ["false gives every transform a task of its own."]),
]


@pytest.mark.parametrize(("marked", "told"), HOVERS, ids=range(len(HOVERS)))
def test_hover_tells_the_sentence_the_type_the_range_and_the_default(
    editor: tuple[LanguageClient, Path], marked: str, told: list[str]
) -> None:
    client, path = editor
    text = client.hover(path, HEAD + marked)
    assert all(each in text for each in told), text
    assert "Options" not in text
    assert "####" not in text


WRONG = [
    ("stages:\n  - gain: {gain_db: «loud»}\n", "`gain_db`: expected a number from -120 to 60"),
    ("stages:\n  - gain: «500»\n", "`gain_db`: expected a number from -120 to 60"),
    ("stages:\n  - gain: {«rte»: 3}\n", "`gain` has the options gain_db, mute, ramp_ms, limiter"),
    ("stages:\n  - gain: {mute: «7»}\n", "`mute`: expected true or false"),
    (
        "stages:\n  - realtime: {transport: «pigeon»}\n",
        "`transport`: expected one of webrtc, websocket, memory",
    ),
    ("stages:\n  - «file»: {realtime: true}\n", "`path` is needed"),
    (
        "stages:\n  - «tpne»\n",
        "a stage has one kind, with its options under it and reserved keys beside it",
    ),
    (
        "stages:\n  - {«tpne»: 3, tone: 4}\n",
        "a stage has one kind, with its options under it and reserved keys beside it",
    ),
    (
        "stages:\n  - «{id: a}»\n",
        "a stage has one kind, with its options under it and reserved keys beside it",
    ),
    (
        "stages:\n  - «{tone: 3, gain: 4}»\n",
        "a stage has one kind, with its options under it and reserved keys beside it",
    ),
    ("stages:\n  - tone:\n    enabled: «often»\n", "`enabled`: expected true or false"),
    (
        "events:\n  - «{log: info, jsonl: a}»\n",
        "a route is a subscriber, or `match:` with `do:`, and reserved keys beside it",
    ),
    (
        "events:\n  - {match: a, do: b.c, «id»: 3}\n",
        "a route is a subscriber, or `match:` with `do:`, and reserved keys beside it",
    ),
]


@pytest.mark.parametrize(("marked", "told"), WRONG, ids=range(len(WRONG)))
def test_what_is_wrong_is_underlined_with_our_words(
    editor: tuple[LanguageClient, Path], marked: str, told: str
) -> None:
    client, path = editor
    text, start, end = underlined(HEAD + marked)
    found = [
        (each["message"], each["range"]["start"], each["range"]["end"])
        for each in client.diagnostics(path, text)
    ]
    assert found == [(told, start, end)]


def test_a_right_file_has_nothing_underlined(editor: tuple[LanguageClient, Path]) -> None:
    client, path = editor
    for file in sorted((ROOT / "pipelines").glob("*.yaml")):
        text = file.read_text().removeprefix(MODELINE)
        found = client.diagnostics(path, f"{MODELINE}\n{text}")
        assert not [each["message"] for each in found], file
