from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
from ruamel.yaml import YAML

from rtpipe import ConfigError
from rtpipe_realtime_server.brains import rules as rules_module
from rtpipe_realtime_server.brains.desk import Desk, load_desk, spoken_time
from rtpipe_realtime_server.brains.rules import words
from rtpipe_realtime_server.talk.brain import BrainAnswer, FunctionCall, Question, ToolOutput

if TYPE_CHECKING:
    from pathlib import Path


def answer(desk: Desk, heard: str, instructions: str = "") -> str:
    return desk.reply(Question(heard, instructions)).words


ASKED = [
    ("the café", "And where is the cafe, please?"),
    ("the café", "WHERE'S THE CAFÉ"),
    ("the café", "where can i get a coffee"),
    ("the café", "are there any cafes"),
    ("the café", "is there a caffe here"),
    ("the café", "When does the café close?"),
    ("tickets", "How much are the tickets?"),
    ("tickets", "what does it cost"),
    ("tickets", "are there student prices"),
    ("opening hours", "Hello! What are your opening hours today?"),
    ("opening hours", "what time do you close"),
    ("opening hours", "Good morning, hello, are you open on Monday"),
    ("the toilets", "Excuse me, where are the toilets?"),
    ("the toilets", "I need the men's room."),
    ("the lift", "Is there an elevator?"),
    ("the lift", "Do you have step-free access?"),
    ("the exhibitions", "Which exhibitions do you have?"),
    ("the exhibitions", "We came for the dinosaurs"),
    ("the time", "What time is it?"),
    ("the time", "Do you have the time?"),
    ("the way", "I am lost."),
    ("goodbye", "Thank you, goodbye!"),
    ("goodbye", "Thanks, good bye."),
    ("thanks", "Thank you very much."),
    ("thanks", "Thank you for having me here."),
    ("a greeting", "Hello."),
    ("a greeting", "Good evening!"),
]


@pytest.mark.parametrize(("about", "heard"), ASKED)
def test_a_question_finds_its_rule(about: str, heard: str) -> None:
    rule = load_desk().rule_for(heard)

    assert rule is not None
    assert rule.about == about


@pytest.mark.parametrize(
    "heard",
    ["Do you sell umbrellas?", "My prime safe is here with the clothes.", "whereas", "", "?!"],
)
def test_what_no_rule_is_about_finds_none(heard: str) -> None:
    assert load_desk().rule_for(heard) is None


def test_no_phrase_is_shadowed_by_an_earlier_rule() -> None:
    desk = load_desk()
    rules = YAML().load(rules_module.RULES.read_text("utf-8"))["rules"]
    phrases = [(rule["about"], phrase) for rule in rules for phrase in rule["any"]]

    found = [(desk.rule_for(phrase.replace("*", "")), phrase) for _, phrase in phrases]

    assert [(rule.about, phrase) for rule, phrase in found if rule] == phrases


def test_words_of_a_phrase_must_stand_together() -> None:
    desk = load_desk()

    assert desk.rule_for("how much") is not None
    assert desk.rule_for("much, and how") is None


def test_answers_are_taken_in_turn_and_are_the_same_for_every_desk() -> None:
    desk, twin = load_desk(), load_desk()

    answers = [answer(desk, "how much is a ticket") for _ in range(3)]

    assert answers[0] != answers[1]
    assert answers[0] == answers[2]
    assert answers == [answer(twin, "how much is a ticket") for _ in range(3)]


def test_the_time_is_the_time() -> None:
    desk = load_desk(now=lambda: datetime(2026, 11, 22, 15, 25, tzinfo=UTC))

    assert answer(desk, "What time is it?") == "It is 3:25 in the afternoon."


def test_the_desk_has_a_clock_of_its_own() -> None:
    before = datetime.now(tz=UTC).astimezone()
    told = answer(load_desk(), "What time is it?")
    after = datetime.now(tz=UTC).astimezone()

    assert told in {f"It is {spoken_time(moment)}." for moment in (before, after)}


