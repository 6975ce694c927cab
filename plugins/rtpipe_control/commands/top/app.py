"""The view as Textual runs it: draws the picture, and does what keys ask."""

from __future__ import annotations

import asyncio
import signal
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any, ClassVar

from textual.app import App
from textual.widgets import Input

from rtpipe import RtpipeError
from rtpipe_control.client import Client
from rtpipe_control.commands.playing import player
from rtpipe_control.commands.top import choose, listen
from rtpipe_control.commands.top.canvas import Canvas
from rtpipe_control.commands.top.follow import Follower
from rtpipe_control.commands.top.keys import Key, keys
from rtpipe_control.commands.top.look import Look
from rtpipe_control.commands.top.picture import picture
from rtpipe_control.commands.top.state import State

if TYPE_CHECKING:
    from textual.app import ComposeResult
    from textual.events import Key as Pressed
    from textual.events import Resize

_LOOKS_S = 2.0
"""Between two looks at which pipelines run."""
_SAID_S = 5.0
_VOLUME_STEP = 0.1
_KEYS = {
    "space": "space",
    "question_mark": "?",
    "slash": "/",
    "up": "up",
    "down": "down",
    "plus": "+",
    "minus": "-",
    "enter": "enter",
    "escape": "escape",
    **{letter: letter for letter in "mxsldpwq"},
}


