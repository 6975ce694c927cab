"""run_stage: one stage alone, in virtual time."""

from pipeline.testing.good_stages import Beep, Count, Echo, Wobble
from rtpipe import AudioFrame, Event, Options, Transform
from rtpipe.testing import run_stage, run_virtual, tone


def test_run_stage_gives_frames_events_and_converts() -> None:
    run = run_virtual(run_stage(Wobble, {"hz": 1}, tone(seconds=1)))
    assert run.samples == 48_000
    run = run_virtual(run_stage(Count, {}, tone(seconds=1, layout="stereo")))
    assert [event.as_dict() for event in run.events] == [
        {"frames": 50, "type": "count.counted", "source": "count", "at": 0.0}
    ]


def test_run_stage_stops_an_endless_source_and_runs_on_virtual_time() -> None:
    run = run_virtual(run_stage(Beep, seconds=0.1))
    assert run.samples == 4800
    run = run_virtual(run_stage(Beep, frame_ms=200))
    assert (run.samples, run.frames[0].samples) == (240_000, 9600)


def test_run_stage_runs_a_peer_over_a_real_link() -> None:
    run = run_virtual(run_stage(Echo, {}, tone(seconds=1)))
    assert run.samples == 48_000
    assert run.statistics.frames_in == run.statistics.frames_out == 50


async def test_steps_between_frames_happen_in_their_order() -> None:
    class Listener(Transform[Options]):
        kind = "listener"

        async def open(self) -> None:
            self.said: list[str] = []
            self.ctx.on("word.*", lambda event: self.said.append(event.type))

        def process(self, frame: AudioFrame) -> AudioFrame:
            self.said.append(f"frame {frame.pts}")
            return frame

    kept: list[Listener] = []
    first, second = tone(seconds=0.04)
    await run_stage(
        Listener,
        {},
        [first, Event(type="word.one"), second, kept.append],
        events=[Event(type="word.zero")],
    )
    assert kept[0].said == ["word.zero", "frame 0", "word.one", "frame 960"]
