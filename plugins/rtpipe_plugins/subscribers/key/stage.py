"""`key`: a key that goes down and up, as events."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar

from pydantic import Field

from rtpipe import (
    EnvironmentProblem,
    Event,
    Importance,
    MachineLook,
    Options,
    Specimen,
    StageContext,
    Subscriber,
)
from rtpipe_plugins.subscribers.key.input_device import InputDevice
from rtpipe_plugins.subscribers.key.keyboard import Stroke
from rtpipe_plugins.subscribers.key.terminal import Terminal

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from rtpipe_plugins.subscribers.key.keyboard import Keyboard

_LOOK_AGAIN_S = 0.5
_TERMINAL = "terminal"


class KeyOptions(Options):
    """Where keys are read from."""

    main: ClassVar[str | None] = "device"

    device: Annotated[str, Field(min_length=1)]
    """`terminal`, the one that `rtpipe run` was started on; or an input device of Linux: its path
    (`/dev/input/by-id/…` stays the same when others are plugged in), its name, or a part of it."""


@dataclass(frozen=True, kw_only=True)
class KeyPressed(Event):
    """A key went down; one that is held on a terminal does so again and again.

    Attributes:
        key: Its name on a US keyboard, as in Linux's `input-event-codes.h` without `KEY_`: space,
            enter, a, "1", f1, kp0, btn_trigger.
    """

    type: str = "key.pressed"
    key: str

    def line(self) -> str:
        """See `Event.line`."""
        return f"{self.key} is pressed"


@dataclass(frozen=True, kw_only=True)
class KeyReleased(Event):
    """A key went up, or its device is gone; a terminal does not tell that.

    Attributes:
        key: Its name, as in `key.pressed`.
    """

    type: str = "key.released"
    key: str

    def line(self) -> str:
        """See `Event.line`."""
        return f"{self.key} is released"


@dataclass(frozen=True, kw_only=True)
class KeyLost(Event):
    """The device is gone: unplugged, or the terminal is another's; it is waited for.

    Attributes:
        device: As in the file.
        reason: What the system said.
    """

    importance = Importance.WARNING
    type: str = "key.lost"
    device: str
    reason: str

    def line(self) -> str:
        """See `Event.line`."""
        return f"no more keys from {self.device}: {self.reason}"


@dataclass(frozen=True, kw_only=True)
class KeyFound(Event):
    """The device that was lost is back.

    Attributes:
        device: As in the file.
    """

    importance = Importance.NOTICE
    type: str = "key.found"
    device: str

    def line(self) -> str:
        """See `Event.line`."""
        return f"keys come from {self.device} again"


class Key(Subscriber[KeyOptions]):
    """Tells when a key goes down and up, of an input device (evdev) or of the terminal.

    When the device is unplugged, keys that are held are released, and it is waited for. Others see
    its keys, too.

    - key: {device: USB Keypad}
      fallback: {key: terminal}
    """

    kind = "key"
    external = True
    hears = False
    publishes = (KeyPressed, KeyReleased, KeyLost, KeyFound)

    @classmethod
    def specimens(cls, folder: Path) -> Iterator[Specimen]:  # noqa: ARG003 - it needs no file
        """Yield a terminal at which nobody types."""
        import os
        import pty

        keyboard, terminal = pty.openpty()
        try:
            yield Specimen({"device": os.ttyname(terminal)}, real_time=True)
        finally:
            os.close(terminal)
            os.close(keyboard)

    @classmethod
    def claims(cls, options: KeyOptions) -> str | None:
        """Return the terminal, whose keys go to one reader; an input device tells all of them."""
        return "device:terminal" if options.device == _TERMINAL else None

    @classmethod
    def examine(cls, options: KeyOptions) -> tuple[MachineLook]:
        """Look whether there is such a device."""
        return (MachineLook(_keyboard(options).look),)

    def __init__(self, options: KeyOptions, ctx: StageContext) -> None:
        super().__init__(options, ctx)
        self._keyboard = _keyboard(options)
        self._file: int | None = None
        self._watching: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Open the device.

        Raises:
            EnvironmentProblem: It is not there, or may not be read.
        """
        self._listen()
        self._watching = asyncio.create_task(self._watch())

    async def close(self) -> None:
        """Let go of the device."""
        if self._watching is not None:
            self._watching.cancel()
            with suppress(asyncio.CancelledError):
                await self._watching
            self._watching = None
        self._leave()

    def _listen(self) -> None:
        self._file = self._keyboard.open()
        asyncio.get_running_loop().add_reader(self._file, self._read)

    def _leave(self) -> None:
        if self._file is not None:
            asyncio.get_running_loop().remove_reader(self._file)
            self._file = None
        self._keyboard.close()

    def _read(self) -> None:
        try:
            strokes = self._keyboard.read()
        except OSError as error:
            self._lost(error)
        else:
            for stroke in strokes:
                self._tell(stroke)

    def _tell(self, stroke: Stroke) -> None:
        event = KeyPressed if stroke.down else KeyReleased
        self.ctx.publish(event(key=stroke.key))

    def _lost(self, error: OSError) -> None:
        self._leave()
        for key in sorted(self._keyboard.down):
            self._tell(Stroke(key, down=False))
        self.ctx.publish(KeyLost(device=self.options.device, reason=f"{error.strerror}"))

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(_LOOK_AGAIN_S)
            if self._file is not None:
                try:
                    self._keyboard.keep()
                except OSError as error:
                    self._lost(error)
                continue
            with suppress(EnvironmentProblem):
                self._listen()
                self.ctx.publish(KeyFound(device=self.options.device))


def _keyboard(options: KeyOptions) -> Keyboard:
    return Terminal() if options.device == _TERMINAL else InputDevice(options.device)
