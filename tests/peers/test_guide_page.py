"""OpenAI's plain page (microphone, connection, audio element, channel) against our server."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from playwright.async_api import Browser, Error

from helpers.listening import require_speech
from peers.browser import TIMEOUT_S, tab
from peers.clerk import Clerk
from peers.mutations import ANSWERS, break_answers
from peers.order import judge_order
from peers.serving import serving
from realtime_server.fake_brain import ANSWER
from realtime_server.judge import judge
from rtpipe_realtime_server.brains.desk import load_desk
from rtpipe_realtime_server.brains.speech import SpeechBrain
from rtpipe_realtime_server.talk.brain import Brain, Utterance

pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_scope="session")]


_FAILED = "/Failed/.test(document.querySelector('#status').textContent)"
_METER = """
import("/measuring.js").then(({ meter, since }) => {
    window.levels = meter(audioEl.srcObject);
    window.since = (kind, other) => since(received, kind, other);
})
"""


async def talk(
    browser: Browser, brain: Brain, question: NDArray[np.int16], answer: str = ANSWER
) -> None:
    """Ask with the browser's microphone until the answer is heard."""
    async with (
        serving(brain, question) as (url, _),
        tab(browser, f"{url}/guide.html", events="received") as page,
    ):
        await page.page.click("#start")
        await page.until(f"audioEl.srcObject || {_FAILED}")
        await page.get(_METER)
        await page.until("received.some((event) => event.type === 'response.created')")
        silent = await page.get("levels.length")
        # Who connects too late hears half a question, and the whole one when it comes again.
        await page.until(
            f"document.querySelector('#transcript').textContent.includes('{answer}') && "
            "since('output_audio_buffer.stopped', 'response.created')",
            2 * TIMEOUT_S,
        )
        levels = await page.get("levels")
        assert max(levels[: silent - 1]) < 0.005
        assert sum(level > 0.03 for level in levels[silent:]) > 5, "a quarter of a second"
        assert page.complaints == []
        events = await page.get("received")
        for event in events:
            judge(event)
        judge_order(events)


RULES = """
rules:
  - about: opening hours
    any: [opening hours]
    say: [From ten until six.]
otherwise: [Pardon?]
silence: [I heard nothing.]
"""


async def test_the_page_talks_and_hears(
    browser: Browser, question: NDArray[np.int16], tmp_path: Path
) -> None:
    require_speech()
    rules = tmp_path / "rules.yaml"
    rules.write_text(RULES)
    brain = SpeechBrain(load_desk(rules))
    await talk(browser, brain, question, "From ten until six.")


class Mute(Clerk):
    async def speak(self, text: str, voice: str) -> Utterance:
        said = await super().speak(text, voice)
        return Utterance(said.text, said.pcm // 1000)


async def test_a_server_that_is_not_heard_is_noticed(
    browser: Browser, question: NDArray[np.int16]
) -> None:
    with pytest.raises(AssertionError):
        await talk(browser, Mute(seconds=0.5), question)


async def test_a_server_that_lets_no_page_in_is_noticed(
    browser: Browser, question: NDArray[np.int16], monkeypatch: pytest.MonkeyPatch
) -> None:
    break_answers(monkeypatch, ANSWERS["no CORS"])
    with pytest.raises(Error):
        await talk(browser, Clerk(), question)
