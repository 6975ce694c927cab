"""Channel downmix: audio of many channels in fewer, with every one of them in it.

FFmpeg's own way leaves the LFE channel out, which in a recording that was named by its number of
channels is somebody's microphone, and refuses layouts that it has no name for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import av
import numpy as np

from rtpipe.waveform import like, listed, relabelled, samples

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from rtpipe.audio import AudioFrame

_ASIDE = 0.5**0.5


def to_layout(frame: AudioFrame, layout: str) -> AudioFrame:
    """Return `frame`'s audio, time and meta in another layout, in its rate and sample format.

    As many channels keep their order and every bit; any other number gets a mix that cannot clip.
    """
    frame = listed(frame)
    if av.AudioLayout(layout).nb_channels != frame.layout.nb_channels:
        matrix = downmix_matrix(frame.layout.name, layout)
        return like(frame, samples(frame) @ matrix, layout=layout)
    return relabelled(frame, layout)


def downmix_matrix(source: str, target: str) -> NDArray[np.float32]:
    """Return the weight of each channel of one layout in each of another.

    A channel that both have stays where it is. Any other goes to the front at its side, or to both
    sides, 3 dB down; so does one that has no name. Then all is turned down so far that full scale
    in every channel does not clip.

    Returns:
        Shape (channels of `source`, channels of `target`).
    """
    wanted = [channel.name for channel in av.AudioLayout(target).channels]
    known = [channel.name for channel in av.AudioLayout(source).channels]
    matrix = np.zeros((len(known), len(wanted)), np.float32)
    for index, name in enumerate(known):
        if name in wanted:
            matrix[index, wanted.index(name)] = 1.0
        else:
            matrix[index, _fronts(name, wanted)] = _ASIDE
    return matrix / max(float(matrix.sum(axis=0).max()), 1.0)


def _fronts(name: str, wanted: list[str]) -> list[int]:
    """Return where a channel goes that the target lacks; never nowhere."""
    sides = {"FL", "FR"}
    if name.endswith(("L", "LC")):
        sides = {"FL"}
    elif name.endswith(("R", "RC")):
        sides = {"FR"}
    return [at for at, front in enumerate(wanted) if front in sides] or list(range(len(wanted)))
