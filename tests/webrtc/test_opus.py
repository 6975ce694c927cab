"""The codec: what is lost is made up, and levels are kept."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from aiortc.codecs.opus import OpusDecoder as StockDecoder
from aiortc.codecs.opus import OpusEncoder as StockEncoder
from aiortc.jitterbuffer import JitterFrame
from numpy.typing import NDArray
from pydantic import ValidationError

from helpers import sound
from rtpipe import audio
from rtpipe_webrtc import libopus
from rtpipe_webrtc.libopus import OpusError
from rtpipe_webrtc.options import OpusOptions
from rtpipe_webrtc.opus import PlainDecoder, opus_decoder, opus_encoder, samples_in

FRAME = 960


def voice(seconds: float) -> NDArray[np.int16]:
    """Something between a vowel and a hum, which error correction thinks worth its while."""
    t = np.arange(round(seconds * 48_000)) / 48_000
    pulses = sum(np.sin(2 * np.pi * 140 * k * t) / k for k in range(1, 12))
    return np.rint(pulses * (1 + 0.5 * np.sin(2 * np.pi * 4 * t)) * 4000).astype(np.int16)


def packets(pcm: NDArray[np.int16], **options: Any) -> list[bytes]:
    encoder = opus_encoder(OpusOptions(**options))
    assert encoder is not None
    return [encoder.encode(pcm[at : at + FRAME]) for at in range(0, len(pcm) - FRAME + 1, FRAME)]


def rms(pcm: NDArray[Any]) -> float:
    return float(np.sqrt(np.mean(pcm.astype(float) ** 2)))


@pytest.fixture(params=[libopus.Decoder, PlainDecoder])
def decoder(request: pytest.FixtureRequest) -> Any:
    library = libopus.load()
    assert library is not None, "this wheel of PyAV has no libopus that can be found"
    return request.param(library) if request.param is libopus.Decoder else request.param()


@pytest.mark.parametrize("application", ["lowdelay", "voip", "audio"])
def test_level_and_pitch_are_kept_exactly(decoder: Any, application: Any) -> None:
    tone = sound.tone(2.0, hz=1000.0, peak=0.5)
    heard = np.concatenate(
        [decoder.decode(payload) for payload in packets(tone, application=application)]
    )
    assert len(heard) == len(tone)
    middle = heard[24_000:72_000].astype(float)
    assert 20 * np.log10(rms(middle) / rms(tone)) == pytest.approx(0.0, abs=0.1)
    spectrum = np.abs(np.fft.rfft(middle * np.hanning(48_000))) ** 2
    assert spectrum[990:1010].sum() / spectrum.sum() > 0.99


def test_aiortc_hears_our_packets_at_their_level() -> None:
    tone = sound.tone(2.0, hz=1000.0, peak=0.5)
    stock = StockDecoder()
    heard = [
        audio.pcm(frame)
        for n, payload in enumerate(packets(tone))
        for frame in stock.decode(JitterFrame(data=payload, timestamp=FRAME * n))
    ]
    middle = np.concatenate(heard)[24_000:72_000]
    for channel in middle.T:
        assert 20 * np.log10(rms(channel) / rms(tone)) == pytest.approx(0.0, abs=0.1)


def test_aiortcs_packets_are_heard_at_their_level(decoder: Any) -> None:
    tone = sound.tone(2.0, hz=1000.0, peak=0.5)
    encoder, heard = StockEncoder(), []
    for at in range(0, len(tone), FRAME):
        stereo = np.repeat(tone[at : at + FRAME, None], 2, axis=1)
        payloads, _ = encoder.encode(audio.from_pcm(stereo, sample_rate=48_000, pts=at))
        heard += [decoder.decode(payload) for payload in payloads]
    middle = np.concatenate(heard)[24_000:72_000]
    assert 20 * np.log10(rms(middle) / rms(tone)) == pytest.approx(0.0, abs=0.1)


def test_what_is_lost_is_made_up_from_what_there_was(decoder: Any) -> None:
    sent = voice(1.0)
    payloads = packets(sent)
    for payload in payloads[:25]:
        decoder.decode(payload)
    made_up = [decoder.conceal(FRAME) for _ in range(5)]
    assert all(len(pcm) == FRAME for pcm in made_up)
    before = rms(sent[24 * FRAME : 25 * FRAME])
    assert 0.4 * before < rms(made_up[0]) < 1.3 * before
    assert rms(made_up[4]) < rms(made_up[0])
    assert len(decoder.decode(payloads[30])) == FRAME


def test_a_copy_in_the_next_packet_says_what_was_lost() -> None:
    sent = voice(2.0)
    payloads = packets(sent, application="voip", fec=True, bitrate=32_000)
    copies = [n for n in range(40, 90) if opus_decoder().has_copy(payloads[n])]
    assert copies
    better = []
    for n in copies:
        whole, recovering, guessing = (opus_decoder() for _ in range(3))
        for payload in payloads[: n - 1]:
            for one in (whole, recovering, guessing):
                one.decode(payload)
        true = whole.decode(payloads[n - 1]).astype(float)
        recovered = recovering.recover(payloads[n], FRAME).astype(float)
        guessed = guessing.conceal(FRAME).astype(float)
        assert len(recovered) == FRAME
        better.append(rms(guessed - true) - rms(recovered - true))
        if len(better) == 5:
            break
    assert np.mean(better) > 0


def test_without_being_asked_for_there_are_no_copies() -> None:
    assert not any(map(opus_decoder().has_copy, packets(voice(1.0), application="voip")))


def test_next_to_nothing_is_said_about_silence() -> None:
    silence = np.zeros(48_000, np.int16)
    loud, quiet = (
        packets(silence, application="voip"),
        packets(silence, application="voip", dtx=True),
    )
    assert sum(map(len, quiet)) < sum(map(len, loud)) / 3


def test_bitrate_and_complexity_are_obeyed() -> None:
    pcm = (np.random.default_rng(1).normal(0, 3000, 96_000)).astype(np.int16)
    sizes = [sum(map(len, packets(pcm, bitrate=rate))) * 8 / 2 for rate in (16_000, 64_000)]
    assert sizes == [pytest.approx(16_000, rel=0.2), pytest.approx(64_000, rel=0.2)]


def test_rubbish_is_one_kind_of_error(decoder: Any) -> None:
    for rubbish in (b"\xff", b"\x03", bytes(200)[:1] + b"\x03\xff\xff"):
        try:
            decoder.decode(rubbish)
        except OpusError:
            continue


@pytest.mark.parametrize(
    ("payload", "samples"),
    [
        (b"", 0),
        (b"\xf8\x00", 960),  # CELT, 20 ms
        (b"\xe0\x00", 120),  # CELT, 2.5 ms
        (b"\x78\x00", 960),  # hybrid, 20 ms
        (b"\x70\x00", 480),  # hybrid, 10 ms
        (b"\x18\x00", 2880),  # SILK, 60 ms
        (b"\xf9\x00", 1920),  # two frames
        (b"\xfb\x03\x00", 2880),  # three
        (b"\xfb", 0),
        (b"\xfb\x3f\x00", 0),  # more than a packet may hold
    ],
)
def test_the_first_bytes_tell_how_long_a_packet_is(payload: bytes, samples: int) -> None:
    assert samples_in(payload) == samples


def test_copies_need_a_codec_that_makes_them() -> None:
    with pytest.raises(ValidationError, match="voip"):
        OpusOptions(fec=True)


def test_without_a_library_there_is_a_plain_decoder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(libopus, "load", lambda: None)
    assert isinstance(opus_decoder(), PlainDecoder)
    assert opus_encoder(OpusOptions()) is None


def test_a_library_that_is_none_is_not_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(libopus, "_candidates", lambda: iter(["/none/libopus.so", "libc.so.6"]))
    assert libopus.load.__wrapped__() is None
