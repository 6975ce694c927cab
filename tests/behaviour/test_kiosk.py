"""The main job: from one file to a spoken conversation, in one process and over two."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import numpy as np
import pytest

from helpers.command import Ended, copy_pipelines, rtpipe, running
from helpers.listening import require_speech, tracks, words

pytestmark = pytest.mark.slow
KEY = "sk-canary-7f3a"
FIRST = ["hello", "what", "are", "your", "opening", "hours", "today"]
SECOND = ["and", "where", "is", "the", "cafe", "please"]


def check_conversation(folder: Path, ended: Ended) -> None:
    """Both voices are on the terminal, in the recording on their own tracks, and in the files."""
    assert ended.code == 0, ended.err
    lines = ended.out.splitlines()
    assert [line.split()[1] for line in lines] == ["visitor", "model", "visitor", "model"]
    assert "opening hours" in lines[0]
    assert "ten" in lines[1]
    assert "ground floor" in lines[3]

    [recording] = folder.glob("out/*.mka")
    visitor, model = tracks(recording)
    assert abs(len(visitor) - len(model)) <= 320, "the tracks end together (20 ms)"
    heard = words(visitor)
    assert heard == FIRST + SECOND
    answered = words(model)
    assert {"open", "morning", "six", "cafe", "ground", "floor"} <= {
        {"6": "six", "10": "ten"}.get(word, word) for word in answered
    }
    speaking = np.flatnonzero(np.abs(model) > 500) / 16_000
    assert speaking[0] > 2.5, "the desk speaks after the question, on the same time line"

    [answer] = tracks(folder / "out" / "kiosk-answer.wav")
    assert "stairs" in words(answer)

    [events] = [path for path in folder.glob("out/*.jsonl") if ".events" not in path.name]
    types = [json.loads(line)["type"] for line in events.read_text().splitlines()]
    assert types.count("transcript.user") == types.count("transcript.assistant") == 2
    assert types[-1] == "pipeline.ended"


def test_without_sound_card_key_or_network_it_holds_a_conversation(tmp_path: Path) -> None:
    require_speech()
    folder = copy_pipelines(tmp_path)
    ended = rtpipe("run", "pipelines/kiosk.yaml", cwd=tmp_path)
    check_conversation(folder, ended)
    for takeover in ("no API key", "no audio input device", "no audio output device"):
        assert takeover in ended.err


def test_over_two_processes_and_the_key_is_nowhere(tmp_path: Path) -> None:
    require_speech()
    folder = copy_pipelines(tmp_path)
    with running("serve-realtime", "--port", "0", "--api-key", KEY, cwd=tmp_path) as server:
        url = server.wait_for("export OPENAI_BASE_URL=").strip().partition("=")[2]
        env = {"OPENAI_API_KEY": KEY, "OPENAI_BASE_URL": url}
        ended = rtpipe("run", "-v", "pipelines/kiosk.yaml", cwd=tmp_path, env=env)
        server.signal(signal.SIGINT)
        assert server.wait() == 0
    check_conversation(folder, ended)
    assert "connected to gpt-realtime-2.1 (openai)" in ended.err
    said = ended.out + ended.err + "".join(server.lines)
    assert KEY not in said
    for path in folder.rglob("out/*"):
        assert KEY.encode() not in path.read_bytes(), path


@pytest.mark.parametrize(
    ("key", "url", "code", "says"),
    [
        ("sk-wrong-9c1e", None, 77, "401"),
        (KEY, "http://127.0.0.1:9/v1", 69, "127.0.0.1:9"),
    ],
)
def test_what_goes_wrong_at_the_server_has_its_own_exit_code(
    tmp_path: Path, key: str, url: str | None, code: int, says: str
) -> None:
    folder = copy_pipelines(tmp_path)
    text = (folder / "kiosk.yaml").read_text()
    fallback = "    fallback: {realtime: {provider: embedded}}"
    assert fallback in text
    alone = "\n".join(line for line in text.splitlines() if not line.startswith(fallback))
    (folder / "kiosk.yaml").write_text(alone)
    with running("serve-realtime", "--port", "0", "--api-key", KEY, cwd=tmp_path) as server:
        base = server.wait_for("export OPENAI_BASE_URL=").strip().partition("=")[2]
        env = {"OPENAI_API_KEY": key, "OPENAI_BASE_URL": url or base}
        ended = rtpipe("run", "pipelines/kiosk.yaml", cwd=tmp_path, env=env)
    assert ended.code == code, ended.err
    assert says in ended.err
    assert key not in ended.err
    assert "Traceback" not in ended.err


def test_sigint_in_mid_answer_leaves_every_file_closed_and_playable(tmp_path: Path) -> None:
    require_speech()
    folder = copy_pipelines(tmp_path)
    (folder / "chatty.yaml").write_text("version: 1\nevents: [log, {jsonl: out/%Y%m%d.jsonl}]\n")
    with running("run", "pipelines/kiosk.yaml", "pipelines/chatty.yaml", cwd=tmp_path) as kiosk:
        kiosk.wait_for("output_audio_buffer.started")
        kiosk.signal(signal.SIGINT)
        assert kiosk.wait(timeout=3) == 0
    [recording] = folder.glob("out/*.mka")
    visitor, model = tracks(recording)
    assert words(visitor) == FIRST
    assert len(model) == pytest.approx(len(visitor), abs=320)
    [answer] = tracks(folder / "out" / "kiosk-answer.wav")
    assert len(answer) > 16_000
    [events] = [path for path in folder.glob("out/*.jsonl") if ".events" not in path.name]
    assert json.loads(events.read_text().splitlines()[-1])["reason"] == "SIGINT"
