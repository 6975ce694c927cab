"""doctor: what is missing is said with its remedy, and only what the pipeline needs is fatal."""

import json
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import numpy as np
import pytest
from aiohttp import web
from click.testing import CliRunner, Result
from pydantic import SecretStr

from helpers import fake_sounddevice
from helpers.packages import needs_server
from rtpipe import ConfigError, ExitCode, RtpipeError
from rtpipe_plugins.commands.doctor import command as doctor
from rtpipe_plugins.commands.doctor import sound as doctor_sound
from rtpipe_plugins.commands.doctor.sound import CapturedSound, chirp, judged, round_trip
from rtpipe_plugins.peers.realtime import examination
from rtpipe_plugins.peers.realtime.account import Account
from rtpipe_plugins.peers.realtime.options import RealtimeOptions
from rtpipe_plugins.peers.realtime.transports.webrtc import self_test as doctor_loopback
from rtpipe_plugins.peers.realtime.transports.webrtc.self_test import (
    Loopback,
    call_oneself,
    tone_snr_db,
)
from rtpipe_plugins.sinks.speaker.options import SpeakerOptions
from rtpipe_plugins.soundcard import probing
from rtpipe_plugins.sources.mic.options import MicOptions

KEY = "sk-not-to-be-seen-123456"


@pytest.fixture(autouse=True)
def no_call(monkeypatch: pytest.MonkeyPatch) -> None:
    async def call() -> Loopback:
        return Loopback(48.0, 0.1)

    monkeypatch.setattr(doctor_loopback, "call_oneself", call)
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)


@pytest.fixture
def pipeline(tmp_path: Path) -> Callable[[str], Path]:
    def written(stages: str) -> Path:
        file = tmp_path / "pipeline.yaml"
        file.write_text(f"version: 1\nstages: {stages}\n")
        return file

    return written


def run(*words: str | Path) -> Result:
    group = click.Group()
    group.add_command(doctor.doctor)
    return CliRunner().invoke(group, ["doctor", *map(str, words)])


def found(result: Result) -> dict[str, Any]:
    return {each["name"]: each for each in json.loads(result.stdout)["checks"]}