class Top(App[None]):
    """A running pipeline, or a list of several.

    Args:
        name: The run's; None to choose one.
        interval_s: Between two drawings.
        only_ascii: Whether only ASCII may be written.
    """

    ENABLE_COMMAND_PALETTE = False
    AUTO_FOCUS = None
    CSS = """
    Screen { background: ansi_default; layers: below above; }
    Canvas { layer: below; }
    Input { layer: above; dock: bottom; height: 1; border: none; padding: 0 1; display: none;
            background: ansi_default; color: ansi_default; }
    """
    BINDINGS: ClassVar = [("ctrl+c", "quit", "Quit")]

    def __init__(
        self, name: str | None, *, interval_s: float = 0.25, only_ascii: bool = False
    ) -> None:
        super().__init__(ansi_color=True)
        self.state = State()
        self.look = Look(listener=player(), ascii=only_ascii)
        self.left = ""
        """What is said when it has ended."""
        self._name = name
        self._several = name is None
        self._interval_s = interval_s
        self._follower: Follower | None = None
        self._listening: listen.Listening | None = None
        self._heard_at = self._said_at = time.monotonic()
        self._runs: list[dict[str, Any]] = []
        self._chosen = ""
        self._asks = ""
        self._devices: list[dict[str, Any]] = []
        self._canvas = Canvas()
        self._input = Input()

    def compose(self) -> ComposeResult:
        """Give the canvas, and the line that is typed into."""
        yield self._canvas
        yield self._input

    def on_mount(self) -> None:
        """Begin."""
        with suppress(NotImplementedError, RuntimeError):  # only the main thread hears signals
            for number in (signal.SIGTERM, signal.SIGHUP):
                asyncio.get_running_loop().add_signal_handler(number, self.exit)
        if self._name is None:
            self._look_around()
            self.set_interval(_LOOKS_S, self._look_around)
        else:
            self._open(self._name)
        self.set_interval(self._interval_s, self.draw)

    def on_unmount(self) -> None:
        """Let go of everything."""
        if self._follower is not None:
            self._follower.stop()
        if self._listening is not None:
            self._listening.stop()

    def on_resize(self, _: Resize) -> None:
        """Draw for the new size."""
        self.draw()

    # -- drawing -----------------------------------------------------------------------------------

    def draw(self) -> None:
        """Take note of what has come, and show it."""
        width, height = self.size
        if self._name is None:
            ascii = self.look.ascii
            self._canvas.show(choose.listed(self._runs, self._chosen, width, height, ascii=ascii))
            return
        if self._follower is None:  # it has a size before it has begun
            return
        for message in self._follower.newest():
            if message.name != "gone":
                self._heard_at = time.monotonic()
                self.state.gone = ""
                self.state.ended = False
            self.state.take(*message)
        self.state.quiet_s = time.monotonic() - self._heard_at
        if self.look.selected not in self.state.stages:
            self.look.selected = ""
        if self.look.said[0] and time.monotonic() - self._said_at > _SAID_S:
            self.look.said = ("", False)
        self._canvas.show(picture(self.state, self.look, width, height))

    def say(self, text: str, *, trouble: bool = False) -> None:
        """Say something on the line above the keys, for a while."""
        self.look.said, self._said_at = (text, trouble), time.monotonic()
        self.draw()

    # -- several -----------------------------------------------------------------------------------

    def _look_around(self) -> None:
        if self._name is None:
            self.run_worker(self._look_in_thread, thread=True, exclusive=True, group="runs")

    def _look_in_thread(self) -> None:
        found = choose.runs()
        self.call_from_thread(self._found, found)

    def _found(self, runs: list[dict[str, Any]]) -> None:
        self._runs = runs
        names = [run["run"] for run in runs]
        if self._chosen not in names:
            self._chosen = names[0] if names else ""
        self.draw()

    def _open(self, name: str) -> None:
        self._close()
        self._name, self.state = name, State()
        self._heard_at = time.monotonic()
        self._follower = Follower(name)
        self._follower.start()

    def _close(self) -> None:
        if self._follower is not None:
            self._follower.stop()
            self._follower = None
        if self._listening is not None:
            self._listening.stop()
            self._listening = None
        self.look = Look(listener=self.look.listener, ascii=self.look.ascii)

    # -- keys --------------------------------------------------------------------------------------

    async def action_quit(self) -> None:
        """Leave; the pipeline goes on."""
        if self._name is not None and self.state.about:
            how = "does not answer" if self.state.gone else "goes on"
            self.left = f"{self._name} {'has ended' if self.state.ended else how}"
        self.exit()

    async def on_key(self, pressed: Pressed) -> None:
        """Do what a key asks."""
        key = _KEYS.get(pressed.key)
        if self._asks:
            if key == "escape":
                self._ask("")
            return
        if key is None:
            return
        pressed.stop()
        pressed.prevent_default()
        if key == "q":
            await self.action_quit()
        elif self._name is None:
            self._choose(key)
        elif key == "escape":
            self._back()
        elif key in {"up", "down"}:
            self._select(1 if key == "down" else -1)
        else:
            self._press(key)
        self.draw()

    def _choose(self, key: str) -> None:
        names = [run["run"] for run in self._runs]
        if key in {"up", "down"} and names:
            at = names.index(self._chosen) + (1 if key == "down" else -1)
            self._chosen = names[max(0, min(len(names) - 1, at))]
        elif key == "enter" and self._chosen:
            self._open(self._chosen)

    def _back(self) -> None:
        """Leave what was opened last."""
        look = self.look
        if look.keys or look.warnings or look.selected:
            look.keys, look.warnings, look.selected = False, False, ""
        elif self._several:
            self._close()
            self._name = None
            self._look_around()

    def _select(self, step: int) -> None:
        ids = ["", *self.state.stages]
        self.look.selected = ids[(ids.index(self.look.selected) + step) % len(ids)]

    def _press(self, key: str) -> None:
        look = self.look
        match key:
            case "?":
                look.keys = not look.keys
            case "w":
                look.warnings = not look.warnings
            case "p":
                look.held = [*self.state.events] if look.held is None else None
            case "/":
                self._ask("match", look.match)
            case "enter":
                pass
            case _:
                known = keys(
                    self.state, look.selected, talking=look.talking, listener=look.listener
                )
                self._do(known["+−" if key in {"+", "-"} else key], key)

    def _do(self, does: Key, key: str) -> None:
        """Do what a key does to the pipeline, or say why not."""
        if does.why_not:
            self.say(f"{does.label}: {does.why_not}", trouble=True)
            return
        match key:
            case "s":
                self._ask("say")
            case "l":
                self._listen(does)
            case "d":
                self._act(does.stage, "devices", [], self._offer)
            case "+" | "-":
                step = _VOLUME_STEP if key == "+" else -_VOLUME_STEP
                self._act(does.stage, "volume", [self._volume(does.stage, step)])
            case _:
                self._act(does.stage, does.action, [])
                if key == "space":
                    self.look.talking = not self.look.talking

    def _volume(self, stage: str, step: float) -> float:
        """Return the next volume: from what the gauge says, else from what the file says."""
        words = f"{self.state.stages[stage]['gauge']}".replace(",", " ").split()
        now = self.state.stages[stage]["options"].get("volume", 1.0)
        if "volume" in words:
            now = float(words[words.index("volume") + 1])
        return round(max(0.0, min(4.0, float(now) + step)), 2)

    def _listen(self, key: Key) -> None:
        if self._listening is not None:
            self._listening.stop()
            self._listening = None
            self.say(f"`{self.look.listening}` is listened to no more")
            if self.look.listening == key.stage:
                self.look.listening = ""
                return
        assert self._name is not None
        self.look.listening = key.stage
        self._listening = listen.Listening(self._name, key.stage, self._heard_all)
        self.say(f"`{key.stage}` is played here by {self.look.listener}; l ends it")

    def _heard_all(self, reason: str) -> None:
        """Say why nothing more is heard; called from a thread."""
        self.call_from_thread(self._say_unheard, reason)

    def _say_unheard(self, reason: str) -> None:
        self._listening, self.look.listening = None, ""
        self.say(f"listen: {reason}", trouble=True)

    # -- actions -----------------------------------------------------------------------------------

    def _act(self, stage: str, action: str, args: list[Any], then: Any = None) -> None:
        """Carry out an action in a thread, and say how it went."""
        assert self._name is not None
        name = self._name

        def work() -> None:
            try:
                done = Client.of(name).act(stage, action, args, {})
            except RtpipeError as error:
                self.call_from_thread(self.say, f"{stage}.{action}: {error}", trouble=True)
                return
            if then is not None:
                self.call_from_thread(then, stage, done["result"])
                return
            event = done["event"]
            words = " ".join(map(str, args))
            told = event["line"] if event else f"{stage}.{action} {words}".rstrip() + ": done"
            self.call_from_thread(self.say, f"{told}")

        self.run_worker(work, thread=True, group="actions")

    def _offer(self, stage: str, devices: list[dict[str, Any]]) -> None:
        """Ask which device to take."""
        self._devices = devices
        named = " · ".join(
            f"{number} {each['name']}{' (used)' if each.get('used') else ''}"
            for number, each in enumerate(devices, 1)
        )
        if not devices:
            self.say(f"{stage}: no device is known", trouble=True)
            return
        self.say(f"{stage}: {named}")
        self._said_at += 60
        self._ask(f"device {stage}")

    # -- the line that is typed into ---------------------------------------------------------------

    def _ask(self, what: str, value: str = "") -> None:
        """Let something be typed; "" ends that."""
        self._asks = what
        self._input.display = bool(what)
        self._input.value = value
        word = what.partition(" ")[0]
        self._input.placeholder = {
            "say": "What shall the model say? Enter says it, Escape leaves it.",
            "match": "Part of an event's type or source, or a glob; empty for all.",
            "device": "The number of the device, or its name.",
        }.get(word, "")
        if what:
            self._input.focus()
        else:
            self.set_focus(None)

    def on_input_submitted(self, submitted: Input.Submitted) -> None:
        """Do what was asked for."""
        text, (what, _, stage) = submitted.value.strip(), self._asks.partition(" ")
        self._ask("")
        if what == "match":
            self.look.match = text
        elif what == "say" and text:
            known = keys(self.state, self.look.selected, talking=False, listener="")
            self._act(known["s"].stage, "say", [text])
        elif what == "device" and text:
            chosen = text
            if text.isdecimal() and 1 <= int(text) <= len(self._devices):
                chosen = f"{self._devices[int(text) - 1]['device']}"
            self._act(stage, "use", [chosen])
        self.draw()
