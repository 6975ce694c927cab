"""The page in Chromium on real runs: `rtpipe run … --control`, the local desk, real recordings."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import av
import numpy as np
import pytest

from control.page.browser import Tab, chromium, opened, silent

pytestmark = pytest.mark.slow

PIPELINES = Path(__file__).parents[3] / "pipelines"
_START_S = 30.0


class Run:
    """A pipeline that runs in a process of its own.

    Attributes:
        url: Where its page is.
        lines: What it has printed so far.
    """

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.url = ""
        self.lines: list[str] = []

    async def listen(self) -> None:
        """Read what it prints, to the end."""
        assert self.process.stdout is not None
        async for line in self.process.stdout:
            self.lines.append(line.decode())
            if found := re.search(r"the page is at (http\S+)", self.lines[-1]):
                self.url = found[1]

    async def stop(self) -> None:
        """Stop it as Control-C does, and wait until it has."""
        if self.process.returncode is None:
            self.process.send_signal(signal.SIGINT)
        await asyncio.wait_for(self.process.wait(), _START_S)


@asynccontextmanager
async def running(folder: Path, file: str, *arguments: str) -> AsyncIterator[Run]:
    """Run a pipeline file in `folder`, with its page on a free port."""
    runtime = folder / "runtime"
    runtime.mkdir(exist_ok=True)
    environment = {**os.environ, "XDG_RUNTIME_DIR": str(runtime), "COLUMNS": "100"}
    environment.pop("OPENAI_API_KEY", None)
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "rtpipe", "run", file, "--control", "127.0.0.1:0", *arguments,
        cwd=folder, env=environment, stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    run = Run(process)
    listening = asyncio.create_task(run.listen())
    try:
        async with asyncio.timeout(_START_S):
            while not run.url:
                assert process.returncode is None, run.lines
                await asyncio.sleep(0.02)
        yield run
    finally:
        if process.returncode is None:
            await run.stop()
        await listening


def recorded(path: Path) -> np.ndarray:
    """Return the first track of a recording, mono samples."""
    with av.open(str(path)) as container:
        frames = [frame.to_ndarray().ravel() for frame in container.decode(audio=0)]
    return np.concatenate(frames)


WORDS = "[...document.querySelectorAll('.line p')].map((e) => e.innerText)"
BARS = """[...document.querySelectorAll('details.wait')].map((wait) => [
  +wait.dataset.totalMs, Object.fromEntries([...wait.querySelectorAll('.seg')]
    .filter((e) => +e.dataset.ms).map((e) => [e.classList[1], +e.dataset.ms]))])"""


async def test_the_page_follows_a_spoken_conversation_and_a_reload_loses_nothing(
    tmp_path: Path,
) -> None:
    shutil.copytree(PIPELINES, tmp_path, dirs_exist_ok=True, ignore=shutil.ignore_patterns("out"))
    async with (
        running(tmp_path, "kiosk.yaml", "--latency") as run,
        chromium(silent(tmp_path)) as browser,
        opened(browser, run.url) as tab,
    ):
        await tab.says("The visitor is speaking")
        await tab.says("The desk is speaking")
        await tab.until("document.querySelectorAll('.stage.standin').length === 3", 2)
        level = "document.querySelector('[data-from=realtime] .bar i').style.cssText"
        await tab.until(f"{level}.includes('--level') && !{level}.includes('--level: 0.000')")
        await tab.until("document.querySelectorAll('details.wait').length === 1", 40)
        answer = "We are open from ten in the morning until six"
        await tab.until(f"{WORDS}[1]?.startsWith({answer!r})")
        before = await tab.get(WORDS)
        # What the desk recognises may differ by a word on a busy machine.
        assert before[0].startswith("Hello, what are your opening hours")
        strip = "document.querySelector('rt-strip').state.strip.filter((e) => e.down > -60).length"
        await tab.until(f"{strip} > 10")
        await tab.page.reload(wait_until="domcontentloaded")
        await tab.until(f"{WORDS}.length >= {len(before)}")
        assert (await tab.get(WORDS))[:2] == before[:2]
        assert await tab.get(strip) > 10
        await tab.until("document.querySelectorAll('details.wait').length === 2", 40)
        bars = await tab.get(BARS)
        await tab.says("The pipeline has ended")
    printed = "".join(run.lines)
    waits = [
        (float(total), {name: int(ms) for name, ms in re.findall(r"(\w+) (\d+)", parts)})
        for total, parts in re.findall(r"(\d+\.\d+) s\s+╱\S* ((?:\w+ \d+(?:, )?)+)", printed)
    ]
    assert len(waits) == len(bars) == 2
    for (total_s, printed_parts), (total_ms, drawn) in zip(waits, bars, strict=True):
        assert sum(drawn.values()) == total_ms
        assert abs(total_ms - 1000 * total_s) <= 5.01
        for name, ms in printed_parts.items():
            assert abs(drawn[name] - ms) <= 1, (printed_parts, drawn)


GATE = """
version: 1
name: gate
stages:
  - tone: {level_dbfs: -20}
  - mute_gate: {mode: open}
  - recorder: {path: out.wav, overwrite: true}