def test_without_a_file_everything_is_looked_at_and_nothing_is_fatal(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fake_sounddevice.install(monkeypatch, ())
    result = run()
    assert result.exit_code == 0
    for part in ("libraries", "PortAudio", "audio group", "microphone", "key", "speech extra"):
        assert part in result.stdout
    assert "--  loudspeaker: this computer has no audio output device" in result.stdout
    assert "= help: plug one in" in result.stdout
    assert "SNR 48.0 dB through Opus, connected in 100 ms" in result.stdout


def test_what_the_pipeline_cannot_do_without_is_fatal(
    monkeypatch: pytest.MonkeyPatch, pipeline: Callable[[str], Path]
) -> None:
    fake = fake_sounddevice.install(monkeypatch)
    monkeypatch.setattr(fake, "check_output_settings", lambda *_, **__: None)
    file = pipeline("[mic: {device: Turntable}, realtime, speaker: {device: headset}]")
    result = run(file, "--json")
    assert isinstance(result.exception, RtpipeError)
    assert result.exception.exit_code == ExitCode.UNAVAILABLE
    assert "lacks microphone (mic), key (realtime)" in result.exception.message
    assert json.loads(result.stdout)["ok"] is False
    checked = found(result)
    assert "no input device matches `Turntable`" in checked["microphone (mic)"]["detail"]
    assert "rtpipe devices" in checked["microphone (mic)"]["remedy"]
    assert checked["loudspeaker (speaker)"]["status"] == "ok"
    assert "prefers 44100 Hz" in checked["loudspeaker (speaker)"]["detail"]
    assert "export OPENAI_API_KEY" in checked["key (realtime)"]["remedy"]


@pytest.mark.parametrize(("least_channels", "status"), [(1, "ok"), (2, "ok"), (3, "missing")])
def test_a_device_must_take_the_rate_in_mono_or_in_all_its_channels(
    monkeypatch: pytest.MonkeyPatch, least_channels: int, status: str
) -> None:
    fake = fake_sounddevice.install(monkeypatch)

    def check(device: int, *, channels: int, samplerate: int, dtype: str) -> None:
        if channels < least_channels:
            raise fake.PortAudioError("Error: Invalid sample rate", -9997)

    monkeypatch.setattr(fake, "check_output_settings", check)
    wanted = SpeakerOptions(device="Built-in", sample_rate=16_000)
    finding = probing.device(wanted, "output")
    assert finding.status == status
    if status == "missing":
        assert finding.message.endswith("does not take 16000 Hz")
        assert finding.help == "set `sample_rate: 44100`, which it prefers"


@needs_server
def test_a_fallback_makes_it_bearable(
    monkeypatch: pytest.MonkeyPatch, pipeline: Callable[[str], Path]
) -> None:
    fake_sounddevice.install(monkeypatch, ())
    file = pipeline(
        "[{mic: {}, fallback: tone}, {realtime: {}, fallback: {realtime: {provider: embedded}}},"
        " {speaker: {}, fallback: blackhole}]"
    )
    result = run(file, "--json")
    assert result.exit_code == 0
    assert json.loads(result.stdout)["ok"] is True
    assert found(result)["microphone (mic)"]["status"] == "missing"


def test_what_concerns_the_machine_is_told_once_and_what_concerns_a_stage_for_each(
    monkeypatch: pytest.MonkeyPatch, pipeline: Callable[[str], Path]
) -> None:
    fake_sounddevice.install(monkeypatch, ())
    file = pipeline(
        "[{mic: {}, id: left}, {mic: {device: b}, id: right},"
        " {blackhole: {}, from: left}, {blackhole: {}, id: other, from: right}]"
    )
    machine = ["libraries", "PortAudio", "audio group"]
    names = [*machine, "microphone (left)", "microphone (right)"]
    assert list(found(run(file, "--json"))) == names
    told = [line[4:].partition(":")[0] for line in run(file).stdout.splitlines()]
    assert [each for each in told if "help" not in each] == names


@needs_server
def test_what_the_pipeline_does_not_ask_for_is_not_looked_at(
    pipeline: Callable[[str], Path],
) -> None:
    assert list(found(run(pipeline("[tone, blackhole]"), "--json"))) == ["libraries"]
    checked = found(run(pipeline("[tone, realtime: {provider: embedded}, blackhole]"), "--json"))
    assert list(checked) == ["libraries", "UDP", "speech extra", "WebRTC self-test"]


def test_a_file_that_is_wrong_is_said_to_be(pipeline: Callable[[str], Path]) -> None:
    assert isinstance(run(pipeline("[microphone]")).exception, ConfigError)


def test_without_portaudio_the_apt_line_is_given(
    monkeypatch: pytest.MonkeyPatch, pipeline: Callable[[str], Path]
) -> None:
    fake_sounddevice.remove_portaudio(monkeypatch)
    result = run(pipeline("[mic, blackhole]"))
    assert isinstance(result.exception, RtpipeError)
    assert result.exception.exit_code == ExitCode.UNAVAILABLE
    assert "= help: sudo apt install libportaudio2" in result.stdout


def test_a_key_is_seen_and_never_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:9/v1")
    fake_sounddevice.install(monkeypatch, ())
    for words in ((), ("--json",)):
        result = run(*words)
        assert "set, for 127.0.0.1:9" in result.output
        assert KEY not in result.output
    given, _ = examination.account(RealtimeOptions(api_key=SecretStr(KEY)), {})
    assert given.status == "ok"
    assert KEY not in repr(given)


async def test_a_server_that_answers_anything_is_there() -> None:
    async def refused(request: web.Request) -> web.Response:
        assert "Authorization" not in request.headers
        return web.Response(status=401)

    app = web.Application()
    app.router.add_get("/v1/models", refused)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}/v1"
    account = Account("openai", url, SecretStr("sk-canary-0123456789"))
    there = await examination.reachable(account)
    await runner.cleanup()
    gone = await examination.reachable(account)
    assert (there.status, there.message) == ("ok", f"{url} answers (401)")
    assert (gone.status, gone.needed) == ("missing", True)
    assert "HTTPS_PROXY" in (gone.help or "")


