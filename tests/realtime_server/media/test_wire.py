"""Audio in events: against FFmpeg's G.711, and against the time that it takes to play."""

from __future__ import annotations

import base64
from typing import Any

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from realtime_server.bench import Bench
from rtpipe_realtime_server.media.wire import decode, encode

LAWS = {"audio/pcmu": "pcm_mulaw", "audio/pcma": "pcm_alaw"}
CODES = bytes(range(256))


def by_ffmpeg(kind: str, data: bytes) -> NDArray[np.int16]:
    decoder: Any = av.CodecContext.create(LAWS[kind], "r")
    decoder.sample_rate, decoder.layout = 8000, "mono"
    return np.concatenate([f.to_ndarray()[0] for f in decoder.decode(av.Packet(data))])


@pytest.mark.parametrize("kind", LAWS)
def test_every_code_of_g711_is_what_ffmpeg_takes_it_for(kind: str) -> None:
    encoded = base64.b64encode(CODES).decode()
    np.testing.assert_array_equal(decode(encoded, {"type": kind}, ""), by_ffmpeg(kind, CODES))


@pytest.mark.parametrize("kind", LAWS)
def test_every_sample_gets_the_nearest_code(kind: str) -> None:
    samples = np.arange(-32768, 32768, dtype=np.int32)
    coded = base64.b64decode(encode(samples.astype(np.int16), {"type": kind}))
    levels = np.unique(by_ffmpeg(kind, CODES).astype(np.int32))
    above = np.clip(np.searchsorted(levels, samples), 1, len(levels) - 1)
    nearest = np.minimum(abs(samples - levels[above]), abs(samples - levels[above - 1]))
    np.testing.assert_array_equal(abs(by_ffmpeg(kind, coded) - samples), nearest)


@pytest.mark.parametrize(("kind", "size"), [("audio/pcm", 7680), *((law, 1280) for law in LAWS)])
def test_a_delta_holds_160_ms_of_any_format(kind: str, size: int) -> None:
    rate = {"rate": 24000} if kind == "audio/pcm" else {}
    bench = Bench(media=False, audio={"output": {"format": {"type": kind, **rate}}})
    bench.send("response.create")
    bench.think(seconds=1.0)
    bench.tick(20)
    deltas = bench.all("response.output_audio.delta")
    lengths = [len(base64.b64decode(event["delta"])) for event in deltas]
    assert lengths == [size] * 6 + [size // 4]
    item_id = deltas[0]["item_id"]
    where = {"item_id": item_id, "content_index": 0}
    bench.send("conversation.item.truncate", **where, audio_end_ms=1001)
    assert bench.error()["message"] == "Audio content of 1000ms is already shorter than 1001ms"


def test_quiet_counts_from_when_a_client_should_have_played_everything() -> None:
    vad = {"type": "server_vad", "idle_timeout_ms": 5000}
    bench = Bench(media=False, audio={"input": {"turn_detection": vad}})
    bench.say()
    bench.think(seconds=4.0)
    heard_ms = 40 * 32
    for _ in range(300):
        bench.hear(1, speech=False)
        bench.tick(2)
    timeout = bench.one("input_audio_buffer.timeout_triggered")
    quiet_from_ms = heard_ms + 4000 * 32 // 40  # two ticks are played while a hop is heard
    assert timeout["audio_start_ms"] == pytest.approx(quiet_from_ms, abs=64)


def test_there_is_no_output_buffer_to_clear() -> None:
    bench = Bench(media=False)
    bench.send("output_audio_buffer.clear")
    assert (bench.error()["code"], bench.error()["param"]) == ("invalid_value", "type")


@pytest.mark.parametrize("audio", ["***", "AA=="])
def test_what_is_no_audio_is_refused(audio: str) -> None:
    bench = Bench(media=False)
    bench.send("input_audio_buffer.append", audio=audio)
    assert (bench.error()["code"], bench.error()["param"]) == ("invalid_value", "audio")