"""


async def test_a_click_on_mute_silences_what_is_recorded(tmp_path: Path) -> None:
    (tmp_path / "gate.yaml").write_text(GATE)
    async with (
        running(tmp_path, "gate.yaml") as run,
        chromium(silent(tmp_path)) as browser,
        opened(browser, run.url) as tab,
    ):
        await tab.says("Recording")
        await tab.until(
            "document.querySelector('[data-from=tone] .top').textContent.includes('dB')"
        )
        mute = tab.page.get_by_role("button", name="Mute visitor")
        await tab.until("document.querySelector('rt-hands .btn').ariaDisabled === null")
        await mute.click()
        await tab.until("document.querySelector('rt-hands [aria-pressed=true]') !== null")
        await tab.until(
            "document.querySelector('[data-from=mute_gate] .top').textContent === 'closed'"
        )
        await run.stop()
    samples = recorded(tmp_path / "out.wav")
    loud = np.abs(samples.astype(np.float64)) > 0
    assert loud[: len(loud) // 10].mean() > 0.9
    assert not loud[-4800:].any()


TALK = """
version: 1
name: talk
stages:
  - tone: {level_dbfs: -20}
  - realtime: {provider: embedded, turn_detection: null}
  - blackhole
"""
_USED = """document.querySelector('rt-events').events
  .filter((e) => e.type === 'control.used').map((e) => e.action)"""


async def until_used(tab: Tab, *actions: str) -> None:
    await tab.until(f"JSON.stringify({_USED}) === JSON.stringify({list(actions)!r})")


async def test_push_to_talk_reaches_the_peer(tmp_path: Path) -> None:
    (tmp_path / "talk.yaml").write_text(TALK)
    async with (
        running(tmp_path, "talk.yaml") as run,
        chromium(silent(tmp_path)) as browser,
        opened(browser, run.url, has_touch=True) as tab,
    ):
        await tab.says("Ready")
        await tab.until("document.querySelector('.hold').ariaDisabled === null")
        talk = tab.page.get_by_role("button", name="Hold to talk")
        box = await talk.bounding_box()
        assert box is not None
        x, y = box["x"] + 20, box["y"] + 20
        await tab.page.mouse.move(x, y)
        await tab.page.mouse.down()
        await until_used(tab, "realtime.press")
        await tab.says("The visitor is speaking")
        await tab.page.mouse.up()
        await until_used(tab, "realtime.press", "realtime.release")
        await tab.get("document.activeElement.blur()")
        await tab.page.keyboard.down(" ")
        await until_used(tab, *["realtime.press", "realtime.release"], "realtime.press")
        await tab.page.keyboard.up(" ")
        await until_used(tab, *["realtime.press", "realtime.release"] * 2)
        cdp = await tab.page.context.new_cdp_session(tab.page)
        touched = {"touchPoints": [{"x": x, "y": y}]}
        await cdp.send("Input.dispatchTouchEvent", {"type": "touchStart", **touched})
        await until_used(tab, *["realtime.press", "realtime.release"] * 2, "realtime.press")
        await cdp.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
        await until_used(tab, *["realtime.press", "realtime.release"] * 3)


_HEARD = """async () => {
  const { audio } = document.querySelector('rt-graph').page.listening;
  window.analyser ??= (() => {
    const context = new AudioContext();
    const made = context.createAnalyser();
    context.createMediaElementSource(audio).connect(made);
    return made;
  })();
  const levels = new Float32Array(window.analyser.frequencyBinCount);
  window.analyser.getFloatFrequencyData(levels);
  const loudest = levels.indexOf(Math.max(...levels));
  const hertz = loudest * window.analyser.context.sampleRate / window.analyser.fftSize;
  return levels[loudest] > -60 ? hertz : 0;
}"""


async def test_listening_at_a_link_sounds(tmp_path: Path) -> None:
    (tmp_path / "gate.yaml").write_text(GATE)
    async with (
        running(tmp_path, "gate.yaml") as run,
        chromium(silent(tmp_path)) as browser,
        opened(browser, run.url) as tab,
    ):
        await tab.says("Recording")
        await tab.page.click("[data-from=tone]")
        hertz = await tab.until(_HEARD)
        assert abs(hertz - 440) < 30
        assert await tab.get("document.querySelector('[data-from=tone]').ariaPressed") == "true"
        await tab.page.get_by_role("button", name="Stop listening").click()
        assert await tab.get("document.querySelector('[data-from=tone]').ariaPressed") == "false"


async def test_a_killed_pipeline_is_no_news(tmp_path: Path) -> None:
    (tmp_path / "gate.yaml").write_text(GATE)
    async with (
        running(tmp_path, "gate.yaml") as run,
        chromium(silent(tmp_path)) as browser,
        opened(browser, run.url) as tab,
    ):
        await tab.says("Recording")
        run.process.send_signal(signal.SIGSTOP)
        await tab.says("No news for 4 s")
        run.process.send_signal(signal.SIGCONT)
        await tab.says("Recording")
        run.process.kill()
        await tab.says("No news for 3 s")
        mute = tab.page.get_by_role("button", name="Mute visitor")
        assert await mute.get_attribute("aria-disabled") == "true"
