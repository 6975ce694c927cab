"""What the audio of events comes in, judged by FFmpeg, and what cannot be read."""

from __future__ import annotations

from typing import Any

import av
import numpy as np
import pytest
from av.packet import Packet

from rtpipe_plugins.peers.realtime.dialects.openai.wire.formats import (
    PLAIN,
    RATE,
    Decoder,
    Encoder,
    UnknownFormat,
    WireFormat,
    shown_format,
    wire_format,
)

LAWS: list[Any] = [("audio/pcmu", "pcm_mulaw"), ("audio/pcma", "pcm_alaw")]


def sine(hz: float, seconds: float, rate: int, peak: float = 8000.0) -> np.ndarray:
    return (peak * np.sin(2 * np.pi * hz * np.arange(round(seconds * rate)) / rate)).astype("<i2")


def pitch(pcm: np.ndarray, rate: int) -> float:
    return float(np.abs(np.fft.rfft(pcm)).argmax()) * rate / len(pcm)


def cut(data: bytes, size: int) -> list[bytes]:
    return [data[at : at + size] for at in range(0, len(data), size)]


@pytest.mark.parametrize(
    ("shown", "meant"),
    [
        ({"type": "audio/pcm", "rate": 24_000}, PLAIN),
        ({"type": "audio/pcm"}, PLAIN),
        ({"type": "audio/pcm", "rate": None, "channels": 1}, PLAIN),
        ({"type": "audio/pcm", "rate": 16_000.0}, WireFormat("audio/pcm", 16_000)),
        ({"type": "audio/pcmu"}, WireFormat("audio/pcmu", 8000)),
        ({"type": "audio/pcma", "rate": 8000}, WireFormat("audio/pcma", 8000)),
        ("pcm16", PLAIN),
        ("g711_ulaw", WireFormat("audio/pcmu", 8000)),
        ("g711_alaw", WireFormat("audio/pcma", 8000)),
    ],
)
def test_what_a_session_shows_is_understood(shown: Any, meant: WireFormat) -> None:
    assert wire_format(shown) == meant


@pytest.mark.parametrize(
    "shown",
    [
        {"type": "audio/opus"},
        {"type": "audio/pcm", "rate": 0},
        {"type": "audio/pcm", "rate": "24000"},
        {"type": "audio/pcm", "rate": True},
        {"type": "audio/pcm", "rate": float("nan")},
        {"type": "audio/pcm", "rate": []},
        {"type": "audio/pcm", "channels": 2},
        {"type": "audio/pcmu", "rate": 16_000},
        {"type": ["audio/pcm"]},
        {},
        "mp3",
        7,
        [],
    ],
)
def test_what_cannot_be_read_is_no_format(shown: Any) -> None:
    with pytest.raises(UnknownFormat):
        wire_format(shown)


@pytest.mark.parametrize("session", [{}, {"audio": None}, {"audio": {"output": {"format": None}}}])
def test_a_session_that_shows_none_says_nothing(session: Any) -> None:
    assert shown_format(session, "output") is None


@pytest.mark.parametrize("size", [1, 333, 4800, 1 << 20])
@pytest.mark.parametrize("rate", [8000, 16_000, 22_050, 48_000])
def test_pcm_of_another_rate_keeps_its_pitch_and_its_length(rate: int, size: int) -> None:
    if size == 1 and rate != 8000:
        pytest.skip("one is enough")
    decoder = Decoder(WireFormat("audio/pcm", rate))
    spoken = sine(440, 1.0, rate).tobytes()
    heard = b"".join([*map(decoder.take, cut(spoken, size)), decoder.finish()])
    pcm = np.frombuffer(heard, np.int16)
    assert len(pcm) == pytest.approx(RATE, abs=RATE // 1000)
    assert pitch(pcm, RATE) == pytest.approx(440, abs=1)
    assert np.abs(pcm[RATE // 4 : RATE // 2]).max() == pytest.approx(8000, rel=0.02)


def test_plain_pcm_passes_as_it_is() -> None:
    decoder, spoken = Decoder(PLAIN), sine(440, 0.1, RATE).tobytes()
    assert b"".join(map(decoder.take, cut(spoken, 333))) + decoder.finish() == spoken
    assert Encoder(PLAIN).take(spoken) == spoken


@pytest.mark.parametrize(("law", "codec"), LAWS)
def test_each_code_of_g711_is_what_ffmpeg_takes_it_for(law: Any, codec: Any) -> None:
    codes = bytes(range(256))
    judge = av.CodecContext.create(codec, "r")
    judge.sample_rate, judge.layout = 8000, "mono"  # type: ignore[attr-defined]
    (frame,) = judge.decode(Packet(codes))  # type: ignore[attr-defined]
    decoder = Decoder(WireFormat(law, 8000))
    decoder._resampler._rate = RATE  # as they are, not resampled
    heard = np.frombuffer(decoder.take(codes), np.int16)
    np.testing.assert_array_equal(heard, frame.to_ndarray()[0])


@pytest.mark.parametrize("law", [law for law, _ in LAWS])
def test_g711_there_and_back(law: Any) -> None:
    wire = WireFormat(law, 8000)
    encoder, decoder = Encoder(wire), Decoder(wire)
    spoken = sine(440, 1.0, RATE)
    sent = b"".join(map(encoder.take, cut(spoken.tobytes(), 960)))
    assert len(sent) == pytest.approx(8000, abs=20)
    pcm = np.frombuffer(decoder.take(sent) + decoder.finish(), np.int16)
    assert pitch(pcm, RATE) == pytest.approx(440, abs=1)
    assert np.abs(pcm[4800:9600]).max() == pytest.approx(8000, rel=0.05)
