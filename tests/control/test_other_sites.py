"""The page of another site, and a name bent to 127.0.0.1, in a real browser."""

from __future__ import annotations

import shutil

import pytest
from aiohttp import web
from playwright.async_api import async_playwright

from helpers.surface import running
from peers.javascript import missing

pytestmark = pytest.mark.slow

LINE = "version: 1\nname: hall\nstages: [tone: {realtime: true}, gain: 0, blackhole]\n"
FORM = """
<form method=post enctype=text/plain action="http://127.0.0.1:PORT/api/stages/gain/set">
<input name='{"gain_db": -6, "x": "' value='"}'><button>Win a prize</button></form>
<form id=stop method=post action="http://127.0.0.1:PORT/api/stop"></form>
"""
TRY = """
async ([port, path, options]) => {
  try {
    const answer = await fetch(`http://${port}${path}`, options)
    return [answer.type, answer.status, (await answer.text()).slice(0, 200)]
  } catch (error) { return ["refused", 0, String(error)] }
}
"""


async def test_a_browser_is_no_way_in() -> None:
    chromium = shutil.which("chromium")
    if chromium is None:
        missing("needs a browser: apt install chromium")
    async with running(LINE) as here, async_playwright() as playwright:

        async def page(_: web.Request) -> web.Response:
            text = FORM.replace("PORT", str(here.port))
            return web.Response(text=text, content_type="text/html")

        app = web.Application()
        app.add_routes([web.get("/", page)])
        runner = web.AppRunner(app)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        theirs = runner.addresses[0][1]
        browser = await playwright.chromium.launch(
            executable_path=chromium,
            args=["--no-sandbox", "--host-resolver-rules=MAP evil.example 127.0.0.1"],
        )
        try:
            tab = await browser.new_page()
            ours = f"127.0.0.1:{here.port}"
            json = {"Content-Type": "application/json"}
            for origin in (f"http://evil.example:{theirs}/", f"http://127.0.0.1:{theirs}/"):
                for options in (
                    {"method": "POST", "body": '{"gain_db": -6}'},
                    {"method": "POST", "body": '{"gain_db": -6}', "mode": "no-cors"},
                    {"method": "POST", "body": '{"gain_db": -6}', "headers": json},
                ):
                    await tab.goto(origin)
                    tried = ["refused", "opaque"]
                    asked = [ours, "/api/stages/gain/set", options]
                    assert (await tab.evaluate(TRY, asked))[0] in tried
                read = await tab.evaluate(TRY, [ours, "/api/pipeline", {}])
                assert read[0] == "refused", "it cannot be read"
                async with tab.expect_navigation():
                    await tab.click("button")
                assert "the page of another site asks for this" in await tab.content()
                await tab.goto(origin)
                async with tab.expect_navigation():
                    await tab.evaluate("document.getElementById('stop').submit()")
                assert "the page of another site asks for this" in await tab.content()

            # the name of the other site leads to us now: its page is of one origin with us
            answer = await tab.goto(f"http://evil.example:{here.port}/api/pipeline")
            assert answer is not None
            assert answer.status == 403
            bent = [f"evil.example:{here.port}", "/api/stages/gain/set"]
            options = {"method": "POST", "body": '{"gain_db": -6}', "headers": json}
            tried = await tab.evaluate(TRY, [*bent, options])
            assert tried[1] == 403
            assert "no name of this pipeline's page" in tried[2]

            assert here.pipeline["gain"]._gain_db == 0
            assert (await here.get("/readyz")).status == 200

            # whereas the page's own requests come through
            await tab.goto(f"http://{ours}/healthz")
            own = await tab.evaluate(TRY, [ours, "/api/stages/gain/set", options])
            assert own[:2] == ["basic", 200]
            assert here.pipeline["gain"]._gain_db == -6
        finally:
            await browser.close()
            await runner.cleanup()
