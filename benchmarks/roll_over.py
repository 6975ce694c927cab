"""Whether anybody hears that a session ends: a conversation over many short ones.

    PYTHONPATH=tests .venv/bin/python benchmarks/roll_over.py [--minutes 5] [--session-s 20]
    PYTHONPATH=tests .venv/bin/python benchmarks/roll_over.py --forced

A visitor asks by voice, with real WebRTC between two processes, and a recorder keeps both voices.
Each answer is a tone of its own frequency and of a length that its script says, so the recording
itself tells which answers came, whether they are whole, and how long a hole they have. What the
new session knows is asked of the server itself, on a second channel. `--forced` makes answers too
long to be waited for: these are cut by design, and only a turn without any answer is a failure.
The exit code is 1 when a turn, 100 ms of an answer or a word of the history was lost.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import tempfile
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import aiohttp
import numpy as np
from scripted import RATE, Run, runs, serving, voice, write

from helpers.listening import tracks
from rtpipe.language.loading import from_text
from rtpipe.running.runtime import Pipeline
from rtpipe_realtime_server.brains.script import turn_hz

if TYPE_CHECKING:
    from rtpipe import Event

HISTORY = 40
MOST_GAP_MS = 100.0
WINDOW = 0.25
"""Share of a short session in which the calls may change places."""
ANSWERS = (0.2, 0.55, 0.1, 0.3, 0.5)
"""In windows: question and answer together must fit into one, or else some are cut by design."""
TOO_LONG = 2.4
QUESTION_S = 0.8
PAUSES_S = (0.7, 1.6, 1.1)
"""From the end of an answer to the next question."""
TOLD_S = 1.0
"""After so long the next server must know what was said: it is told on another channel."""
WAIT_S = 0.6
"""From the end of a question to its answer: hangover, network, jitter buffer; about."""
PIPELINE = """\
version: 1
stages:
  - file: {path: visitor.wav, realtime: true}
  - realtime:
      base_url: "%(url)s"
      api_key: sk-local
      history_items: %(history)d
      turn_detection: {type: server_vad, silence_duration_ms: 300}
  - recorder: {path: both.mka, codec: flac}
    from: [file, realtime]
