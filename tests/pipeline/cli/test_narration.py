"""Event.line, Event.importance: what a person is told of an event, on the terminal as in a log."""

from __future__ import annotations

import io
import logging
from dataclasses import dataclass
from typing import Any

import pytest

from helpers.actors import registry
from rtpipe import Event, Importance, Options, Sink, hookimpl
from rtpipe.audio import AudioFrame
from rtpipe.catalogue.describe import describe_event, describe_events, describe_stage
from rtpipe.cli.display import Display, DisplayHandler, Screen
from rtpipe.cli.narration import Narrator
from rtpipe.cli.output import Output
from rtpipe.events import (
    StageFailed,
    StageFellBack,
    StageStatusChanged,
    StageUnwell,
    attributed_line,
)


@dataclass(frozen=True, kw_only=True)
class Overheated(Event):
    importance = Importance.WARNING
    type: str = "amplifier.overheated"
    celsius: float

    def line(self) -> str:
        return f"is too hot:\n{self.celsius:.0f} °C"


@dataclass(frozen=True, kw_only=True)
class Spoken(Event):
    importance = Importance.NOTICE
    speaker = "visitor"
    type: str = "ear.heard"
    text: str

    def line(self) -> str:
        return self.text


@dataclass(frozen=True, kw_only=True)
class Slip(Event):
    importance = Importance.ERROR
    type: str = "amplifier.failed"
    volts: float = 2.5

    def line(self) -> Any:
        return f"{1 / 0}"


@dataclass(frozen=True, kw_only=True)
class Silent(Slip):
    def line(self) -> Any:
        return None


def shown(*events: Event, mask: str = "sk-1") -> tuple[str, str]:
    """Return what `run` prints to stdout and to stderr."""
    out, err = io.StringIO(), io.StringIO()
    display = Display(Screen(Output(out), Output(err)), lambda text: text.replace(mask, "***"))
    for event in events:
        display.hear(event)
    return out.getvalue(), err.getvalue()


def test_without_a_line_of_its_own_an_event_is_its_type_and_its_plain_values() -> None:
    event = Event(type="x.y", source="x")
    assert attributed_line(event) == ("x", "x.y")
    fell = StageFellBack(source="mic", wanted="mic", used="w" * 200, reason="no\ndevice")
    assert Event.line(fell) == f"stage.fell_back wanted=mic used={'w' * 119}… reason=no device"


def test_a_line_is_one_line_and_no_novel() -> None:
    assert attributed_line(Overheated(source="amp", celsius=71.4)) == ("amp", "is too hot: 71 °C")
    assert len(attributed_line(StageFailed(error="no " * 999, policy="fail"))[1]) == 400


def test_what_is_said_is_not_shortened_and_its_speaker_says_it() -> None:
    assert attributed_line(Spoken(source="rt", text="well " * 200)) == (
        "visitor",
        ("well " * 200).strip(),
    )


@pytest.mark.parametrize("event", [Slip(source="amp"), Silent(source="amp")])
def test_a_line_that_raises_or_is_none_is_replaced(event: Event) -> None:
    assert attributed_line(event) == ("amp", "amplifier.failed volts=2.5")
    assert shown(event)[1].endswith("amp  amplifier.failed volts=2.5\n")


def test_fields_may_have_the_names_of_what_the_class_says_of_itself() -> None:
    @dataclass(frozen=True, kw_only=True)
    class Turn(Event):
        type: str = "diary.turn"
        line: int = 3  # type: ignore[assignment] # a stranger's event from before lines
        speaker: str
        importance: float

    turn = Turn(source="diary", speaker="left", importance=0.5)
    assert attributed_line(turn)[0] == "diary"
    assert shown(turn) == ("", "")


def test_an_importance_that_is_none_is_refused_where_the_class_is_written() -> None:
    with pytest.raises(TypeError, match=r"Loud\.importance must be an rtpipe\.Importance"):

        class Loud(Event):
            importance = "warning"  # type: ignore[assignment]


def test_the_terminal_shows_by_importance_and_conversation_on_stdout() -> None:
    out, err = shown(
        StageStatusChanged(source="mic", status="ok"),
        StageUnwell(source="mic", status="failed"),
        Spoken(source="rt", at=61.25, text="Hello"),
        Overheated(source="amp", at=2, celsius=70),
    )
    assert out == "01:01.2   visitor  Hello\n"
    assert err == "00:02.0       amp  is too hot: 70 °C\n"


def test_a_secret_in_an_event_is_not_shown() -> None:
    assert "dial sk" not in "".join(shown(StageFailed(error="cannot dial sk-1", policy="fail")))


def test_the_same_trouble_many_times_a_second_is_one_line_a_second() -> None:
    def failed(at: float, error: str = "bad frame") -> StageFailed:
        return StageFailed(source="gain", at=at, error=error, policy="drop")

    many = [failed(number * 0.02) for number in range(101)]
    assert shown(*many)[1].count("\n") == 3
    assert shown(failed(0.0), failed(0.1, "another"))[1].count("\n") == 2
    said = [Spoken(text="yes", at=0.0), Spoken(text="yes", at=0.1)]
    assert shown(*said)[0].count("\n") == 2


def test_a_record_about_an_event_that_the_terminal_shows_is_not_printed_again() -> None:
    err = io.StringIO()
    handler = DisplayHandler(Screen(Output(io.StringIO()), Output(err)))
    for importance in Importance:
        about = {"msg": importance.name, "event_importance": importance}
        handler.handle(logging.makeLogRecord(about))
    handler.handle(logging.makeLogRecord({"msg": "no event"}))
    assert err.getvalue().split() == ["DETAIL", "INFO", "no", "event"]


def test_the_catalogue_names_the_importance_of_every_class_of_a_name() -> None:
    listed = {event["type"]: event for event in describe_events(registry())}
    assert listed["stage.failed"]["importance"] == ["error"]
    assert listed["stage.status_changed"]["importance"] == ["detail", "info"]
    assert describe_event("response.*")["importance"] == ["info"]


def test_two_classes_of_one_name_are_one_event_of_a_stage() -> None:
    class Amplifier(Sink[Options]):
        kind = "amplifier"
        publishes = (Slip, Overheated, Silent)

        async def consume(self, frame: AudioFrame) -> None:
            raise NotImplementedError

    class Plugin:
        @hookimpl
        def rtpipe_stages(self) -> list[Any]:
            return [Amplifier]

    made = registry()
    made.register(Plugin())
    assert [event["type"] for event in describe_stage(Amplifier)["events"]] == [
        "amplifier.failed",
        "amplifier.overheated",
    ]
    listed = {event["type"]: event for event in describe_events(made)}
    assert listed["amplifier.failed"]["published_by"] == ["amplifier"]


def test_the_status_goes_on_beside_the_lines() -> None:
    narrator = Narrator()
    assert narrator.line(Event(type="mute_gate.closed", source="gate")) is None
    assert narrator.gate == "closed"
