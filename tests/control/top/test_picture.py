"""The picture of a recorded run, at every size."""

from __future__ import annotations

import unicodedata
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len

from helpers.recorded_run import kiosk, text
from rtpipe_control.commands.top.cells import wrapped
from rtpipe_control.commands.top.look import Look
from rtpipe_control.commands.top.picture import picture
from rtpipe_control.commands.top.state import Said, State, Wait

HERE = Path(__file__).parent
LOST: dict[str, Any] = {
    "id": "device mic",
    "stage": "mic",
    "text": 'The microphone "USB PnP" is gone.',
    "since": 6.6,
    "goes_on": "Everything else goes on: in its place there is silence.",
    "steps": ["Plug it in again: it is taken back by itself.", "Or take another one."],
    "choice": {"action": "mic.use", "values": ["HDA"]},
}


def broken() -> State:
    """The kiosk whose microphone was pulled out."""
    state = kiosk()
    mic = state.stages["mic"]
    mic.update(kind="mic", wanted=None, ended=False, options={"device": "USB PnP"})
    mic["actions"] = [{"name": "use", "why_not": ""}, {"name": "devices", "why_not": ""}]
    state.condition = {
        "text": "Nobody can be heard.",
        "why": "The microphone is gone; rtpipe waits for it.",
        "tone": "fault",
        "sign": "lost",
        "since": 6.6,
        "alerts": [LOST],
    }
    state.facts["mic", "lost"] = {"device": "USB PnP", "at": state.now - 14}
    return state


@pytest.mark.parametrize(("width", "height"), [(80, 24), (120, 40)])
def test_a_recorded_run_looks_as_it_did_when_a_person_liked_it(width: int, height: int) -> None:
    expected = (HERE / f"kiosk-{width}x{height}.txt").read_text("utf-8")
    assert text(kiosk(), Look(), width, height) + "\n" == expected


HOSTILE = (
    "日本語の長い説明文",
    "👩\u200d👩\u200d👧 family ❤\ufe0f",
    "\x1b[31mred\x1b]0;title\x07\x9b",
    "a\nb\tc",
    "\u202eright to left",
    "e\u0301" * 40,
    "w" * 300,
)

looks = st.builds(
    Look,
    selected=st.sampled_from(["", "mic", "realtime", "recorder"]),
    talking=st.booleans(),
    warnings=st.booleans(),
    keys=st.booleans(),
    match=st.sampled_from(["", "turn.*", "日本", "nothing"]),
    said=st.sampled_from([("", False), (HOSTILE[2], True), (HOSTILE[0], False)]),
    ascii=st.booleans(),
)


@settings(max_examples=150, deadline=None)
@given(
    width=st.integers(1, 200),
    height=st.integers(1, 70),
    look=looks,
    foreign=st.sampled_from(HOSTILE),
    fault=st.booleans(),
    quiet_s=st.sampled_from([0.0, 6.0]),
    gone=st.booleans(),
)
def test_no_line_is_wider_than_the_terminal_and_none_steers_it(
    width: int, height: int, *, look: Look, foreign: str, fault: bool, quiet_s: float, gone: bool
) -> None:
    state = broken() if fault else kiosk()
    state.quiet_s, state.gone = quiet_s, foreign if gone else ""
    state.about["run"] = foreign
    state.said["f"] = Said("f", "desk", 20.0, foreign * 3, whole=True)
    state.stages["gain"]["gauge"] = foreign
    state.stages["vad"]["wanted"] = {"stage": foreign, "reason": foreign}
    state.condition["why"] = foreign
    event = {**state.events[-1], "line": foreign, "source": foreign, "importance": "warning"}
    state.take("event", event)
    lines = picture(state, look, width, height)
    assert len(lines) <= height
    for line in lines:
        written = "".join(span.text for span in line)
        assert cell_len(written) <= width, written
        assert not any(unicodedata.category(each) in {"Cc", "Cf", "Cs"} for each in written)
        assert written.isascii() or not look.ascii


@pytest.mark.parametrize(
    ("width", "height"), [(w, h) for w in (40, 66, 80, 99, 120) for h in (10, 15, 24, 40)]
)
def test_what_matters_is_there_at_every_size(width: int, height: int) -> None:
    lines = text(broken(), Look(), width, height).split("\n")
    assert len(lines) == height
    assert "✕ NOBODY CAN BE" in lines[0]
    row = next(number for number, line in enumerate(lines) if line.startswith(" mic"))
    assert " ✕ " in lines[row]
    assert "gone 14 s" in lines[row]
    assert "└ Plug it in again" in lines[row + 1]
    assert lines[-1].endswith("q quit")
    assert any("visitor  And where is" in line for line in lines) or height < 15


def test_a_small_terminal_shows_the_sentence_what_is_wrong_and_the_keys() -> None:
    lines = text(broken(), Look(), 34, 5).split("\n")
    assert lines[0].startswith(" kiosk   ✕ NOBODY CAN BE HEARD")
    assert lines[1].startswith(" ✕ mic: USB PnP, gone 14 s")
    assert lines[-1].endswith("q quit")


