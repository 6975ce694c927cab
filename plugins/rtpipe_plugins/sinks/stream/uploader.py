"""Encodes and sends audio, in a process of its own; started as a script by `stream`.

PyAV holds Python's lock while it connects, which in the pipeline's own process would stop all of it
for as long as a server takes to answer. And what hangs here can be killed.

Standard input: a line of JSON with the arguments of `Upload`, then s16 samples to the end. Standard
output: the line `null` once connected; and whenever it fails, a line with FFmpeg's error number.
"""

from __future__ import annotations

import json
import sys
from fractions import Fraction
from typing import TYPE_CHECKING, BinaryIO, cast

import av
import numpy as np
from av.codec.context import Flags
from av.error import FFmpegError

if TYPE_CHECKING:
    from av.audio.stream import AudioStream


class Upload:
    """An encoder and a connection; blocking.

    Args:
        url: Where to.
        container: FFmpeg's name of the container.
        options: FFmpeg's, of the container and of the protocol.
        encoder: FFmpeg's name.
        bitrate: Bits a second.
        rate: Samples a second (Hz).
        layout: mono or stereo.

    Raises:
        FFmpegError: It cannot be reached, or refuses.
    """

    def __init__(
        self,
        *,
        url: str,
        container: str,
        options: dict[str, str],
        encoder: str,
        bitrate: int,
        rate: int,
        layout: str,
    ) -> None:
        self._rate = rate
        self._layout = layout
        self._pts = 0
        # PyAV opens connections without any option of the protocol, such as time-outs. FFmpeg's
        # `tee`, here with one branch, opens them with all it is given.
        branch = ":".join(
            f"{key}={_escaped(value, ':]')}" for key, value in {"f": container, **options}.items()
        )
        target = f"{_escaped(f'[{branch}]', '|')}{_escaped(url, '|')}"
        self._container = av.open(target, "w", format="tee")
        self._stream = cast(
            "AudioStream", self._container.add_stream(encoder, rate=rate, layout=layout)
        )
        self._stream.bit_rate = bitrate
        self._stream.codec_context.flags |= Flags.global_header  # FLV and RTSP announce it
        self._container.start_encoding()

    def send_all(self, samples: BinaryIO) -> None:
        """Send s16 samples until they end, then what the encoder still holds.

        Raises:
            FFmpegError: The connection broke off.
        """
        width = 2 * self._stream.codec_context.channels
        while data := samples.read(self._rate // 50 * width):
            values = np.frombuffer(data, np.int16).reshape(1, -1)
            frame = av.AudioFrame.from_ndarray(values, format="s16", layout=self._layout)
            frame.sample_rate = self._rate
            frame.time_base = Fraction(1, self._rate)
            frame.pts = self._pts
            self._pts += frame.samples
            self._container.mux(self._stream.encode(frame))
        self._container.mux(self._stream.encode(None))
        self._container.close()


def _escaped(text: str, special: str) -> str:
    """Return `text` so that FFmpeg's tokenizer finds nothing in it to cut at."""
    return "".join(f"\\{char}" if char in f"\\'{special}" else char for char in text)


def _say(error_number: int | None) -> None:
    sys.stdout.write(f"{json.dumps(error_number)}\n")
    sys.stdout.flush()


def main() -> None:
    """Send what comes on standard input."""
    try:
        upload = Upload(**json.loads(sys.stdin.buffer.readline()))
        _say(None)
        upload.send_all(sys.stdin.buffer)
    except (FFmpegError, OSError) as error:  # not its text: the address stands in it
        _say(error.errno)


if __name__ == "__main__":
    main()
