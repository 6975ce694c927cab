"""Clients that nobody here wrote against `rtpipe serve-realtime`: two spoken turns with each.

Each runs in an interpreter of its own; `judges/drivers` has what they are told to do.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import wave
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from helpers.command import running
from helpers.listening import require_speech, tracks, words
from peers.conftest import asked
from peers.judges.environments import HERE, environment
from peers.judges.recognised import assert_heard, plain
from rtpipe_realtime_server.media.resample import Resampler

pytestmark = pytest.mark.judges

KEY = "sk-of-the-museum"
RATE = 24_000
QUESTIONS = (asked((0.4, 3.6)), asked((12.7, 14.8)))
_WITHIN_S = 180


@dataclass(frozen=True)
class Client:
    """A foreign client: which pins it has, which driver drives it, whether it wants a greeting."""

    environment: str
    driver: str
    greets: bool = False


CLIENTS = {
    "LiveKit RealtimeModel": Client("livekit", "livekit_agents.py"),
    "Pipecat OpenAIRealtimeLLMService": Client("pipecat", "pipecat_ai.py", greets=True),
    "Vision-Agents RTCManager": Client("vision-agents", "vision_agents_rtc.py"),
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The questions, as the drivers want them."""
    for number, question in enumerate(QUESTIONS, 1):
        with wave.open(str(tmp_path / f"{number}.wav"), "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(RATE)
            file.writeframes(Resampler(48_000, RATE).whole(question).astype("<i2").tobytes())
    return tmp_path


@contextmanager
def serving(folder: Path, *options: str) -> Iterator[str]:
    """Run the command, as a user would; gives its base URL."""
    require_speech()
    command = ("serve-realtime", "--port", "0", "--api-key", KEY, *options)
    with running(*command, cwd=folder) as server:
        line = server.wait_for("export OPENAI_BASE_URL=")
        (url,) = re.findall(r"=(http://\S+)$", line.strip())
        yield url


async def converse(client: Client, base_url: str, folder: Path) -> None:
    """Hold two turns and judge them: what each side understood, and what could be heard."""
    process = await asyncio.create_subprocess_exec(
        environment(client.environment) / "python",
        HERE / "drivers" / client.driver,
        base_url,
        KEY,
        folder,
        cwd=folder,
        env={"PATH": os.environ["PATH"], "HOME": str(folder)},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(_WITHIN_S):
        out, err = await process.communicate()
    assert process.returncode == 0, err.decode()[-3000:]
    seen = json.loads(out)
    assert seen["errors"] == [], seen
    hours, cafe = map(plain, seen["said"])
    assert_heard(hours, "Hello, what are your opening hours today?")
    assert_heard(cafe, "And where is the café, please?")
    answers = seen["answers"]
    assert len(answers) == len(QUESTIONS) + client.greets, seen
    assert "ten" in answers[-2]
    assert "stairs" in answers[-1]
    (sound,) = tracks(folder / "heard.wav")
    assert_heard(words(sound), *answers)


@pytest.mark.parametrize("client", CLIENTS.values(), ids=CLIENTS)
async def test_two_spoken_turns(client: Client, folder: Path) -> None:
    with serving(folder) as base_url:
        await converse(client, base_url, folder)


@pytest.mark.parametrize("client", CLIENTS.values(), ids=CLIENTS)
@pytest.mark.parametrize("fault", ["transcription=failed", "response_incomplete"])
async def test_a_broken_server_is_noticed(fault: str, client: Client, folder: Path) -> None:
    with serving(folder, "--fault", fault) as base_url, pytest.raises((AssertionError, ValueError)):
        await converse(client, base_url, folder)
