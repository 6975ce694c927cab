"""libopus by ctypes, the one in PyAV's wheel, for what PyAV gives no access to.

That is packet loss concealment, forward error correction and DTX. Which file it is depends on the
wheel, so it may not be found; `load` says so and the callers go on without.
"""

from __future__ import annotations

import ctypes
import ctypes.util
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import av
import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

RATE = 48_000
_MOST_SAMPLES = 5760
"""In one packet: 120 ms."""
_MOST_BYTES = 1275
_CODER = ctypes.c_void_p
_BYTES = ctypes.c_char_p
_INT = ctypes.c_int
_APPLICATIONS = {"voip": 2048, "audio": 2049, "lowdelay": 2051}
_SET_BITRATE, _SET_COMPLEXITY, _SET_FEC, _SET_LOSS, _SET_DTX = 4002, 4010, 4012, 4014, 4016
_EXPECTED_LOSS = 10
"""Per cent; less makes libopus leave error correction out."""


class OpusError(Exception):
    """The codec refuses; never seen with sound, only with a packet that is none."""


@cache
def load() -> ctypes.CDLL | None:
    """Return the library with its functions declared; None: there is none."""
    for path in _candidates():
        try:
            library = ctypes.CDLL(path)
            _declare(library)
        except (OSError, AttributeError):
            continue
        return library
    return None


class Decoder:
    """Packets to mono sound, 48 kHz.

    Args:
        library: What `load` returns.
    """

    def __init__(self, library: ctypes.CDLL) -> None:
        self._library = library
        self._state = _made(library.opus_decoder_create, RATE, 1)
        self._pcm = np.empty(_MOST_SAMPLES, np.int16)
        self._address = self._pcm.ctypes.data  # asking for it costs more than a call

    def __del__(self) -> None:
        if hasattr(self, "_state"):
            self._library.opus_decoder_destroy(self._state)

    def decode(self, payload: bytes) -> NDArray[np.int16]:
        """Return the sound of a packet.

        Raises:
            OpusError: It is none.
        """
        return self._decode(payload, _MOST_SAMPLES, 0)

    def conceal(self, samples: int) -> NDArray[np.int16]:
        """Return `samples` of sound that goes on from what there was, and fades."""
        return self._decode(None, samples, 0)

    def has_copy(self, payload: bytes) -> bool:
        """Whether a packet also says what was in the one before it."""
        return bool(self._library.opus_packet_has_lbrr(payload, len(payload)) > 0)

    def recover(self, following: bytes, samples: int) -> NDArray[np.int16]:
        """Return the sound before the packet `following`, from what is said in there about it."""
        return self._decode(following, samples, 1)

    def _decode(self, payload: bytes | None, samples: int, fec: int) -> NDArray[np.int16]:
        count = self._library.opus_decode(
            self._state, payload, len(payload or b""), self._address, samples, fec
        )
        if count < 0:
            raise OpusError(f"libopus: error {count}")
        return self._pcm[:count].copy()


class Encoder:
    """Mono sound, 48 kHz, to packets.

    Args:
        library: What `load` returns.
        bitrate: Bits a second.
        complexity: 0 (least CPU) to 10.
        application: `voip`, `audio` or `lowdelay`.
        fec: Put a rough copy of each packet into the next.
        dtx: Say next to nothing about silence.
    """

    def __init__(
        self,
        library: ctypes.CDLL,
        *,
        bitrate: int,
        complexity: int,
        application: str,
        fec: bool,
        dtx: bool,
    ) -> None:
        self._library = library
        self._state = _made(library.opus_encoder_create, RATE, 1, _APPLICATIONS[application])
        self._packet = ctypes.create_string_buffer(_MOST_BYTES)
        self._pcm = np.empty(_MOST_SAMPLES, np.int16)
        self._address = self._pcm.ctypes.data
        for request, value in (
            (_SET_BITRATE, bitrate),
            (_SET_COMPLEXITY, complexity),
            (_SET_FEC, fec),
            (_SET_LOSS, _EXPECTED_LOSS if fec else 0),
            (_SET_DTX, dtx),
        ):
            # The value is a variadic argument: ctypes passes it as one since it is not declared.
            if library.opus_encoder_ctl(self._state, request, ctypes.c_int(value)) < 0:
                raise OpusError(f"libopus: it does not take {value} for {request}")

    def __del__(self) -> None:
        if hasattr(self, "_state"):
            self._library.opus_encoder_destroy(self._state)

    def encode(self, pcm: NDArray[np.int16]) -> bytes:
        """Return the packet of `pcm`, which is 2.5, 5, 10, 20, 40 or 60 ms long.

        Raises:
            OpusError: It has another length.
        """
        samples = len(pcm)
        if samples > _MOST_SAMPLES:
            raise OpusError(f"libopus: {samples} samples in one packet")
        self._pcm[:samples] = pcm
        count = self._library.opus_encode(
            self._state, self._address, samples, self._packet, _MOST_BYTES
        )
        if count < 0:
            raise OpusError(f"libopus: error {count}")
        return ctypes.string_at(self._packet, count)


def _made(create: object, *args: int) -> int:
    error = ctypes.c_int()
    state: int | None = create(*args, ctypes.byref(error))  # type: ignore[operator]  # of ctypes
    if not state or error.value:
        raise OpusError(f"libopus: error {error.value}")
    return state


def _candidates() -> Iterator[str]:
    package = Path(av.__file__).parent
    for folder in (package.parent / "av.libs", package / ".dylibs", package):
        yield from sorted(str(path) for path in folder.glob("*opus*") if path.is_file())
    system = ctypes.util.find_library("opus")
    if system is not None:
        yield system


def _declare(library: ctypes.CDLL) -> None:
    created_error = ctypes.POINTER(ctypes.c_int)
    pcm = ctypes.c_void_p
    for name, result, arguments in (
        ("opus_decoder_create", _CODER, [_INT, _INT, created_error]),
        ("opus_decoder_destroy", None, [_CODER]),
        ("opus_decode", _INT, [_CODER, _BYTES, _INT, pcm, _INT, _INT]),
        ("opus_encoder_create", _CODER, [_INT, _INT, _INT, created_error]),
        ("opus_encoder_destroy", None, [_CODER]),
        ("opus_encoder_ctl", _INT, [_CODER, _INT]),
        ("opus_encode", _INT, [_CODER, pcm, _INT, ctypes.c_void_p, _INT]),
        ("opus_packet_has_lbrr", _INT, [_BYTES, _INT]),
    ):
        function = getattr(library, name)
        function.restype = result
        function.argtypes = arguments