@pytest.mark.parametrize(
    ("hour", "minute", "spoken"),
    [
        (0, 0, "12:00 at night"),
        (4, 59, "4:59 at night"),
        (5, 0, "5:00 in the morning"),
        (11, 59, "11:59 in the morning"),
        (12, 5, "12:05 in the afternoon"),
        (18, 0, "6:00 in the evening"),
        (21, 59, "9:59 in the evening"),
        (23, 7, "11:07 at night"),
    ],
)
def test_a_time_is_spoken_naturally(hour: int, minute: int, spoken: str) -> None:
    assert spoken_time(datetime(2026, 1, 1, hour, minute, tzinfo=UTC)) == spoken


@pytest.mark.parametrize(
    ("heard", "quoted"),
    [
        ("Do you sell umbrellas?", "I heard: Do you sell umbrellas? I can tell"),
        ("  umbrellas\n", "I heard: umbrellas. I can tell"),
        ("one two three four five six seven eight nine ten eleven", "nine ten\u2026 I can tell"),
        ("{time} {nothing}", "I heard: {time} {nothing}. I can tell"),
    ],
)
def test_without_an_answer_the_desk_says_what_it_heard(heard: str, quoted: str) -> None:
    assert quoted in answer(load_desk(), heard)


@pytest.mark.parametrize("heard", ["", " ", "...", "?!"])
def test_silence_has_an_answer(heard: str) -> None:
    assert answer(load_desk(), heard).startswith("I did not catch that.")


def test_words_are_plain() -> None:
    assert words("Where's the Café — the \u201ccaf\u00e9\u2019s\u201d 2nd floor?") == [
        *("wheres", "the", "cafe", "the", "cafes", "2nd", "floor"),
    ]


OWN = """\
rules:
  - about: parrots
    any: [parrot, "polly*"]
    say: [Pieces of eight!]
otherwise: [Arr.]
silence: [Speak up!]
"""


