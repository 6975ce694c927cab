"""What a pipeline file may ask of the server that it brings along: a dialogue and a bad day."""

from __future__ import annotations

import logging
import sys
from pathlib import Path

import aiohttp
import pytest
from pydantic import ValidationError

from helpers.packages import needs_server
from rtpipe import ConfigError, EnvironmentProblem, ExitCode, StageError
from rtpipe_plugins.peers.realtime import RealtimeOptions
from rtpipe_plugins.peers.realtime.embedded import EmbeddedServer

LOG = logging.getLogger("rtpipe.test")
pytestmark = needs_server
SCRIPT = "turns: [{say: Good morning.}]\nfaults: {http_500: 1}\n"


async def test_a_pipeline_file_alone_rehearses_a_bad_day(tmp_path: Path) -> None:
    script = tmp_path / "dialog.yaml"
    script.write_text(SCRIPT)
    options = RealtimeOptions.model_validate(
        {"provider": "embedded", "script": script, "faults": {"http_429": 1}}
    )
    server = EmbeddedServer(LOG)
    account = await server.start(options)
    try:
        assert server._server is not None
        assert server._server._brain.name == "script"
        statuses = []
        async with aiohttp.ClientSession() as http:
            for _ in range(3):
                url = f"{account.base_url}/realtime/calls"
                headers = {"Authorization": f"Bearer {account.key.get_secret_value()}"}
                async with http.post(url, headers=headers) as refusal:
                    statuses.append(refusal.status)
        assert statuses == [429, 500, 400], "the script's fault, the file's, an empty offer"
    finally:
        await server.close()


async def test_a_mistake_in_the_script_is_told_with_its_place(tmp_path: Path) -> None:
    script = tmp_path / "dialog.yaml"
    script.write_text("turns: [{sya: Hello}]")
    options = RealtimeOptions(provider="embedded", script=script)
    with pytest.raises(ConfigError, match=r"dialog\.yaml:1: `turns\.0` of `script` has no option"):
        await EmbeddedServer(LOG).start(options)


def test_rules_and_a_script_are_one_too_many(tmp_path: Path) -> None:
    with pytest.raises(ValidationError, match="either `rules` or `script`"):
        RealtimeOptions(rules=tmp_path / "a.yaml", script=tmp_path / "b.yaml")


async def test_a_fault_that_there_is_not_is_refused() -> None:
    options = RealtimeOptions.model_validate({"faults": {"http_492": 1}})
    with pytest.raises(StageError, match="http_492") as caught:
        await EmbeddedServer(LOG).start(options)
    assert caught.value.exit_code == ExitCode.CONFIGURATION


async def test_a_server_that_is_not_installed_is_a_lack_with_its_remedy(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "rtpipe_realtime_server.server", None)
    with pytest.raises(EnvironmentProblem, match="not installed") as caught:
        await EmbeddedServer(LOG).start(RealtimeOptions(provider="embedded"))
    assert caught.value.help == "pip install rtpipe-media"


def test_the_options_do_not_import_the_server() -> None:
    source = Path(sys.modules[RealtimeOptions.__module__].__file__ or "").read_text("utf-8")
    assert "realtime_server" not in source