def test_columns_go_in_the_written_order() -> None:
    heads = [
        next(line for line in text(kiosk(), Look(), width, 24).split("\n") if "STAGE" in line)
        for width in range(120, 39, -1)
    ]
    gone = [
        next((number for number, head in enumerate(heads) if word not in head), len(heads))
        for word in ("WHY", "GIVES OUT", "QUEUE", "LOST")
    ]
    assert gone == sorted(gone)
    assert gone[-1] == len(heads)


def test_what_a_device_key_can_do_is_said_beside_the_loss() -> None:
    assert "it is taken back by itself · d another one" in text(broken(), Look(), 100, 24)
    lines = picture(broken(), Look(), 100, 24)
    assert any(span.style == "fault" and "✕" in span.text for line in lines for span in line)


def test_old_data_is_grey_and_line_1_says_since_when() -> None:
    state = kiosk()
    state.quiet_s = 6.2
    first, *rest = picture(state, Look(), 80, 24)
    assert "NO NEWS FOR 6 S" in "".join(span.text for span in first)
    assert {span.style for line in rest for span in line} == {"dim"}


def test_a_lost_frame_is_counted_where_it_was_lost() -> None:
    state = kiosk()
    link = next(link for link in state.links if link["to"] == "speaker")
    link.update(dropped_ms=300.0, trimmed_ms=40.0, depth_ms=9000.0)
    row = next(line for line in text(state, Look(), 80, 24).split("\n") if " speaker" in line)
    assert row.split()[-2:] == ["9000/10000", "340"]
    assert "speaker" in text(state, Look(), 40, 10), "what is not well does not fold"


def test_a_wait_is_drawn_in_its_parts_and_says_what_grew() -> None:
    def wait(at: float, **parts: float) -> Wait:
        all_parts = dict.fromkeys(("device", "dsp", "queue", "jitter", "playout"), 0.0) | parts
        return Wait(at, sum(parts.values()), all_parts)

    state = kiosk()
    state.waits = [
        wait(5.8, hangover=500.0, network=100.0, model=550.0),
        wait(17.5, hangover=500.0, network=120.0, model=707.0),
    ]
    shown = text(state, Look(), 80, 24)
    assert " 00:05.8  1.15 s   ╱╱╱╱╱╱╱╱╱╱▒▒███████████\n" in shown
    assert " 00:17.5  1.33 s   ╱╱╱╱╱╱╱╱╱╱▒▒███████████████  model +157, network +20" in shown
    assert "one cell 50 ms" in shown
    state.waits.append(wait(30.0, hangover=500.0, network=100.0, model=3000.0))
    shown = text(state, Look(), 80, 24)
    assert "one cell 100 ms" in shown
    assert "╱╱╱╱╱▒" + "█" * 30 in shown


def test_what_has_not_sounded_yet_is_dim() -> None:
    state = kiosk()
    piece = {"type": "transcript_delta.assistant", "source": "realtime", "importance": "detail"}
    ids = {"item_id": "i", "response_id": "r", "line": "", "at": 21.0}
    for delta in ("The café is ", "on the ground floor"):
        state.take("event", {**piece, **ids, "delta": delta})
    heard = {**piece, **ids, "type": "turn.answer_heard", "heard_ms": 300, "heard_chars": 8}
    state.take("event", heard)
    lines = picture(state, Look(), 80, 24)
    line = next(line for line in lines if "The café" in [span.text for span in line])
    assert [tuple(span) for span in line[-2:]] == [
        ("The café", ""),
        (" is on the ground floor", "dim"),
    ]
    whole = {
        **piece,
        **ids,
        "type": "transcript.assistant",
        "text": "The café is here.",
        "interrupted": True,
    }
    state.take("event", whole)
    state.take("event", {**heard, "heard_chars": 17})
    assert "The café is here.… interrupted" in text(state, Look(), 80, 24)


def test_fifty_stages_fold_and_the_one_in_trouble_stays() -> None:
    state = broken()
    state.stages = {
        f"gain{n}": {**state.stages["gain"], "id": f"gain{n}"} for n in range(50)
    } | state.stages
    shown = text(state, Look(), 80, 24)
    assert " mic       ✕ USB PnP" in shown
    assert " well" in shown


def test_events_are_matched_and_held() -> None:
    state = kiosk()
    shown = text(state, Look(match="turn.*"), 120, 40)
    assert "turn.answer_started" in shown
    assert "EVENTS  " in shown
    assert "rate_limits" not in shown
    held = [*state.events][:5]
    assert "  held" in text(state, Look(held=held), 120, 40)


def test_words_wrap_between_words_and_a_long_one_within() -> None:
    assert wrapped("one two three", 7) == ["one two", "three"]
    assert wrapped("日本語日本語", 5) == ["日本", "語日", "本語"]
    assert wrapped("", 5) == [""]


def test_before_anything_is_known_it_says_what_it_does() -> None:
    state = State()
    assert text(state, Look(), 80, 24) == " Looking…\n q quit"
    state.take("gone", {"reason": "no pipeline `kiosk` runs here"})
    assert text(state, Look(), 80, 24).startswith(
        " no pipeline `kiosk` runs here; it is looked for"
    )