"""


@dataclass
class Told:
    """What the bus said.

    Attributes:
        item_ids: Of what was said, oldest first.
        rolled: Roll-overs: items replayed, and whether it was forced.
        known: Of the items that a server should know, those that it did; a server whose call ended
            too soon was not asked.
        lost: Why calls were lost.
    """

    item_ids: list[str] = field(default_factory=list)
    rolled: list[tuple[int, bool]] = field(default_factory=list)
    known: list[tuple[int, int]] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Answer:
    """One answer as the recording has it.

    Attributes:
        at_s: Where it begins.
        missing_ms: How much shorter it is than the script says.
        gap_ms: The longest silence in it.
    """

    at_s: float
    missing_ms: float
    gap_ms: float

    @property
    def whole(self) -> bool:
        """Whether nobody heard a hole in it."""
        return max(self.missing_ms, self.gap_ms) <= MOST_GAP_MS


def visitor(minutes: float, answers_s: list[float]) -> tuple[np.ndarray[Any, Any], list[int]]:
    """Return what the visitor says, and the sample after each question."""
    question = voice(QUESTION_S)
    said, ends, at = [np.zeros(RATE, np.int16), question], [], RATE + len(question)
    ends.append(at)
    while at < minutes * 60 * RATE:
        number = len(ends)
        silent_s = WAIT_S + answers_s[(number - 1) % len(answers_s)] + PAUSES_S[number % 3]
        said += [np.zeros(round(silent_s * RATE), np.int16), question]
        at += round(silent_s * RATE) + len(question)
        ends.append(at)
    return np.concatenate(said), ends


async def converse(path: Path, text: str, url: str) -> Told:
    """Hold the conversation; what the server knows after each roll-over is asked meanwhile."""
    told, asking = Told(), set[asyncio.Task[None]]()

    async def ask(call_id: str, wanted: list[str]) -> None:
        told.known.append((await knows(url, call_id, wanted), len(wanted)))

    def take(event: Event) -> None:
        data = event.payload()
        if event.type in {"transcript.user", "transcript.assistant"}:
            told.item_ids.append(data["item_id"])
        elif event.type == "realtime.disconnected" and data["reason"] != "we hung up":
            told.lost.append(data["reason"])
        elif event.type == "realtime.rolled_over":
            told.rolled.append((data["items"], data["forced"]))
            asking.add(asyncio.create_task(ask(data["call_id"], told.item_ids[-HISTORY:])))

    pipeline = Pipeline(from_text(text, path=path).graph)
    pipeline.bus.subscribe("*", take)
    await pipeline.run()
    for task in asking:
        if task.done():
            task.result()
        task.cancel()
    return told


async def knows(url: str, call_id: str, item_ids: list[str]) -> int:
    """Return how many of these items the session of a call has, by its sideband."""
    headers = {"Authorization": "Bearer sk-local"}
    known: set[str] = set()
    await asyncio.sleep(TOLD_S)
    async with (
        aiohttp.ClientSession(headers=headers) as session,
        session.ws_connect(f"{url}/realtime?call_id={call_id}") as sideband,
    ):
        for id in item_ids:
            await sideband.send_str(
                json.dumps({"type": "conversation.item.retrieve", "item_id": id})
            )
        try:
            async with asyncio.timeout(5):
                while len(known) < len(item_ids):
                    event = json.loads((await sideband.receive()).data)
                    if event["type"] == "conversation.item.retrieved":
                        known.add(event["item"]["id"])
        except TimeoutError:
            pass
    return len(known & set(item_ids))


def heard(pcm: np.ndarray[Any, Any], ends: list[int], answers_s: list[float]) -> list[Answer]:
    """Return the answers in the model's track: what sounds between two questions' ends is one."""
    found = []
    for begin, end in pairwise([*ends, len(pcm)]):
        sounds = runs(pcm, begin, end)
        if sounds:
            found.append(_answer(sounds, answers_s))
    return found


def _answer(sounds: list[Run], answers_s: list[float]) -> Answer:
    longest = max(sounds, key=lambda run: run.end - run.begin)
    count = len(answers_s)
    number = min(range(count), key=lambda n: abs(turn_hz(n + 1) - longest.hz))
    length = sum(run.end - run.begin for run in sounds)
    gap = max((later.begin - run.end for run, later in pairwise(sounds)), default=0)
    missing_ms = answers_s[number] * 1000 - length * 1000 / RATE
    return Answer(sounds[0].begin / RATE, missing_ms, gap * 1000 / RATE)


def main() -> int:
    """Measure, print, and judge."""
    parser = argparse.ArgumentParser(description="Whether anybody hears that a session ends.")
    parser.add_argument("--minutes", type=float, default=5.0)
    parser.add_argument("--session-s", type=float, default=20.0)
    parser.add_argument("--forced", action="store_true", help="answers that must be cut")
    asked = parser.parse_args()
    window_s = WINDOW * asked.session_s
    shares = (TOO_LONG,) if asked.forced else ANSWERS
    answers_s = [round(window_s * shares[n % len(shares)], 2) for n in range(40)]
    said, ends = visitor(asked.minutes, answers_s)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write(folder / "visitor.wav", said)
        with serving(folder, answers_s, "--session-s", f"{asked.session_s:g}") as url:
            text = PIPELINE % {"url": url, "history": HISTORY}
            told = asyncio.run(converse(folder / "call.yaml", text, url))
        pcm = tracks(folder / "both.mka", rate=RATE)[1]
    answers = heard(pcm, ends, answers_s)
    missing_ms = max((answer.missing_ms for answer in answers), default=0.0)
    gap_ms = max((answer.gap_ms for answer in answers), default=0.0)
    forced = sum(forced for _, forced in told.rolled)
    print(f"sessions of {asked.session_s:g} s for {len(pcm) / RATE / 60:.1f} minutes")
    print(f"turns          {len(ends)} asked, {len(answers)} answered")
    print(f"answers        {min(answers_s):g} to {max(answers_s):g} s long")
    print(f"roll-overs     {len(told.rolled)}, {forced} of them forced")
    print(f"calls lost     {'; '.join(told.lost) or 'none'}")
    print(f"longest gap    {gap_ms:.0f} ms inside an answer, by the recording")
    print(f"most missing   {missing_ms:.0f} ms of an answer, by the recording")
    for answer in answers:
        if not answer.whole:
            print(f"  at {answer.at_s:.1f} s: {answer}")
    print("history        " + ", ".join(f"{known}/{due}" for known, due in told.known))
    print("items replayed " + ", ".join(str(items) for items, _ in told.rolled))
    whole = asked.forced or all(answer.whole for answer in answers)
    remembered = all(known == due for known, due in told.known)
    unforced = asked.forced or not (forced or told.lost)
    turned = bool(told.rolled) and len(answers) == len(ends)
    return 0 if turned and whole and remembered and unforced else 1


if __name__ == "__main__":
    sys.exit(main())
