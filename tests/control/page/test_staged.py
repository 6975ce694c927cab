"""The page in Chromium, in states that are hard to reach in a real run."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Browser

from control.page.browser import SMALL, WIDE, Tab, chromium, opened, silent
from control.page.staged import (
    Staged,
    condition,
    event,
    fault,
    kiosk,
    link,
    snapshot,
    stage,
    staged,
)

# One Chromium for all; each test opens a context of its own, which shares nothing with another.
pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_scope="module")]

LEVELS = {
    "mic": [-20, -13], "gain": [-17, -10], "vad": [-17, -10], "mute_gate": [-17, -10],
    "realtime": [-18, -8], "speaker": [-18, -8], "recorder": [-20, -10],
}  # fmt: skip
PARTS = {"hangover": 500, "network": 122, "model": 541, "jitter": 10}
TARGETS = """[...document.querySelectorAll(
  'button, a[href], input, select, summary, [tabindex="0"]')]
  .filter((e) => e.checkVisibility({visibilityProperty: true}) && !e.matches('.skip'))"""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Browser]:
    async with chromium(silent(tmp_path_factory.mktemp("page"))) as running:
        yield running


def talked() -> dict[str, Any]:
    """Return a kiosk in the middle of its first answer."""
    names = ("device", "dsp", "queue", "hangover", "network", "model", "jitter", "playout")
    wait = {f"{name}_ms": PARTS.get(name, 0) for name in names}
    said = [
        event("turn.user_started", "realtime", 4.0, item_id="a"),
        event("turn.user_stopped", "realtime", 6.8, item_id="a"),
        event("transcript.user", "realtime", 7.0, item_id="a", text="When are you open?"),
        event("transcript_delta.assistant", "realtime", 7.2, item_id="b", response_id="r",
              delta="We are open from ten in the morning until six."),
        event("turn.answer_started", "realtime", 7.4, response_id="r"),
        event("latency.turn_measured", "realtime", 7.4, response_id="r", total_ms=1173, **wait),
        event("turn.answer_heard", "realtime", 9.0, response_id="r", heard_ms=1600, heard_chars=20),
    ]  # fmt: skip
    fell = event("stage.fell_back", "speaker", 0.3, importance="warning", reason="no device")
    connected = event("realtime.connected", "realtime", 3.0)
    closed = event("mute_gate.closed", "mute_gate", 7.41, at_ms=0)
    shown = kiosk(now=9.0, condition=condition("The desk is speaking.", "", "model", "speaker"))
    shown["stages"][5]["wanted"] = {"stage": "speaker: default", "reason": "no output device"}
    shown["recent"] |= {
        "conversation": said, "last": [fell, connected, closed],
        "events": [fell, connected, *said, closed],
        "levels": [[round(at * 0.2, 1), {k: v[0] for k, v in LEVELS.items()}] for at in range(45)],
    }  # fmt: skip
    return shown


def studio() -> dict[str, Any]:
    """Return a pipeline with several sources, no call, and a link that lost audio."""
    stages = [
        *(stage(id, "source", [], "mute unmute") for id in ("left", "right", "bed")),
        stage("mix", "transform", ["left", "right", "bed"]),
        *(stage(id, "transform", ["mix"]) for id in ("loudness", "limiter", "stereo", "delay")),
        stage("icecast", "sink", ["delay"]),
        stage("recorder", "sink", ["loudness"]),
    ]
    links = [
        *(link(id, "mix", max_ms=200, inlet=i) for i, id in enumerate(("left", "right", "bed"))),
        link("mix", "loudness"), link("loudness", "limiter"), link("limiter", "stereo"),
        link("stereo", "delay"), link("delay", "icecast", max_ms=1000, dropped_ms=340.0),
        link("loudness", "recorder", max_ms=10_000),
    ]  # fmt: skip
    return snapshot(stages, links, name="studio", condition=condition("Recording.", sign="record"))


async def shown(tab: Tab) -> None:
    """Wait until the page shows the kiosk."""
    await tab.until("document.body.dataset.line === 'live'")


STATES = {"answering": talked, "fault": fault, "empty": kiosk, "studio": studio}


@pytest.mark.parametrize("state", STATES)
async def test_axe_finds_nothing_wide_and_small_light_and_dark(
    browser: Browser, state: str
) -> None:
    async with staged(STATES[state]()) as surface:
        for scheme, sizes in (("light", (WIDE, SMALL)), ("dark", (SMALL, WIDE))):
            async with opened(browser, surface.url, sizes[0], color_scheme=scheme) as tab:
                await shown(tab)
                await tab.until("document.querySelectorAll('.stage').length > 5")
                assert await tab.axe() == [], (state, scheme)
                await tab.resize(sizes[1])
                assert await tab.axe() == [], (state, scheme, "resized")


async def test_axe_finds_nothing_in_what_opens_and_in_the_captions(browser: Browser) -> None:
    async with staged(talked()) as surface:
        async with opened(browser, surface.url) as tab:
            await shown(tab)
            await tab.page.click("[data-id=realtime]")
            await tab.page.click("summary")
            assert await tab.axe() == []
            await tab.page.keyboard.press("?")
            assert await tab.axe() == []
        for scheme in ("light", "dark"):
            async with opened(browser, f"{surface.url}captions", color_scheme=scheme) as tab:
                await tab.until("document.body.innerText.includes('We are open')")
                assert await tab.get("document.querySelector('.m .unheard').textContent")
                assert await tab.axe() == []


@pytest.mark.parametrize("size", [WIDE, SMALL, (320, 640)])
async def test_every_target_is_44_pixels_and_has_a_name(
    browser: Browser, size: tuple[int, int]
) -> None:
    for state in (talked, fault):
        async with staged(state()) as surface, opened(browser, surface.url, size) as tab:
            await shown(tab)
            await tab.page.click("[data-id=mute_gate]")
            small = await tab.get(
                f"{TARGETS}.map((e) => [e.outerHTML.slice(0, 80), e.getBoundingClientRect()])"
                ".filter(([, r]) => r.width < 43.9 || r.height < 43.9)"
                ".map(([html, r]) => `${html} ${r.width} ${r.height}`)"
            )
            assert small == []
            snapshot = await tab.page.locator("body").aria_snapshot()
            unnamed = [
                line
                for line in snapshot.splitlines()
                if line.strip().rstrip(":") in ("- button", "- textbox", "- link", "- combobox")
            ]
            assert unnamed == [], snapshot


@pytest.mark.parametrize("state", [talked, fault, studio])
async def test_nothing_scrolls_sideways(browser: Browser, state: Callable[[], Any]) -> None:
    async with staged(state()) as surface, opened(browser, surface.url, (320, 640)) as tab:
        await shown(tab)
        for size in ((320, 640), (640, 400), SMALL, (1179, 800), WIDE, (1920, 1080)):
            await tab.resize(size)
            assert await tab.get("document.documentElement.scrollWidth <= innerWidth"), size
            assert await tab.get("document.querySelector('main').scrollWidth <= innerWidth"), size


async def test_all_of_it_is_seen_at_1280_by_800_without_scrolling(browser: Browser) -> None:
    async with staged(talked()) as surface, opened(browser, surface.url) as tab:
        await shown(tab)
        main = "document.querySelector('main')"
        assert await tab.get(f"{main}.scrollHeight - {main}.clientHeight") == 0
        assert await tab.get("document.querySelector('.turns').scrollTop") == 0


async def test_the_order_of_focus_is_the_order_of_reading_and_the_graph_is_one_stop(
    browser: Browser,
) -> None:
    lost = fault()
    lost["recent"]["conversation"] = talked()["recent"]["conversation"]
    async with staged(lost) as surface, opened(browser, surface.url) as tab:
        await shown(tab)
        where = """(() => { const e = document.activeElement;
            return e.matches('.skip') ? 'skip' : e.closest('header') ? 'header'
              : e.closest('rt-hands') ? 'hands' : e.closest('rt-alerts') ? 'alert'
              : e.closest('rt-graph') ? 'graph' : e.closest('rt-talk') ? 'talk'
              : e.closest('rt-events') ? 'events' : e.tagName })()"""
        seen = []
        for _ in range(30):
            await tab.page.keyboard.press("Tab")
            seen.append(await tab.get(where))
        order = list(dict.fromkeys(seen))[:7]
        assert order == ["skip", "header", "hands", "alert", "graph", "talk", "events"]
        assert seen.count("graph") == 1
        await tab.page.focus("rt-graph [tabindex='0']")
        here = "document.activeElement.dataset.id ?? document.activeElement.dataset.from"
        steps = {"Home": "mic", "ArrowRight": "mic", "ArrowDown": "gain", "End": "recorder"}
        for key, element in steps.items():
            await tab.page.keyboard.press(key)
            assert await tab.get(here) == element
        await tab.page.keyboard.press("Enter")
        assert await tab.get("document.activeElement.ariaExpanded") == "true"
        await tab.page.keyboard.press("Escape")
        assert await tab.get("document.activeElement.ariaExpanded") == "false"


async def test_a_dialog_takes_the_focus_and_gives_it_back(browser: Browser) -> None:
    async with staged(kiosk()) as surface, opened(browser, surface.url) as tab:
        await shown(tab)
        await tab.page.focus(".keysbtn")
        await tab.page.keyboard.press("?")
        assert await tab.get("document.activeElement.closest('dialog') !== null")
        await tab.page.keyboard.press("Escape")
        assert await tab.get("document.activeElement.matches('.keysbtn')")


async def test_a_button_turns_when_the_kiosk_says_so_and_not_before(browser: Browser) -> None:
    async with staged(kiosk()) as surface, opened(browser, surface.url) as tab:
        await shown(tab)
        mute = tab.page.get_by_role("button", name="Mute microphone")
        await mute.click()
        await surface.posted.wait()
        assert ("mic", "mute", {"args": [], "kwargs": {}}) in surface.posts
        assert await mute.get_attribute("aria-pressed") == "false"
        changed = {"why_not": {"mute": "it is muted already"}}
        await surface.tell("state", {
            "state": "running", "now": 22.0, "stages": {"mic": changed},
            "links": surface.snapshot["links"],
            "condition": condition("The microphone is muted.", "", "ink", "muted"),
        })  # fmt: skip
        await tab.says("The microphone is muted.")
        pressed = tab.page.get_by_role("button", name="Unmute microphone")
        assert await pressed.get_attribute("aria-pressed") == "true"


async def test_what_cannot_be_done_says_why_and_what_was_refused_too(browser: Browser) -> None:
    async with staged(kiosk()) as surface, opened(browser, surface.url) as tab:
        await shown(tab)
        stop = tab.page.get_by_role("button", name="Stop answer")
        assert await stop.get_attribute("aria-disabled") == "true"
        await stop.click(force=True)
        answer = "document.querySelector('.answer').textContent"
        await tab.until(f"{answer} === 'The desk is silent.'")
        refused = {"error": "`mic` is being opened again", "help": "try again in a second"}
        surface.answers["mic.mute"] = (409, refused)
        await tab.page.keyboard.press("m")
        await tab.until(f"{answer}.includes('is being opened again: try again in a second')")
        assert [post[:2] for post in surface.posts if post[0] == "realtime"] == []


async def test_another_microphone_is_taken_from_the_alert(browser: Browser) -> None:
    async with staged(fault()) as surface, opened(browser, surface.url) as tab:
        await shown(tab)
        changed = event("device.changed", "mic", 22.0, device="ALC257", line="uses ALC257 now")
        surface.answers["mic.use"] = (200, {"result": "accepted", "event": changed})
        await tab.page.get_by_role("button", name="Use it").click()
        await tab.until("document.querySelector('.answer').textContent === 'mic: uses ALC257 now'")
        given = {"args": ["HDA Intel: ALC257 Analog"], "kwargs": {}}
        assert ("mic", "use", given) in surface.posts
        assert await tab.get("document.querySelectorAll('.stage.lost').length") == 1


async def test_talk_is_held_by_mouse_touch_and_space_and_is_let_go_in_every_way(
    browser: Browser,
) -> None:
    async with (
        staged(kiosk()) as surface,
        opened(browser, surface.url, SMALL, has_touch=True) as tab,
    ):
        await shown(tab)
        page, talk = tab.page, tab.page.get_by_role("button", name="talk")
        box = await talk.bounding_box()
        assert box is not None
        x, y = box["x"] + 20, box["y"] + 20
        cdp = await page.context.new_cdp_session(page)
        touch = {"touchPoints": [{"x": x, "y": y}]}
        press = "document.querySelector('.hold').ariaPressed === 'true'"
        await page.mouse.move(x, y)
        for begin, end in (
            (page.mouse.down(), page.mouse.up()),
            (cdp.send("Input.dispatchTouchEvent", {"type": "touchStart", **touch}),
             cdp.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})),
            (page.keyboard.down(" "), page.keyboard.up(" ")),
            (page.keyboard.down(" "), tab.get("window.dispatchEvent(new Event('blur'))")),
        ):  # fmt: skip
            surface.posts.clear()
            await tab.get("document.activeElement.blur()")
            await begin
            await tab.until(press)
            await until_posted(tab, surface, "press")
            assert [action for _, action, _ in surface.posts] == ["press"]
            await end
            await until_posted(tab, surface, "release")
            assert [action for _, action, _ in surface.posts] == ["press", "release"]
            assert not await tab.get(press)
        await page.keyboard.up(" ")
        surface.posts.clear()
        await page.mouse.down()
        await tab.until(press)
        surface.leave()
        await tab.until(f"!({press})")
        tab.complaints.clear()


async def until_posted(tab: Tab, surface: Staged, action: str) -> None:
    while not any(action == each for _, each, _ in surface.posts):
        surface.posted.clear()
        await surface.posted.wait()


async def test_no_news_is_said_and_what_was_missed_stands_in_the_stream(browser: Browser) -> None:
    async with staged(talked()) as surface, opened(browser, surface.url) as tab:
        await shown(tab)
        await surface.event("vad.speech_started", "vad", 9.1)
        surface.leave()
        await tab.says("No news for 4 s")
        assert await tab.get("document.querySelector('.why').textContent.includes('00:09')")
        live = "[...document.querySelectorAll('rt-hands button:not([hidden], .opener)')]"
        assert await tab.get(f"{live}.every((e) => e.ariaDisabled === 'true')")
        grey = "getComputedStyle(document.querySelector('.graph')).filter"
        assert await tab.get(grey) == "grayscale(1)"
        surface.snapshot |= {"now": 40.0, "number": surface.snapshot["number"] + 214}
        surface.here = True
        await tab.says("The desk is speaking")
        await tab.until("document.querySelector('.log').innerText.includes('missed 214 events')")
        assert await tab.get(grey) == "none"
        # It came before the outage, and the kiosk remembers it no more: nor does the page.
        assert not await tab.get("document.querySelector('.log').innerText.includes('vad.')")


async def test_words_are_words_whatever_they_hold(browser: Browser) -> None:
    evil = "<img src=x onerror=\"document.title='taken'\"><script>1</script>"
    async with staged(talked()) as surface, opened(browser, surface.url) as tab:
        await shown(tab)
        await surface.event("transcript.user", "realtime", 9.5, item_id="z", text=evil)
        await tab.until("document.querySelector('.turns').innerText.includes('<img src=x')")
        assert await tab.get("document.querySelectorAll('img, .turns script').length") == 0
        policy = (await tab.page.request.get(surface.url)).headers["content-security-policy"]
        assert "unsafe" not in policy


async def test_a_wait_is_drawn_in_its_parts_and_named_in_words(browser: Browser) -> None:
    async with staged(talked()) as surface, opened(browser, surface.url) as tab:
        await shown(tab)
        parts = await tab.get(
            "[...document.querySelectorAll('.wait .seg')].filter((e) => !e.hidden)"
            ".map((e) => [e.classList[1], +e.dataset.ms, e.getBoundingClientRect().width])"
        )
        assert {name: ms for name, ms, _ in parts} == PARTS
        scale = (
            await tab.get("document.querySelector('.axis').getBoundingClientRect().width") / 2000
        )
        for name, ms, width in parts:
            assert abs(width - ms * scale) < 1.5, name
        named = tab.page.get_by_role("img", name="Waited 1.17 seconds: hangover 500, network 122")
        assert await named.count() == 1
        assert await tab.get("document.querySelector('.answers .unheard').textContent") != ""


async def test_levels_move_by_themselves_less_for_those_who_want_calm(browser: Browser) -> None:
    async with staged(talked()) as surface:
        async with opened(browser, surface.url, reduced_motion="reduce") as tab:
            await shown(tab)
            moves = "getComputedStyle(document.querySelector('.bar i')).transitionDuration"
            assert await tab.get(moves) == "0s"
        async with opened(browser, surface.url, forced_colors="active") as tab:
            await shown(tab)
            assert await tab.axe() == []


async def test_a_pipeline_without_a_call_has_neither_conversation_nor_talk(
    browser: Browser,
) -> None:
    async with staged(studio()) as surface, opened(browser, surface.url) as tab:
        await shown(tab)
        assert not await tab.page.get_by_role("button", name="talk").is_visible()
        assert not await tab.page.get_by_role("region", name="Conversation").is_visible()
        lost = "document.querySelector('.edge .lost.now').textContent"
        assert await tab.get(lost) == "✕ 340 ms lost"
        graph = "document.querySelector('rt-graph')"
        assert await tab.get(f"{graph}.scrollWidth >= {graph}.clientWidth")
