"""Opus: packets to sound and back, with packet loss concealment, with or without libopus."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import av
import numpy as np
from av.error import FFmpegError

from rtpipe import audio
from rtpipe_webrtc import libopus
from rtpipe_webrtc.libopus import RATE, OpusError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from rtpipe_webrtc.options import OpusOptions

_FADED = 0.7
"""Per 20 ms: what a repeated sound is the next time."""


class OpusDecoder(Protocol):
    """Packets to mono sound, 48 kHz."""

    def decode(self, payload: bytes) -> NDArray[np.int16]:
        """Return the sound of a packet; raises `OpusError` where it is none."""
        ...

    def conceal(self, samples: int) -> NDArray[np.int16]:
        """Return `samples` of sound that goes on from what there was, and fades."""
        ...

    def has_copy(self, payload: bytes) -> bool:
        """Whether a packet also says what was in the one before it."""
        ...

    def recover(self, following: bytes, samples: int) -> NDArray[np.int16]:
        """Return the sound before the packet `following`, which has a copy of it."""
        ...


def opus_decoder() -> OpusDecoder:
    """Return libopus's own decoder, or PyAV's with a simple concealment where it is not found."""
    library = libopus.load()
    return PlainDecoder() if library is None else libopus.Decoder(library)


def opus_encoder(options: OpusOptions) -> libopus.Encoder | None:
    """Return an encoder; None where libopus is not found."""
    library = libopus.load()
    if library is None:
        return None
    return libopus.Encoder(
        library,
        bitrate=options.bitrate,
        complexity=options.complexity,
        application=options.application,
        fec=options.fec,
        dtx=options.dtx,
    )


class PlainDecoder:
    """PyAV's decoder; concealment is the last sound again, more and more softly."""

    def __init__(self) -> None:
        self._codec = av.CodecContext.create("libopus", "r")
        self._codec.format = "s16"
        self._codec.layout = "mono"
        self._codec.sample_rate = RATE
        self._last: NDArray[np.int16] = np.zeros(960, np.int16)

    def decode(self, payload: bytes) -> NDArray[np.int16]:
        """Return the sound of a packet.

        Raises:
            OpusError: It is none.
        """
        try:
            frames = self._codec.decode(av.Packet(payload))
        except FFmpegError as error:
            raise OpusError(str(error)) from error
        if not frames:
            raise OpusError("there is no sound in it")
        self._last = np.concatenate([audio.pcm(frame)[:, 0] for frame in frames])
        return self._last

    def conceal(self, samples: int) -> NDArray[np.int16]:
        """Return what was heard last, backwards: so it joins without a click."""
        again = np.resize(self._last[::-1], samples)
        ramp = np.linspace(1.0, _FADED, samples)
        self._last = np.rint(again * ramp).astype(np.int16)
        return self._last

    def has_copy(self, payload: bytes) -> bool:  # noqa: ARG002 - whatever is in it
        """Return False: PyAV reads no copies."""
        return False

    def recover(self, following: bytes, samples: int) -> NDArray[np.int16]:  # noqa: ARG002 - see above
        """As `conceal`."""
        return self.conceal(samples)


def samples_in(payload: bytes) -> int:
    """Return how much sound a packet holds (samples at 48 kHz; RFC 6716, 3.1); 0: it is none."""
    if not payload:
        return 0
    config, code = payload[0] >> 3, payload[0] & 3
    if config < 12:  # SILK
        each = (480, 960, 1920, 2880)[config & 3]
    elif config < 16:  # hybrid
        each = (480, 960)[config & 1]
    else:  # CELT
        each = 120 << (config & 3)
    counted = payload[1] & 63 if len(payload) > 1 else 0
    count = (1, 2, 2, counted)[code]
    return each * count if each * count <= 5760 else 0


def is_celt(payload: bytes) -> bool:
    """Whether a packet, not empty, is CELT alone, in which there is no error correction."""
    return payload[0] >= 0x80
