"""Options, the session object they amount to, the account, and secrets."""

from __future__ import annotations

from typing import Any

import pytest
from openai.types.realtime import RealtimeSessionCreateRequest
from pydantic import TypeAdapter, ValidationError

from rtpipe import EnvironmentProblem, ExitCode
from rtpipe_plugins.peers.realtime import Realtime, RealtimeOptions
from rtpipe_plugins.peers.realtime.account import OPENAI, Mask, account_of
from rtpipe_plugins.peers.realtime.dialects.openai.session_object import session_object
from rtpipe_plugins.peers.realtime.errors import CallRefused

SESSION: TypeAdapter[Any] = TypeAdapter(RealtimeSessionCreateRequest)


def session(**options: Any) -> dict[str, Any]:
    wanted = session_object(RealtimeOptions(**options))
    SESSION.validate_python(wanted, strict=True)
    return wanted


def test_only_what_was_said_is_asked_for() -> None:
    assert session() == {
        "type": "realtime",
        "model": "gpt-realtime-2.1",
        "audio": {"input": {"transcription": {"model": "gpt-transcribe"}}},
    }


def test_every_option_stands_where_openai_has_it() -> None:
    tool = {"type": "function", "name": "f", "parameters": {"type": "object"}}
    assert session(
        model="gpt-realtime-2.1-mini",
        voice="marin",
        instructions="Be brief.",
        turn_detection={"type": "server_vad", "silence_duration_ms": 500},
        transcription=None,
        tools=[tool],
        session={"audio": {"output": {"speed": 1.1}}, "max_output_tokens": 200},
    ) == {
        "type": "realtime",
        "model": "gpt-realtime-2.1-mini",
        "instructions": "Be brief.",
        "tools": [tool],
        "max_output_tokens": 200,
        "audio": {
            "input": {
                "transcription": None,
                "turn_detection": {"type": "server_vad", "silence_duration_ms": 500},
            },
            "output": {"voice": "marin", "speed": 1.1},
        },
    }


def test_null_is_manual_and_nothing_is_the_servers_choice() -> None:
    assert session(turn_detection=None)["audio"]["input"]["turn_detection"] is None
    assert "turn_detection" not in session()["audio"]["input"]


