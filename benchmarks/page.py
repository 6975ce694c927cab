"""What a tab with the page costs: its renderer's share of a core, and the pipeline's with it.

    python -m benchmarks.page [--loops 2] [--rounds 2]

Runs `pipelines/kiosk.yaml` in a loop of speech, and reads the processor time of the pipeline, in
turn without the page and with it open in Debian's Chromium, and that of the tab's process. What is
said is recognised and answered in bursts: so each reading is as long as whole loops of the speech.
No figure makes it fail.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import re
import shutil
import signal
import sys
import tempfile
import wave
from pathlib import Path

from playwright.async_api import Browser, async_playwright

ROOT = Path(__file__).parents[1]
_TICKS = os.sysconf("SC_CLK_TCK")
FILE = """
version: 1
name: kiosk
stages:
  - file: {path: audio/visitor.wav, realtime: true, loop: true}
  - gain: 3
  - vad: {aggressiveness: 2}
  - mute_gate: {mode: half_duplex, tail_ms: 400}
  - realtime: {provider: embedded, instructions: "${file:prompts/desk.md}"}
  - file_sink: {path: out/answer.wav, overwrite: true}
  - recorder: {path: out/all.mka, overwrite: true}
    from: [mute_gate, realtime]
"""


def cpu_s(pid: int) -> float:
    """Return the processor time that a process has had (seconds)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


async def processes(browser: Browser) -> dict[str, float]:
    """Return the processor time of Chromium's processes by their kind (seconds)."""
    cdp = await browser.new_browser_cdp_session()
    told = await cdp.send("SystemInfo.getProcessInfo")
    await cdp.detach()
    used: dict[str, float] = {}
    for each in told["processInfo"]:
        used[each["type"]] = used.get(each["type"], 0.0) + cpu_s(each["id"])
    return used


async def measure(browser: Browser, seconds: float, rounds: int) -> None:
    """Print what the tab costs, and the pipeline with and without it."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        for name in ("audio", "prompts"):
            shutil.copytree(ROOT / "pipelines" / name, folder / name)
        (folder / "kiosk.yaml").write_text(FILE)
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "rtpipe", "run", "kiosk.yaml", "--control", "127.0.0.1:0",
            cwd=folder, env={**os.environ, "XDG_RUNTIME_DIR": scratch},
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
        )  # fmt: skip
        try:
            assert process.stdout is not None
            url = ""
            while not url:
                line = (await process.stdout.readline()).decode()
                found = re.search(r"the page is at (http\S+)", line)
                url = found[1] if found else ""
            drain = asyncio.create_task(_drain(process.stdout))
            await asyncio.sleep(8)  # it has started, and the first words are spoken
            shares: dict[str, list[float]] = {"without the page": [], "with it": []}
            for _ in range(rounds):
                shares["without the page"].append(await share(process.pid, seconds))
                context = await browser.new_context(viewport={"width": 1280, "height": 800})
                page = await context.new_page()
                cdp = await context.new_cdp_session(page)
                await page.goto(url, wait_until="domcontentloaded")
                await asyncio.sleep(3)
                await cdp.send("Performance.enable")
                used, before = await processes(browser), await metrics(cdp)
                shares["with it"].append(await share(process.pid, seconds))
                using, after = await processes(browser), await metrics(cdp)
                report(used, using, before, after, seconds)
                await context.close()
            for name, of_pipeline in shares.items():
                each = ", ".join(f"{100 * value:.1f}" for value in of_pipeline)
                mean = 100 * sum(of_pipeline) / rounds
                print(f"pipeline {name:18}{mean:5.1f} % of a core ({each})")
            drain.cancel()
        finally:
            if process.returncode is None:
                process.send_signal(signal.SIGINT)
                await process.wait()


def report(
    used: dict[str, float],
    using: dict[str, float],
    before: dict[str, float],
    after: dict[str, float],
    seconds: float,
) -> None:
    """Print what Chromium's processes, and the tab's main thread, took between two readings."""
    for kind in sorted(using):
        part = (using[kind] - used.get(kind, 0.0)) / seconds
        print(f"Chromium, {kind:18}{100 * part:5.1f} % of a core")
    for name in ("TaskDuration", "ScriptDuration", "LayoutDuration", "RecalcStyleDuration"):
        ratio = (after[name] - before[name]) / (after["Timestamp"] - before["Timestamp"])
        print(f"  main thread, {name:19}{100 * ratio:5.1f} %")
    layouts = (after["LayoutCount"] - before["LayoutCount"]) / seconds
    print(f"  layouts a second          {layouts:5.1f}, nodes {after['Nodes']:.0f}")


async def metrics(cdp: object) -> dict[str, float]:
    """Return what Chromium counts of the tab."""
    told = await cdp.send("Performance.getMetrics")  # type: ignore[attr-defined]
    return {each["name"]: each["value"] for each in told["metrics"]}


async def share(pid: int, seconds: float) -> float:
    """Return which part of a core a process takes, over some seconds."""
    loop = asyncio.get_running_loop()
    began, before = loop.time(), cpu_s(pid)
    await asyncio.sleep(seconds)
    return (cpu_s(pid) - before) / (loop.time() - began)


async def _drain(stream: asyncio.StreamReader) -> None:
    while await stream.readline():
        pass


async def main() -> None:
    """Measure once."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--loops", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=2)
    asked = parser.parse_args()
    with wave.open(f"{ROOT / 'pipelines' / 'audio' / 'visitor.wav'}") as visitor:
        seconds = asked.loops * visitor.getnframes() / visitor.getframerate()
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox"]
        )
        await measure(browser, seconds, asked.rounds)
        await browser.close()


if __name__ == "__main__":
    asyncio.run(main())
