"""Raw audio of a command: its samples without a header, channels in turn."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from rtpipe import Options
from rtpipe_plugins.child.command import Command, words_of
from rtpipe_plugins.child.environment import GivenBack

_BYTES = {"u8": 1, "s16": 2, "s32": 4, "flt": 4, "dbl": 8}


class CommandOptions(Options):
    """A command and what its audio looks like: samples without a header, channels in turn."""

    main: ClassVar[str | None] = "command"

    command: Command
    """The program and its arguments: a list, or a text that is split as a shell would split it. No
    shell is involved; where one is wanted: `[sh, -c, "one | two"]`."""
    format: Literal["u8", "s16", "s32", "flt", "dbl"] = "s16"
    """One sample, in the machine's byte order: unsigned 8 bits, signed 16 or 32, float, double."""
    sample_rate: int = Field(48_000, ge=8000, le=192_000)
    """Hz."""
    layout: Literal["mono", "stereo"] = "mono"
    """Channels."""
    env: GivenBack = ()

    @property
    def words(self) -> tuple[str, ...]:
        """The program and its arguments."""
        return words_of(self.command)

    @property
    def bytes_a_sample(self) -> int:
        """How many bytes one sample of all channels takes."""
        from av import AudioLayout

        return _BYTES[self.format] * AudioLayout(self.layout).nb_channels