def own(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def test_a_user_brings_rules(tmp_path: Path) -> None:
    desk = load_desk(own(tmp_path / "own.yaml", OWN))

    assert answer(desk, "Two parrots!") == "Pieces of eight!"
    assert answer(desk, "pollyanna") == "Pieces of eight!"
    assert answer(desk, "What are your opening hours?") == "Arr."
    assert answer(desk, "") == "Speak up!"


@pytest.mark.parametrize(
    ("was", "becomes", "line", "message"),
    [
        ("say: [Pieces", "says: [Pieces", 4, "`rules.0` of `desk` has no option `says`"),
        ("[Pieces of eight!]", "Pieces of eight!", 4, '`rules.0.say` of `desk` cannot be "Pieces'),
        ("[Pieces of eight!]", "[]", 4, "`rules.0.say` of `desk` cannot be []"),
        ("[Pieces of eight!]", '["It is {tiem}."]', 4, "there is no {tiem}"),
        ("[Pieces of eight!]", '["..."]', 4, "needs at least one word"),
        ("[parrot,", "[7,", 3, "`rules.0.any.0` of `desk` cannot be 7"),
        ("[parrot,", '["",', 3, "needs at least one word"),
        ("otherwise", "otherwize", 5, "`desk` has no option `otherwize`"),
        (OWN, "- parrots", 1, "a desk is a mapping, and this is a list"),
        ("    say", "    call: {tool: ''}\n    say", 4, "`rules.0.call.tool` of `desk` cannot be"),
        (
            "    say",
            "    call: {tool: count, say: ['{outputs}']}\n    say",
            4,
            "may hold {time} and {heard} and {output}",
        ),
    ],
)
def test_a_mistake_is_shown_where_it_stands(
    tmp_path: Path, was: str, becomes: str, line: int, message: str
) -> None:
    assert was in OWN
    path = own(tmp_path / "own.yaml", OWN.replace(was, becomes))

    with pytest.raises(ConfigError) as caught:
        load_desk(path)

    first = caught.value.diagnostics[0]
    assert message in first.message
    assert first.span is not None
    assert (first.span.path, first.span.line) == (path, line)


def test_a_very_long_turn_is_answered(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []
    monkeypatch.setattr(rules_module, "_stands_in", lambda _, heard: seen.append(len(heard)))

    assert isinstance(load_desk(), Desk)
    assert answer(load_desk(), "lorem " * 100_000).startswith("I heard: lorem lorem")
    assert max(seen) < 100


def test_it_says_what_it_is_told_to_say_word_for_word() -> None:
    desk = load_desk()
    assert answer(desk, "", "Say exactly this and nothing else: Good day: come in!") == (
        "Good day: come in!"
    )
    assert answer(desk, "thanks", "Be brief.") == "You are welcome. Enjoy your visit!"


HOURS = {"type": "function", "name": "get_opening_hours", "description": None}


def test_a_function_that_the_client_has_is_called_before_the_answer() -> None:
    desk = load_desk()
    heard = "When do you open?"
    assert desk.reply(Question(heard, tools=(HOURS,))) == BrainAnswer(
        calls=(FunctionCall("get_opening_hours"),)
    )
    returned = ToolOutput("get_opening_hours", "{}", "From nine to noon.")
    assert desk.reply(Question(heard, tools=(HOURS,), outputs=(returned,))).words == (
        "From nine to noon."
    )


@pytest.mark.parametrize("tools", [(), ({**HOURS, "name": "open_the_door"},)])
def test_a_client_without_the_function_gets_the_rules_own_answer(
    tools: tuple[dict[str, object], ...],
) -> None:
    assert "from ten" in load_desk().reply(Question("When do you open?", tools=tools)).words


def test_what_a_function_returned_is_said_in_the_rules_words(tmp_path: Path) -> None:
    call = "call: {tool: count, arguments: {kind: ara}, say: ['There are {output}, {time}.']}"
    desk = load_desk(own(tmp_path / "own.yaml", OWN.replace("    say", f"    {call}\n    say")))
    parrots = {**HOURS, "name": "count"}
    asked = desk.reply(Question("Parrots?", tools=(parrots,)))
    assert asked.calls == (FunctionCall("count", {"kind": "ara"}),)
    for name, output, said in (
        ("count", "seven", "There are seven, "),
        ("other", "seven", "seven"),
        ("count", " ", "There are That is done., "),
    ):
        outputs = (ToolOutput(name, "{}", output),)
        assert desk.reply(Question("Parrots?", outputs=outputs)).words.startswith(said)


def test_a_call_that_the_client_demands_has_the_least_arguments_of_its_schema() -> None:
    schema = {
        "type": "object",
        "properties": {
            "city": {"type": "string"},
            "unit": {"enum": ["celsius", "fahrenheit"]},
            "days": {"type": "integer", "default": 3},
            "where": {"anyOf": [{"type": "array"}, {"type": "null"}]},
            "at": {"type": ["number", "null"]},
            "box": {"type": "object", "required": ["open"], "properties": {
                "open": {"type": "boolean"}, "colour": {"type": "string"}}},
            "optional": {"type": "string"},
        },
        "required": ["city", "unit", "days", "where", "at", "box"],
    }  # fmt: skip
    tools = ({**HOURS, "name": "get_weather", "parameters": schema}, HOURS)
    asked = load_desk().reply(Question("Hello!", tools=tools, must_call=True))
    arguments = {"city": "", "unit": "celsius", "days": 3, "where": [], "at": 0,
                 "box": {"open": False}}  # fmt: skip
    assert asked == BrainAnswer(calls=(FunctionCall("get_weather", arguments),))
    returned = (ToolOutput("get_weather", "{}", "Rain."),)
    told = load_desk().reply(Question("Hello!", tools=tools, must_call=True, outputs=returned))
    assert told.words == "Rain."


@pytest.mark.parametrize("must_call", [True, False])
def test_a_demand_without_a_function_is_answered_in_words(*, must_call: bool) -> None:
    assert load_desk().reply(Question("Hello!", must_call=must_call)).words
