"""A running pipeline at a real broker: its state, its last will, and commands."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import aiomqtt
import numpy as np
import pytest

import rtpipe
from helpers.broker import Broker
from rtpipe import audio
from rtpipe.errors import ConfigError
from rtpipe_mqtt.commands import MOST_BYTES
from rtpipe_mqtt.presence import shown
from rtpipe_mqtt.section import MqttSection
from rtpipe_mqtt.state import Watch, mute_switch

pytestmark = pytest.mark.slow

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

FILE = """
version: 1
name: hall/kiosk
vars: {desk_token: sesame-sesame}
stages: [tone: {realtime: true}, gain: 0, blackhole]
"""


@pytest.fixture
async def broker(tmp_path: Path) -> AsyncIterator[Broker]:
    broker = Broker(tmp_path)
    await broker.start()
    yield broker
    await broker.stop()


class Beside:
    """A person at the broker, who sees what is there and what comes."""

    def __init__(self, client: aiomqtt.Client) -> None:
        self._client = client
        self.seen: dict[str, list[bytes]] = {}

    async def until(self, topic: str, has: str = "", *, after: int = 0) -> Any:
        """Return the first message under `topic` that has a text, after so many of them."""
        async with asyncio.timeout(20):
            while True:
                for payload in self.seen.get(topic, [])[after:]:
                    if has in payload.decode():
                        return json.loads(payload) if payload[:1] == b"{" else payload.decode()
                message = await anext(aiter(self._client.messages))
                assert isinstance(message.payload, bytes)
                self.seen.setdefault(f"{message.topic}", []).append(message.payload)

    async def publish(self, topic: str, payload: str | bytes = "", *, retain: bool = False) -> None:
        await self._client.publish(f"rtpipe/hall_kiosk/{topic}", payload, qos=1, retain=retain)

    async def command(self, topic: str, payload: str | bytes = "") -> Any:
        """Publish a command and return what came of it."""
        before = len(self.seen.get("rtpipe/hall_kiosk/done", []))
        await self.publish(topic, payload)
        return await self.until("rtpipe/hall_kiosk/done", after=before)


@asynccontextmanager
async def beside(broker: Broker) -> AsyncIterator[Beside]:
    async with aiomqtt.Client("127.0.0.1", broker.port) as client:
        await client.subscribe("#", qos=1)
        yield Beside(client)


@asynccontextmanager
async def running(broker: Broker, **more: Any) -> AsyncIterator[rtpipe.Pipeline]:
    options = MqttSection(host="127.0.0.1", port=broker.port, **{"commands": True, **more})
    pipeline = rtpipe.loads(FILE)
    async with shown(pipeline, options), pipeline:
        yield pipeline


STATE, STATUS = "rtpipe/hall_kiosk/state", "rtpipe/hall_kiosk/status"


async def test_state_is_there_for_who_comes_later_and_goes_with_the_run(broker: Broker) -> None:
    async with running(broker):
        async with beside(broker) as person:
            state = await person.until(STATE, '"running"')
            assert await person.until(STATUS) == "online"
        assert state["stages"] == {"tone": "ok", "gain": "ok", "blackhole": "ok"}
        assert state["muted"] is False
        assert (state["visitor"], state["model"], state["trouble"]) == ("", "", "")
    async with beside(broker) as person:
        assert await person.until(STATUS) == "offline"
        assert (await person.until(STATE))["state"] in {"stopping", "ended"}


async def test_a_command_mutes_from_the_next_frame_and_the_state_says_so(broker: Broker) -> None:
    levels: list[int] = []
    async with running(broker) as pipeline, beside(broker) as person:
        loud = asyncio.Event()

        def hear(frame: rtpipe.AudioFrame) -> None:
            levels.append(int(np.abs(audio.pcm(frame).astype(int)).max()))
            loud.set()

        pipeline.tap_output("gain", hear)
        await loud.wait()
        await person.until(STATUS)
        assert await person.command("do/gain/mute") == {"action": "gain.mute"}
        after = len(levels)
        await person.until(STATE, '"muted": true')
        assert await person.command("mute/set", "OFF") == {"action": "gain.unmute"}
        await person.until(STATE, '"muted": false', after=len(person.seen[STATE]) - 1)
        assert await person.command("do/gain/set", "-6") == {"action": "gain.set"}
        assert await person.command("do/gain/set", '{"gain_db": -3}') == {"action": "gain.set"}
        assert await person.command("mute/set", "ON") == {"action": "gain.mute"}
    assert levels[0] > 1000
    assert min(levels[after + 1 :]) == 0, "one frame fades"


@pytest.mark.parametrize(
    ("topic", "payload", "error"),
    [
        ("do/nobody/mute", "", "no stage `nobody`"),
        ("do/gain/explode", "", "explode"),
        ("do/gain/set", "[1, 2, 3]", "gain"),
        ("do/gain/set", '"loud"', "loud"),
        ("do/gain/set", '{"gain_db": ', "broken JSON"),
        ("do/gain/set", "[" * 5000, "broken JSON"),
        ("do/gain/set", b"\xff\xfe", "UTF-8"),
        ("do/gain/set", b"9" * (MOST_BYTES + 1), "too many"),
        ("do/gain/sesame-sesame", "", "***"),
        ("do/gain/__init__", "", "__init__"),
        ("mute/set", "perhaps", "neither ON nor OFF"),
    ],
)
async def test_what_cannot_be_done_is_refused_in_a_sentence(
    broker: Broker, topic: str, payload: str | bytes, error: str
) -> None:
    async with running(broker) as pipeline, beside(broker) as person:
        events: list[rtpipe.Event] = []
        pipeline.bus.subscribe("mqtt.commanded", events.append)
        await person.until(STATUS)
        done = await person.command(topic, payload)
        assert error in done["error"]
        assert "sesame" not in json.dumps(done)
        assert [event.payload()["error"] for event in events] == [done["error"]]
        assert (await person.until(STATE, "running"))["stages"]["gain"] == "ok"


async def test_a_retained_command_is_old(broker: Broker) -> None:
    async with beside(broker) as person:
        await person.publish("do/gain/mute", "{}", retain=True)
        async with running(broker):
            done = await person.until("rtpipe/hall_kiosk/done")
            assert "retained" in done["error"]
            assert (await person.until(STATE, "running"))["muted"] is False


async def test_without_commands_nobody_steers(broker: Broker) -> None:
    async with running(broker, commands=False) as pipeline, beside(broker) as person:
        await person.until(STATUS)
        await person.publish("do/gain/mute")
        await person.publish("last")
        await person.until("rtpipe/hall_kiosk/last")
        assert "rtpipe/hall_kiosk/done" not in person.seen
        assert pipeline.refusals()["gain"] == {"unmute": "it is not muted"}


async def test_after_an_outage_the_broker_shows_it_again(tmp_path: Path) -> None:
    broker = Broker(tmp_path)
    hidden, again = asyncio.Event(), asyncio.Event()
    pipeline = rtpipe.loads(FILE)
    pipeline.bus.subscribe("mqtt.hidden", lambda _: hidden.set())
    pipeline.bus.subscribe("mqtt.shown", lambda _: again.set())
    options = MqttSection(host="127.0.0.1", port=broker.port)
    async with asyncio.timeout(60), shown(pipeline, options), pipeline:
        await hidden.wait()  # it was not there at the start
        for _ in range(2):
            await broker.start()
            await again.wait()
            async with beside(broker) as person:
                assert await person.until(STATUS, "online") == "online"
            hidden.clear()
            again.clear()
            await broker.stop()
            await hidden.wait()


async def test_a_wrong_password_and_certificate_are_said_and_the_run_goes_on(
    tmp_path: Path,
) -> None:
    (tmp_path / "users").write_text("")
    broker = Broker(tmp_path, "allow_anonymous false", f"password_file {tmp_path}/users")
    await broker.start()
    for more in ({"username": "me", "password": "sesame"}, {"tls": True, "ca_file": "/none.pem"}):
        pipeline = rtpipe.loads(FILE)
        told: asyncio.Queue[rtpipe.Event] = asyncio.Queue()
        pipeline.bus.subscribe("mqtt.hidden", told.put_nowait)
        options = MqttSection.model_validate({"host": "127.0.0.1", "port": broker.port, **more})
        async with shown(pipeline, options), pipeline:
            async with asyncio.timeout(20):
                said = (await told.get()).line()
            assert "sesame" not in said
            assert pipeline.state()[0].status.value == "ok"
    await broker.stop()


async def test_a_killed_run_leaves_its_will(broker: Broker, tmp_path: Path) -> None:
    file = tmp_path / "run.yaml"
    file.write_text(f"{FILE}mqtt: {{host: 127.0.0.1, port: {broker.port}, commands: true}}\n")
    run = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "rtpipe", "run", f"{file}"),
        env=os.environ | {"XDG_RUNTIME_DIR": f"{tmp_path}"},
    )
    async with beside(broker) as person:
        assert await person.until(STATUS, "online") == "online"
        assert await person.command("do/gain/set", "-6") == {"action": "gain.set"}
        run.send_signal(signal.SIGKILL)
        await run.wait()
        assert await person.until(STATUS, "offline") == "offline"


def test_what_was_said_is_kept_short_without_secrets_and_only_if_it_may_be() -> None:
    pipeline = rtpipe.loads(FILE)
    from rtpipe_plugins.peers.realtime.events import UserTranscript

    event = UserTranscript(text="sesame-sesame " + 300 * "a", item_id="i", source="r", at=1.0)
    for words in (True, False):
        watch = Watch(pipeline, words=words)
        watch.take(event)
        assert "sesame" not in json.dumps(watch.state())
        assert ("visitor" in watch.state()) is words
    watch = Watch(pipeline, words=True)
    watch.take(event)
    assert len(watch.state()["visitor"]) == 255


def test_a_microphone_is_muted_before_a_gate() -> None:
    text = "version: 1\nstages: [mic, mute_gate, gain: 0, blackhole]"
    assert mute_switch(rtpipe.loads(text)).stage == "mic"  # type: ignore[union-attr]
    text = "version: 1\nstages: [tone, mute_gate, blackhole]"
    assert mute_switch(rtpipe.loads(text)).mute == "close"  # type: ignore[union-attr]
    assert mute_switch(rtpipe.loads("version: 1\nstages: [tone, blackhole]")) is None


@pytest.mark.parametrize("topic", ["", "/a", "a/", "a/#", "+", "$SYS/x"])
def test_a_topic_that_is_none_is_an_error_in_the_file(topic: str) -> None:
    with pytest.raises(ConfigError, match="mqtt"):
        rtpipe.loads(f'{FILE}mqtt: {{topic: "{topic}"}}')
