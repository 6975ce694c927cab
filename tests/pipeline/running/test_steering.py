"""What a program and an extension may do with a running pipeline: act, listen, stop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from helpers.actors import Played, diary, play, whole
from rtpipe import audio
from rtpipe.audio import AudioFrame
from rtpipe.errors import StageError
from rtpipe.running.runtime import Pipeline
from rtpipe.testing import run_virtual

LIVE = "stages: [ramp: {live: true, frames: 50}, twice, plus: 1, collect]"
EVERYWHERE = """
stages:
  - ramp: {live: true, frames: 50}
  - twice
  - fault: {times: 0}
    queue: {}
  - echo
  - collect
"""


def meanwhile(text: str, act: Callable[[Pipeline], object], *, at: float = 0.1) -> Played:
    """Run `text`; do something with it while it runs."""
    failed: list[Exception | None] = []

    async def soon(pipeline: Pipeline) -> None:
        await pipeline.clock.sleep_until(at)
        try:
            act(pipeline)
        except Exception as error:  # noqa: BLE001 - raised below, where the test sees it
            failed.append(error)
        else:
            failed.append(None)

    played = run_virtual(play(text, meanwhile=soon))
    for error in failed:
        if error is not None:
            raise error
    assert failed
    return played


# -- actions ---------------------------------------------------------------------------------------


def test_an_action_is_carried_out_with_its_arguments() -> None:
    def act(pipeline: Pipeline) -> None:
        pipeline.perform("collect", "note")
        pipeline.perform("collect", "note", "by place")
        pipeline.perform("collect", "note", text="by name")

    meanwhile(LIVE, act)
    assert [line for line in diary if "note" in line or "by" in line] == [
        "noted", "by place", "by name",
    ]  # fmt: skip


def test_flush_is_an_action_of_every_stage() -> None:
    flushed: list[object] = []
    text = "stages: [ramp: {live: true, frames: 80}, collect: {delay_s: 0.05}]"
    meanwhile(text, lambda p: flushed.append(p.perform("ramp", "flush")), at=1.003)
    assert isinstance(flushed[0], float)
    assert flushed[0] > 0


@pytest.mark.parametrize(
    ("stage", "action", "args", "kwargs", "said", "help"),
    [
        ("colect", "note", (), {}, "no stage `colect`", "did you mean `collect`?"),
        ("nothing", "note", (), {}, "no stage `nothing`",
         "the stages are `[ramp, twice, plus, collect]`"),
        ("collect", "nte", (), {}, "`collect` has no action `nte`",
         "did you mean `collect.note`?"),
        ("collect", "dance", (), {}, "`collect` has no action `dance`",
         "it has `[collect.flush, collect.note, collect.trip]`"),
        ("collect", "note", (), {"txt": "x"}, "`collect.note` cannot be called so",
         "did you mean `text`?"),
        ("collect", "note", ("a", "b"), {}, "`collect.note` cannot be called so",
         "write `collect.note(text=noted)`"),
        ("collect", "note", (3,), {}, "`text` of `collect.note` cannot be 3",
         "write `collect.note(text=noted)`"),
        ("collect", "flush", (3,), {}, "`collect.flush` cannot be called so",
         "write `collect.flush`"),
    ],
)  # fmt: skip
def test_a_call_is_checked_as_a_route_is(
    stage: str, action: str, args: Any, kwargs: Any, said: str, help: str
) -> None:
    def act(pipeline: Pipeline) -> None:
        with pytest.raises(StageError) as caught:
            pipeline.perform(stage, action, *args, **kwargs)
        assert caught.value.message.startswith(said)
        assert caught.value.help == help

    meanwhile(LIVE, act)


def test_a_stage_that_does_not_run_is_no_mistake_in_the_call() -> None:
    async def main() -> None:
        played = await play(LIVE)
        assert played.pipeline is not None
        with pytest.raises(StageError, match="collect is stopped"):
            played.pipeline.perform("collect", "note")

    run_virtual(main())


def test_what_an_action_raises_comes_through() -> None:
    def act(pipeline: Pipeline) -> None:
        with pytest.raises(RuntimeError, match="tripped"):
            pipeline.perform("collect", "trip")

    meanwhile(LIVE, act)


# -- listening -------------------------------------------------------------------------------------


class Listener:
    def __init__(self) -> None:
        self.frames: list[AudioFrame] = []
        self.samples: list[NDArray[np.int16]] = []

    def __call__(self, frame: AudioFrame) -> None:
        self.frames.append(frame)
        self.samples.append(audio.pcm(frame)[:, 0].copy())

    def whole(self) -> NDArray[np.int16]:
        return np.concatenate(self.samples) if self.samples else np.zeros(0, np.int16)


def listening(text: str, *ids: str) -> tuple[dict[str, Listener], Played]:
    """Run `text` and listen to some of its stages from the start."""
    listeners = {id: Listener() for id in ids}

    async def tap(pipeline: Pipeline) -> None:
        for id, listener in listeners.items():
            pipeline.tap_output(id, listener)
        await asyncio.Event().wait()

    played = run_virtual(play(text, meanwhile=tap))
    assert played.error is None
    return listeners, played


def test_every_kind_of_stage_can_be_listened_to() -> None:
    heard, _ = listening(EVERYWHERE, "ramp", "twice", "fault", "echo", "collect")
    ramp = np.arange(50 * 960) % 1000
    assert np.array_equal(heard["ramp"].whole(), ramp)
    with_last = np.concatenate([ramp, np.full(960, 7)])
    assert np.array_equal(heard["twice"].whole(), with_last), "inline, several frames and last ones"
    assert np.array_equal(heard["fault"].whole(), with_last), "in a task of its own"
    answered = np.concatenate([-with_last, np.full(3 * 960, 5)])
    assert np.array_equal(heard["echo"].whole(), answered)
    assert np.array_equal(heard["collect"].whole(), whole("collect"))


@pytest.mark.parametrize("fuse", ["true", "false"])
def test_it_hears_what_a_stage_gave_out_before_the_next_one_writes_into_it(fuse: str) -> None:
    text = f"fuse: {fuse}\nstages: [ramp: {{live: true}}, plus: 1, plus: 2, collect]"
    heard, _ = listening(text, "ramp", "plus", "plus2")
    ramp = np.arange(10 * 960) % 1000
    assert np.array_equal(heard["ramp"].whole(), ramp)
    assert np.array_equal(heard["plus"].whole(), ramp + 1)
    assert np.array_equal(heard["plus2"].whole(), ramp + 3)
    assert np.array_equal(whole("collect"), ramp + 3)
    assert heard["plus"].frames[0] is heard["plus2"].frames[0], "by reference"


def test_coming_and_going_changes_no_sample() -> None:
    def come_and_go(pipeline: Pipeline) -> None:
        for id in ("ramp", "twice", "plus", "collect"):
            end = pipeline.tap_output(id, Listener())
            pipeline.tap_output(id, lambda _, end=end: end())  # type: ignore[misc]

    run_virtual(play(LIVE))
    alone = whole("collect")
    meanwhile(LIVE, come_and_go)
    assert np.array_equal(whole("collect"), alone)


def test_listening_ends_when_asked_and_asking_twice_is_harmless() -> None:
    listener, other = Listener(), Listener()

    async def some_of_it(pipeline: Pipeline) -> None:
        end = pipeline.tap_output("ramp", listener)
        pipeline.tap_output("ramp", other)
        await pipeline.clock.sleep_until(0.5)
        end()
        end()

    run_virtual(play(LIVE, meanwhile=some_of_it))
    assert 0 < len(listener.frames) < 50
    assert len(other.frames) == 50


def test_a_listener_hears_the_next_instance_of_a_stage_too() -> None:
    text = """
stages:
  - ramp: {live: true, frames: 10, fail_at: 5}
    on_error: {restart: {backoff_s: [0.01, 0.01]}}
  - collect
"""
    heard, _ = listening(text, "ramp")
    assert len(heard["ramp"].frames) == 15


def test_a_listener_that_raises_is_told_and_called_no_more() -> None:
    calls: list[AudioFrame] = []

    def broken(frame: AudioFrame) -> None:
        calls.append(frame)
        raise OSError("nobody there")

    played = meanwhile(LIVE, lambda pipeline: pipeline.tap_output("twice", broken))
    (failed,) = played.of("plugin.failed")
    assert "broken" in failed.payload()["plugin"]
    assert failed.payload()["error"] == "OSError('nobody there')"
    assert len(calls) == 1
    assert len(whole("collect")) == 51 * 960


def test_listening_to_a_stage_that_there_is_not() -> None:
    def act(pipeline: Pipeline) -> None:
        with pytest.raises(StageError, match="no stage `twce`") as caught:
            pipeline.tap_output("twce", Listener())
        assert caught.value.help == "did you mean `twice`?"

    meanwhile(LIVE, act)
