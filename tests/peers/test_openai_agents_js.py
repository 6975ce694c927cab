"""OpenAI's own SDK for browsers, `@openai/agents-realtime`, in Chromium against our server."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any

import numpy as np
import pytest
import pytest_asyncio
from numpy.typing import NDArray
from playwright.async_api import Browser, Error

from helpers.listening import require_speech
from peers.browser import TIMEOUT_S, Tab, tab
from peers.clerk import TOOL, Clerk
from peers.javascript import packages
from peers.mutations import ANSWERS, EVENTS, break_answers, break_events
from peers.order import judge_order
from peers.serving import Token, serving
from realtime_server.judge import judge
from rtpipe_realtime_server.brains.desk import load_desk
from rtpipe_realtime_server.brains.speech import SpeechBrain

pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_scope="session")]

UPDATES = 2  # the SDK configures the session, then its tracing
SILENT, LOUD = 0.005, 0.03  # RMS; speech peaks at -3 dBFS
Server = tuple[str, Token]


@pytest.fixture(scope="module", autouse=True)
def sdk() -> None:
    packages()  # here a missing one is told; the web server could only fail


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def server(question: NDArray[np.int16]) -> AsyncIterator[Server]:
    require_speech()
    async with serving(SpeechBrain(load_desk()), question) as served:
        yield served


def happened(kind: str, count: int = 1) -> str:
    return f"seen.events.filter((event) => event.type === '{kind}').length >= {count}"


def since(kind: str, other: str) -> str:
    return f"since('{kind}', '{other}')"


async def connect(page: Tab, token: Token, **options: bool) -> None:
    await page.until("window.ready")
    await page.get("(options) => connect(options)", {**await token(), **options})


async def accepted(page: Tab) -> list[dict[str, Any]]:
    """Return the events, once every judge has accepted them."""
    seen = await page.get("seen")
    events: list[dict[str, Any]] = seen["events"]
    assert seen["errors"] == []
    assert page.complaints == []
    assert seen["states"] == ["connecting", "connected"]
    understood = {event["event_id"] for event in seen["understood"]}
    assert [event["type"] for event in events if event["event_id"] not in understood] == []
    for event in events:
        judge(event)
    judge_order(events, updates=UPDATES)
    return events


async def said(page: Tab, role: str) -> list[str]:
    """Return what the SDK's history says that one side said."""
    history = await page.get("session.history")
    return [
        item["content"][0].get("transcript") or item["content"][0].get("text") or ""
        for item in history
        if item["type"] == "message" and item["role"] == role
    ]


async def heard_it(page: Tab) -> None:
    levels = await page.get("levels")
    assert max(levels[:5]) < SILENT
    assert sum(level > LOUD for level in levels) > 5, "a quarter of a second"
    stats = await page.get("inbound()")
    assert stats["packetsReceived"] > 100
    assert stats["packetsLost"] <= stats["packetsReceived"] / 50


async def test_a_spoken_question_a_tool_call_and_an_interruption(
    browser: Browser, server: Server
) -> None:
    url, token = server
    async with tab(browser, f"{url}/agents.html", events="seen.events") as page:
        await connect(page, token, withTool=True)
        # Who connects too late hears half a question, and the whole one when it comes again.
        await page.until("seen.toolCalls.length", 2 * TIMEOUT_S)
        await page.get("session.mute(true)")
        await page.until(
            since("output_audio_buffer.stopped", "response.function_call_arguments.done")
        )
        await heard_it(page)
        assert await page.get("seen.toolCalls") == [TOOL]
        assert "opening hours" in (await said(page, "user"))[-1].lower()
        assert (await said(page, "assistant"))[-1] == "We are open from noon to four."
        (call,) = [i for i in await page.get("session.history") if i["type"] == "function_call"]
        assert (call["name"], call["status"]) == (TOOL, "completed")

        await page.get("session.sendMessage('Where is the café?')")
        await page.until(since("output_audio_buffer.started", "output_audio_buffer.stopped"))
        await page.until(f"levels.at(-1) > {LOUD}")
        await page.get("session.interrupt()")
        await page.until(since("conversation.item.truncated", "output_audio_buffer.started"))
        await page.until(since("conversation.item.retrieved", "conversation.item.truncated"))
        await page.until(f"levels.slice(-6).every((level) => level < {SILENT})")
        events = await accepted(page)
    *_, played = [e["type"] for e in events if e["type"].startswith("output_audio_buffer")]
    assert played == "output_audio_buffer.cleared"


async def test_who_speaks_during_the_answer_interrupts_it(browser: Browser, server: Server) -> None:
    url, token = server
    async with tab(browser, f"{url}/agents.html", events="seen.events") as page:
        await connect(page, token, onCommand=True)
        await page.get("speak()")
        await page.until(f"levels.at(-1) > {LOUD} && {happened('output_audio_buffer.started')}")
        await page.get("speak()")
        await page.until(happened("output_audio_buffer.cleared"))
        await page.until(f"levels.slice(-6).every((level) => level < {SILENT})")
        await page.until(happened("output_audio_buffer.started", 2))
        await heard_it(page)
        await page.get("session.interrupt()")
        await page.until(happened("conversation.item.retrieved", 4))  # words twice, cuts twice
        events = await accepted(page)
        assert len(await said(page, "user")) == len(await said(page, "assistant")) == 2
    started = [e["response_id"] for e in events if e["type"] == "output_audio_buffer.started"]
    cleared = [e["response_id"] for e in events if e["type"] == "output_audio_buffer.cleared"]
    assert started == cleared
    assert "output_audio_buffer.stopped" not in {event["type"] for event in events}


async def ask_in_writing(browser: Browser, question: NDArray[np.int16]) -> None:
    """The shortest conversation that a judge can tell something from."""
    async with (
        serving(Clerk(seconds=0.4), question) as (url, token),
        tab(browser, f"{url}/agents.html", events="seen.events") as page,
    ):
        await connect(page, token, withTool=True, onCommand=True)
        await page.get("session.sendMessage('When do you open?')")
        await page.until(happened("output_audio_buffer.stopped"), 4)
        assert await page.get("seen.toolCalls") == [TOOL]
        assert "noon to four" in (await said(page, "assistant"))[-1]
        await accepted(page)


async def test_a_written_question(browser: Browser, question: NDArray[np.int16]) -> None:
    await ask_in_writing(browser, question)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda patch: break_events(patch, EVENTS["no response_id"]()),
        lambda patch: break_events(patch, EVENTS["another call"]()),
        lambda patch: break_events(patch, EVENTS["beta names"]()),
        lambda patch: break_answers(patch, ANSWERS["no CORS"]),
    ],
    ids=["no response_id", "another call", "beta names", "no CORS"],
)
async def test_a_broken_server_is_noticed(
    browser: Browser,
    question: NDArray[np.int16],
    monkeypatch: pytest.MonkeyPatch,
    spoil: Callable[[pytest.MonkeyPatch], None],
) -> None:
    spoil(monkeypatch)
    with pytest.raises((AssertionError, Error)):
        await ask_in_writing(browser, question)