@pytest.mark.parametrize(
    "wrong",
    [
        {"session": {"model": "x"}},
        {"session": {"type": "transcription"}},
        {"base_url": "api.openai.com"},
        {"base_url": "ftp://host/v1"},
        {"base_url": "http://host:port/v1"},
        {"connect_timeout_s": 0},
        {"provider": "elsewhere"},
        {"voise": "marin"},
    ],
)
def test_mistakes_are_found_without_a_network(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        RealtimeOptions(**wrong)


def test_the_environment_is_asked_last() -> None:
    environment = {"OPENAI_API_KEY": "sk-env\n", "OPENAI_BASE_URL": "http://127.0.0.1:8080/v1/"}
    account = account_of(RealtimeOptions(), environment)
    assert account.key.get_secret_value() == "sk-env"
    assert (account.base_url, account.host) == ("http://127.0.0.1:8080/v1", "127.0.0.1:8080")
    account = account_of(
        RealtimeOptions(api_key="sk-own", base_url="https://example.org/v1"), environment
    )
    assert account.key.get_secret_value() == "sk-own"
    assert account.base_url == "https://example.org/v1"
    assert account_of(RealtimeOptions(api_key="k"), {}).base_url == OPENAI


def test_azure_has_names_of_its_own() -> None:
    options = RealtimeOptions(provider="azure", model="my-deployment")
    environment = {"AZURE_OPENAI_API_KEY": "k", "OPENAI_API_KEY": "not this"}
    with pytest.raises(EnvironmentProblem, match="AZURE_OPENAI_ENDPOINT"):
        account_of(options, environment)
    environment["AZURE_OPENAI_ENDPOINT"] = "https://res.openai.azure.com/"
    account = account_of(options, environment)
    assert account.base_url == "https://res.openai.azure.com/openai/v1"
    assert account.key.get_secret_value() == "k"


@pytest.mark.parametrize("value", [None, "", "  \n"])
def test_no_key_is_a_lack_that_a_fallback_may_fill(value: str | None) -> None:
    environment = {} if value is None else {"OPENAI_API_KEY": value}
    with pytest.raises(EnvironmentProblem, match="OPENAI_API_KEY") as raised:
        account_of(RealtimeOptions(), environment)
    assert raised.value.exit_code is ExitCode.UNAVAILABLE
    assert "embedded" in (raised.value.help or "")


def test_a_server_of_somebody_elses_may_want_no_key() -> None:
    local = "http://127.0.0.1:8080/v1"
    account = account_of(RealtimeOptions(base_url=local), {})
    assert (account.key.get_secret_value(), account.base_url) == ("", local)
    assert account_of(RealtimeOptions(), {"OPENAI_BASE_URL": local}) == account
    with pytest.raises(EnvironmentProblem, match="OPENAI_API_KEY"):
        account_of(RealtimeOptions(base_url=f"{OPENAI}/"), {})
    with pytest.raises(EnvironmentProblem, match="AZURE_OPENAI_API_KEY"):
        account_of(RealtimeOptions(provider="azure", base_url=local), {})


@pytest.mark.parametrize("key", ["sk-a b", "sk-\x00", "sk-ключ", "sk-a\r\nX: y"])
def test_a_key_that_cannot_be_one_is_refused_without_showing_it(key: str) -> None:
    with pytest.raises(CallRefused) as raised:
        account_of(RealtimeOptions(api_key=key), {})
    assert raised.value.exit_code is ExitCode.NO_PERMISSION
    assert key not in f"{raised.value} {raised.value.help}"


@pytest.mark.parametrize("url", ["nonsense", "http://", "http://host:99999/v1"])
def test_a_wrong_address_in_the_environment_is_named(url: str) -> None:
    with pytest.raises(CallRefused, match="OPENAI_BASE_URL"):
        account_of(RealtimeOptions(api_key="k"), {"OPENAI_BASE_URL": url})


def test_keys_show_nowhere() -> None:
    key = "sk-canary-0123456789"
    options = RealtimeOptions(api_key=key, ice_servers=[{"urls": "turn:x", "credential": key}])
    account = account_of(options, {})
    assert key not in f"{options!r} {options} {options.model_dump_json()} {account!r} {account}"


def test_the_mask_takes_known_secrets_and_what_looks_like_a_key() -> None:
    mask = Mask(["sk-canary-0123456789", "Bearer tool-token"])
    said = mask(
        "Incorrect API key provided: sk-canary-0123456789; was sk-ab****************wxyz or "
        "ek_68af296e8e408191a1120ab6383263c2, header Bearer tool-token. Ask the task-force."
    )
    assert said == (
        "Incorrect API key provided: …; was sk-… or ek-…, header …. Ask the task-force."
    )


def test_tools_bring_secrets_of_their_own() -> None:
    tool = {"type": "mcp", "authorization": "one", "headers": {"X": "two", "Y": 3}}
    assert RealtimeOptions(tools=[tool, {"type": "function", "name": "f"}]).secrets() == [
        "one",
        "two",
    ]


def test_the_stage_says_what_it_is() -> None:
    assert Realtime.options_type is RealtimeOptions
    assert Realtime.has_clock(RealtimeOptions())
    assert set(Realtime.actions()) == {
        "say", "text", "image", "respond", "cancel", "press", "release", "clear", "commit",
        "update", "create_item", "answer_call", "approve", "deny",
    }  # fmt: skip


def test_what_the_command_line_says_about_it_is_english() -> None:
    from click.testing import CliRunner

    from rtpipe.cli import cli

    said = " ".join(CliRunner().invoke(cli, ["stages", "realtime"]).stdout.split())
    assert "a list of mappings with python," in said
    assert "a mappings" not in said


def test_looking_at_the_stage_loads_no_heavy_library() -> None:
    import subprocess
    import sys

    code = (
        "import sys, rtpipe_plugins.peers.realtime as r;"
        "r.RealtimeOptions(); r.Realtime.actions();"
        "print([m for m in ('aiortc', 'aiohttp', 'faster_whisper') if m in sys.modules]);"
        "import rtpipe_plugins.peers.realtime.transports.websocket.transport;"
        "print('aiortc' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["[]", "False"]