def test_udp_that_cannot_leave_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    assert examination.udp(None).status == "ok"
    assert examination.udp("127.0.0.1").status == "ok"

    def refused(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    class Closed(socket.socket):
        sendto = refused  # type: ignore[assignment]

    monkeypatch.setattr(socket, "socket", Closed)
    finding = examination.udp(None)
    assert (finding.status, finding.needed) == ("missing", True)
    assert "let UDP out" in (finding.help or "")


async def test_a_call_that_fails_or_sounds_bad_is_a_finding(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def bad() -> Loopback:
        return Loopback(3.0, 1.0)

    async def none() -> Loopback:
        raise TimeoutError

    monkeypatch.setattr(doctor_loopback, "call_oneself", bad)
    noisy = await examination.self_test()
    monkeypatch.setattr(doctor_loopback, "call_oneself", none)
    silent = await examination.self_test()
    assert (noisy.status, silent.status) == ("missing", "missing")
    assert "SNR 3.0 dB" in noisy.message
    assert "nothing arrived" in silent.message


@pytest.mark.slow
async def test_a_tone_gets_through_opus_and_webrtc_well() -> None:
    heard = await call_oneself()
    assert heard.snr_db > 30
    assert heard.connect_s < 10


def test_the_snr_of_a_tone_is_measured_whatever_its_phase_and_level() -> None:
    t = np.arange(48_000) / 48_000
    noise = np.random.default_rng(1).standard_normal(48_000)
    noise *= 10 ** (-30 / 20) / np.sqrt(2)
    heard = 500 * (np.sin(2 * np.pi * 1000 * t + 1.2) + noise)
    assert tone_snr_db(heard, 1000, 48_000) == pytest.approx(30, abs=0.2)
    assert tone_snr_db(heard, 1300, 48_000) < -20


def recorded(samples: np.ndarray) -> CapturedSound:
    """Return a recording of 20 ms blocks, the first of which came at 100 s."""
    recording = CapturedSound(48_000)
    pcm = np.rint(samples * 32767).astype(np.int16)
    for start in range(0, len(pcm), 960):
        recording.add(pcm[start : start + 960], 100.0 + start / 48_000)
    return recording


def test_a_round_trip_is_judged_by_what_the_microphone_hears_and_when() -> None:
    room = np.random.default_rng(1).standard_normal(96_000) * 0.001
    heard = room.copy()
    heard[30_000:39_600] += 0.1 * chirp(48_000)
    came_at = 100.0 + (30_000 - 959) / 48_000
    good = judged(recorded(heard), came_at - 0.172)
    assert good.status == "ok"
    assert good.message.endswith("and the loudspeaker in it, 172 ms after it was given the sound")
    assert not good.help
    late = judged(recorded(heard), came_at - 0.55)
    assert "`delay_ms: 550`" in (late.help or "")
    assert judged(recorded(room), 100.0).status == "unknown"
    muted = judged(recorded(np.zeros(48_000)), 100.0)
    assert (muted.status, muted.message) == ("missing", "the microphone gives digital silence")


def test_a_device_that_does_not_begin_is_told_from_a_silent_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Ear(fake_sounddevice.Stream):
        def start(self) -> None:
            self.hear(np.zeros((960, 1), np.int16))

    monkeypatch.setattr(doctor_sound, "_PATIENCE_S", 0.01)
    fake = fake_sounddevice.install(monkeypatch)
    devices = SpeakerOptions(device="Headset"), MicOptions(device="Headset")
    deaf = round_trip(*devices)
    assert deaf.message == "USB Headset: Audio (hw:1,0) gives no sound for 0.01 s"
    assert "sound server" in (deaf.help or "")
    monkeypatch.setattr(fake, "RawInputStream", Ear)
    mute = round_trip(*devices)
    assert (mute.status, mute.message) == (
        "unknown",
        "USB Headset: Audio (hw:1,0) takes no sound for 0.01 s",
    )
