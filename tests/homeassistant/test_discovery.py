"""A pipeline as a device of Home Assistant, at a real broker."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import aiomqtt
import pytest

import rtpipe
from helpers.broker import Broker
from rtpipe_homeassistant import rtpipe_running
from rtpipe_homeassistant.discovery import announcement
from rtpipe_homeassistant.section import HomeAssistantSection

FILE = """
version: 1
name: The hall
stages: [tone: {realtime: true}, gain: 0, blackhole]
"""
BASE = "rtpipe/The hall/homeassistant"
PLATFORMS = {
    "sensor": {"state_topic"},
    "binary_sensor": {"state_topic"},
    "switch": {"command_topic"},
}
"""What each asks for beside `platform` and `unique_id` (home-assistant.io/integrations/mqtt)."""


def device(**options: Any) -> dict[str, Any]:
    _, document = announcement(rtpipe.loads(FILE), HomeAssistantSection(**options))
    told = json.loads(document)
    assert isinstance(told, dict)
    return told


def test_it_has_what_home_assistant_asks_for() -> None:
    topic, _ = announcement(rtpipe.loads(FILE), HomeAssistantSection())
    assert topic == "homeassistant/device/rtpipe_The_hall_homeassistant/config"
    told = device()
    assert told["device"]["identifiers"] == ["rtpipe_The_hall_homeassistant"]
    assert told["device"]["name"] == "The hall"
    assert told["origin"]["name"] == "rtpipe"
    assert (told["state_topic"], told["availability_topic"]) == (f"{BASE}/state", f"{BASE}/status")
    ids = [each["unique_id"] for each in told["components"].values()]
    assert len(set(ids)) == len(ids) == 7
    for each in told["components"].values():
        assert PLATFORMS[each["platform"]] <= {*each, "state_topic"}
        assert "value_template" in each


def test_what_may_not_be_seen_or_steered_is_no_part_of_it() -> None:
    assert "mute" not in device(commands=False)["components"]
    assert not {"visitor", "model"} & device(words=False)["components"].keys()
    assert device(device="Kiosk 7")["device"]["name"] == "Kiosk 7"


def test_in_virtual_time_and_without_the_section_there_is_none() -> None:
    assert rtpipe_running(rtpipe.loads(FILE)) is None


async def test_the_device_appears_its_switch_mutes_and_it_is_unavailable_after(
    tmp_path: Path,
) -> None:
    broker = Broker(tmp_path)
    await broker.start()
    file = f"{FILE}homeassistant: {{host: 127.0.0.1, port: {broker.port}}}\n"
    seen: dict[str, list[str]] = {}
    async with asyncio.timeout(30), aiomqtt.Client("127.0.0.1", broker.port) as client:
        await client.subscribe("#", qos=1)

        async def until(topic: str, has: str) -> str:
            async for message in client.messages:
                assert isinstance(message.payload, bytes)
                seen.setdefault(f"{message.topic}", []).append(message.payload.decode())
                if f"{message.topic}" == topic and has in seen[topic][-1]:
                    return seen[topic][-1]
            pytest.fail("it ended")

        async with rtpipe.loads(file):
            await until(f"{BASE}/status", "online")
            (config,) = seen["homeassistant/device/rtpipe_The_hall_homeassistant/config"]
            switch = json.loads(config)["components"]["mute"]
            await client.publish(switch["command_topic"], "ON", qos=1)
            await until(f"{BASE}/state", '"muted": true')
            await client.publish(switch["command_topic"], "OFF", qos=1)
            await until(f"{BASE}/state", '"muted": false')
        await until(f"{BASE}/status", "offline")
    await broker.stop()
