"""webhook: each event is an HTTP request, and no secret is told."""

import asyncio
import logging
import os
import subprocess
import sys
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr, ValidationError

from helpers.broker import free_port
from helpers.web_server import WebServer, answer
from plugins.subscribers.deliveries import QUICK, numbers, said
from rtpipe.testing import check_stage, run_stage
from rtpipe_plugins.subscribers.webhook import Webhook, WebhookOptions

SECRET = "Bearer s3cret-value"


async def test_each_event_is_a_request(server: WebServer) -> None:
    options = {"url": server.url, "headers": {"Authorization": SECRET}, "method": "PUT"}
    run = await run_stage(Webhook, options, events=[said(1), said(2)])
    assert numbers(server.taken) == [1, 2]
    first, second = server.requests
    assert (first.method, first.path) == ("PUT", "/hook/token-in-path")
    assert first.headers["Content-Type"] == "application/json"
    assert first.headers["Authorization"] == SECRET
    assert first.headers["Idempotency-Key"] != second.headers["Idempotency-Key"]
    body = server.taken[0]
    assert datetime.fromisoformat(body.pop("time")).tzinfo is not None
    assert body == said(1).as_dict()
    assert [event.type for event in run.events] == ["webhook.connected"]


async def test_an_empty_url_means_off(tmp_path: Path) -> None:
    outbox = tmp_path / "outbox"
    run = await run_stage(Webhook, {"url": "", "outbox": outbox}, events=[said(1)])
    assert run.events == []
    assert not outbox.exists()
    assert Webhook.claims(WebhookOptions(url=SecretStr(""), outbox=outbox)) is None


def test_two_cannot_claim_one_outbox(tmp_path: Path) -> None:
    options = WebhookOptions(url=SecretStr("http://x"), outbox=tmp_path / "outbox")
    assert Webhook.claims(options) == f"file:{tmp_path / 'outbox'}"


PIPELINE = """
version: 1
stages:
  - tone: {{duration_s: 0.2}}
  - blackhole
events:
  - webhook: {{url: "{url}", headers: {{X-Token: "${{env:TOKEN}}"}}}}
  - log: debug
"""


@pytest.mark.slow
async def test_a_run_delivers_its_last_event(server: WebServer, tmp_path: Path) -> None:
    (tmp_path / "pipeline.yaml").write_text(PIPELINE.format(url=server.url), encoding="utf-8")
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "rtpipe", "run", str(tmp_path / "pipeline.yaml")),
        env={**os.environ, "TOKEN": SECRET},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    output, _ = await process.communicate()
    assert process.returncode == 0, output.decode()
    assert server.taken[-1]["type"] == "pipeline.ended"
    assert {request.headers["X-Token"] for request in server.requests} == {SECRET}
    assert "webhook: is ok" in output.decode()
    assert "s3cret" not in output.decode()


# --- secrets


@pytest.mark.parametrize("status", [400, 503, None])
async def test_no_secret_is_told(
    server: WebServer, caplog: pytest.LogCaptureFixture, status: int | None
) -> None:
    """Neither by an event nor by a log, though the server repeats it."""
    caplog.set_level(logging.DEBUG)
    url = server.url.replace("//", "//desk:s3cret-password@")
    if status is None:
        await server.stop()
    else:
        server.answers = [answer(status, X_Echo=SECRET)] * 3
    options = WebhookOptions.model_validate(
        {"url": url, "headers": {"X-Token": SECRET}, "retry": QUICK}
    )
    run = await run_stage(Webhook, options, events=[said(1)])
    assert run.events
    told = f"{options!r} {[event.as_dict() for event in run.events]} {caplog.text}"
    assert "s3cret" not in told
    assert "token-in-path" not in told


@pytest.mark.parametrize(
    "wrong",
    [
        {"url": "desk.example/s3cret"},
        {"url": "ftp://desk.example/s3cret"},
        {"url": "http://"},
        {"url": "http://[s3cret"},
        {"url": "http://desk:s3/cret@x"},
        {"url": "http://desk:s3?cret@x"},
        {"url": "http://desk:s3#cret@x"},
        {"url": "http://s3cret#s3cret@x"},
        {"url": "http://x", "headers": {"Authorization": "s3cret\r\nX: y"}},
        {"url": "http://x", "headers": {"Authorization": ["s3cret"]}},
        {"url": "http://x", "headers": {"not a name": "s3cret"}},
        {"url": "http://x", "headers": {"": "s3cret"}},
        {"url": "http://desk:s3cret@x", "headers": {"authorization": "s3cret"}},
    ],
)
def test_a_wrong_option_is_refused_without_saying_it(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError) as caught:
        WebhookOptions.model_validate(wrong)
    assert "s3cret" not in str(caught.value)


# --- the contract


@pytest.mark.slow
def test_it_keeps_the_contract() -> None:
    """With nobody there; the loop of each run is another, so no server can be."""
    url = f"http://127.0.0.1:{free_port()}"
    check_stage(Webhook, {"url": url, "retry": QUICK}, real_time=True)
