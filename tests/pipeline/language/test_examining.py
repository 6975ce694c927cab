"""Stages examine themselves: what they find stands at its place, and no kind is known by name."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

from helpers.specimens import HOME, Specimens, understood
from rtpipe import (
    ConfigError,
    EnvironmentProblem,
    Finding,
    Ineffective,
    MachineLook,
    OptionModel,
    Options,
    Remedy,
    Source,
    hookimpl,
)
from rtpipe.catalogue.plugins import Registry
from rtpipe.documents import read_document
from rtpipe.examination import missing_command, missing_file
from rtpipe.language.examining import probe, stages_of
from rtpipe.language.loading import from_text
from rtpipe.testing.examining import examination_findings
from rtpipe.wording.diagnostics import Diagnostic


class LampOptions(Options):
    """A lamp."""

    main = "colour"
    colour: str = "red"
    """Which."""
    lamps: tuple[dict[str, Any], ...] = ()
    """More of them."""
    wiring: dict[str, Any] | None = None
    """How it is wired."""


class Wiring(Options):
    """What only the electrician knows."""

    volts: int = 12
    """V."""


Look = Callable[[LampOptions], Iterable[Any]]


def with_lamp(look: Look) -> Registry:
    """Return a registry with a `lamp` that looks so."""

    class Lamp(Source[LampOptions]):
        kind = "lamp"

        @classmethod
        def examine(cls, options: LampOptions) -> Iterable[Any]:
            return look(options)

    class Lamps:
        @staticmethod
        @hookimpl
        def rtpipe_stages() -> list[type]:
            return [Lamp]

    made = Registry()
    made.register(Specimens(), "specimens")
    made.register(Lamps(), "lamps")
    return made


def found(
    look: Look, text: str, *, machine: bool = True, sets: tuple[str, ...] | list[str] = ()
) -> list[Diagnostic]:
    """Return what is found in stages among which `lamp` looks so."""
    try:
        depth: Any = "machine" if machine else "file"
        loaded = from_text(
            f"version: 1\nstages:\n{text}  - blackhole\n",
            path=HOME,
            registry=with_lamp(look),
            env={},
            examine=depth,
            sets=sets,
        )
    except ConfigError as error:
        return list(error.diagnostics)
    return list(loaded.warnings)


def places(diagnostics: Iterable[Diagnostic]) -> list[tuple[str, int, int]]:
    return [(d.code, d.span.line, d.span.column) for d in diagnostics if d.span is not None]


@pytest.mark.parametrize(
    ("option", "text", "column"),
    [
        ("colour", "  - lamp: {colour: blue}\n", 20),
        ("colour", "  - lamp: blue\n", 11),
        ("colour", "  - lamp\n", 5),
        ("lamps.1.watts", "  - lamp: {lamps: [{watts: 1}, {watts: 2}]}\n", 40),
        ("lamps.1.volts", "  - lamp: {lamps: [{watts: 1}, {watts: 2}]}\n", 32),
        ("lamps.7", "  - lamp: {lamps: []}\n", 19),
        ("", "  - lamp: blue\n", 5),
    ],
)
def test_a_finding_stands_at_its_option(option: str, text: str, column: int) -> None:
    (wrong,) = found(lambda _: [Finding("wrong", "no", option, "do so")], text)
    assert (wrong.message, wrong.help) == ("no", "do so")
    assert places([wrong]) == [("E601", 3, column)]
    (missing,) = found(lambda _: [Finding("missing", "no", option)], text)
    assert places([missing]) == [("E602", 3, column)]


def test_what_this_machine_lacks_is_left_out_where_nobody_asks() -> None:
    def look(options: LampOptions) -> list[Finding]:
        wrong = [Finding("wrong", "no")] if options.colour == "blue" else []
        return [Finding("missing", "no"), Finding("ok", "yes"), Finding("unknown", "eh"), *wrong]

    assert not found(look, "  - lamp\n", machine=False)
    assert [d.code for d in found(look, "  - lamp: blue\n", machine=False)] == ["E601"]


LACKS = {
    "gone": [Finding("missing", "gone", "colour")],
    "dim": [Finding("missing", "dim", "colour", needed=False)],
    "wrong": [Finding("wrong", "wrong", "colour")],
}


@pytest.mark.parametrize(
    ("stage", "fallback", "expected"),
    [
        ("gone", "tone: null", []),
        ("gone", "lamp: fine", []),
        ("gone", "lamp: dim", ["dim"]),
        ("gone", "lamp: gone", ["gone", "gone"]),
        ("gone", "lamp: gone, fallback: tone", []),
        ("fine", "lamp: gone", ["gone"]),
        ("dim", "tone: null", ["dim"]),
        ("wrong", "tone: null", ["wrong"]),
        ("fine", "lamp: wrong", ["wrong"]),
    ],
)
def test_a_fallback_that_lacks_nothing_takes_over(
    stage: str, fallback: str, expected: list[str]
) -> None:
    text = f"  - lamp: {stage}\n    fallback: {{{fallback}}}\n"
    seen = found(lambda options: LACKS.get(options.colour, []), text)
    assert [d.message for d in seen] == expected


def test_an_option_is_checked_by_a_model_that_only_the_examination_knows() -> None:
    def look(_: LampOptions) -> list[OptionModel]:
        return [OptionModel("wiring", Wiring)]

    text = "  - lamp:\n      wiring: {volts: %s}\n"
    assert not found(look, text % "24")
    assert not found(look, "  - lamp\n")
    assert places(found(look, text % "many")) == [("E103", 4, 23)]
    (unknown,) = found(look, "  - lamp: {wiring: {volt: 24}}\n")
    assert places([unknown]) == [("E102", 3, 21)]
    assert unknown.message == "`wiring` has no option `volt`"
    assert unknown.help == "did you mean `volts`?"


def test_a_document_is_told_with_its_own_place_and_line(tmp_path: Path) -> None:
    path = tmp_path / "wiring.yaml"
    path.write_text("volt: 24\n")

    def look(_: LampOptions) -> list[Finding]:
        read_document(path, Wiring, name="wiring")
        return []

    (wrong,) = found(look, "  - lamp\n")
    assert wrong.code == "E102"
    assert wrong.span is not None
    assert (wrong.span.path, wrong.span.line, wrong.source) == (path, 1, "volt: 24")


def test_a_stage_that_fails_to_examine_itself_is_at_fault_and_stops_nobody() -> None:
    def raising(_: LampOptions) -> Iterable[Finding]:
        yield Finding("missing", "no")
        raise ValueError("a short circuit")

    seen = found(raising, "  - lamp: blue\n")
    assert [d.code for d in seen] == ["E602", "E603"]
    assert seen[1].message.startswith(
        "`lamp` could not examine itself: ValueError: a short circuit (test_examining.py:"
    )
    assert [d.code for d in found(raising, "  - lamp\n", machine=False)] == ["E603"]
    (odd,) = found(lambda _: ["no"], "  - lamp\n")
    assert "TypeError: 'no' is no Finding" in odd.message


def test_a_look_at_the_machine_is_taken_where_the_machine_is_asked_for_alone() -> None:
    looks: list[str] = []

    def look(options: LampOptions) -> list[MachineLook]:
        def taken() -> Iterable[Finding]:
            looks.append(options.colour)
            if options.colour == "raising":
                raise EnvironmentProblem("no current")
            if options.colour == "broken":
                raise ValueError("a short circuit")
            yield Finding("missing", "dark", "colour")

        return [MachineLook(taken)]

    (lack,) = found(look, "  - lamp: blue\n")
    assert (places([lack]), lack.message) == ([("E602", 3, 11)], "dark")
    (raised,) = found(look, "  - lamp: raising\n")
    assert (raised.code, raised.message) == ("E602", "no current")
    (broken,) = found(look, "  - lamp: broken\n")
    assert broken.code == "E603"
    assert not found(look, "  - lamp: green\n", machine=False)
    assert not found(look, "  - lamp: red\n    fallback: tone\n")
    assert looks == ["blue", "raising", "broken"]


def test_what_is_hardly_meant_is_a_warning_wherever_the_file_runs() -> None:
    def look(_: LampOptions) -> list[Finding]:
        return [Finding("odd", "there is no blau", "colour", Remedy("did you mean `{}`?", "blue"))]

    (odd,) = found(look, "  - lamp: blau\n", machine=False)
    assert (places([odd]), odd.severity) == ([("E604", 3, 11)], "warning")
    assert odd.fix is not None
    assert odd.fix.applied("version: 1\nstages:\n  - lamp: blau\n").endswith("lamp: blue\n")


IDLE = "version: 1\n{head}stages:\n  - {lamp}\n  - blackhole\n"


@pytest.mark.parametrize(
    ("lamp", "head", "fixed"),
    [
        ("lamp: {colour: red, wiring: {volts: 3}}", "", "lamp: {colour: red}"),
        ("lamp: {wiring: {volts: 3}, colour: red}", "", "lamp: {colour: red}"),
        ("lamp: {wiring: {volts: 3}}", "", "lamp: {}"),
        (
            "lamp:\n      colour: red\n      wiring: {volts: 3}",
            "",
            "lamp:\n      colour: red\n      ",
        ),
        ("lamp:\n      colour: red\n      wiring:\n        volts: 3", "", "by hand"),
        ("lamp: {colour: blue, wiring: {volts: 3}}", "", None),
        ("lamp: {colour: red}", "", None),
        ("lamp: {colour: '${c}', wiring: {volts: 3}}", "vars: {c: red}\n", None),
        (
            "lamp: {colour: red, wiring: {volts: 3}}",
            "profiles: {night: {stages: {lamp: {lamp: {colour: blue}}}}}\n",
            None,
        ),
    ],
)
def test_an_option_without_effect_is_an_error_unless_it_may_have_its_day(
    lamp: str, head: str, fixed: str | None
) -> None:
    def look(options: LampOptions) -> Iterable[Any]:
        if options.colour == "red":
            yield Ineffective("wiring", "red has no wiring", ("colour",), "say `colour: blue`")

    made = with_lamp(look)
    text = IDLE.format(head=head, lamp=lamp)
    if fixed is None:
        from_text(text, path=HOME, registry=made, env={}, examine="file")
        return
    with pytest.raises(ConfigError) as raised:
        from_text(text, path=HOME, registry=made, env={}, examine="file")
    (idle,) = raised.value.diagnostics
    assert (idle.code, idle.label) == ("E120", "has no effect")
    assert idle.help == "leave it out, or say `colour: blue`"
    assert idle.span is not None
    assert text.splitlines()[idle.span.line - 1][idle.span.column - 1 :].startswith("wiring")
    if fixed == "by hand":
        assert idle.fix is None
        return
    assert idle.fix is not None
    assert idle.fix.applied(text) == IDLE.format(head=head, lamp=fixed)
    if "lamp: {}" not in fixed:
        from_text(idle.fix.applied(text), path=HOME, registry=made, env={}, examine="file")


def test_an_option_that_a_set_leaves_without_effect_is_nobodys_mistake() -> None:
    def look(options: LampOptions) -> list[Ineffective]:
        return [Ineffective("wiring", "no", ("colour",))] if options.colour == "red" else []

    assert found(look, "  - lamp: {colour: red, wiring: {}}\n")
    assert not found(look, "  - lamp: {colour: blue, wiring: {}}\n", sets=["lamp.colour=red"])


def test_surroundings_that_lack_something_may_be_raised() -> None:
    def raising(_: LampOptions) -> Iterable[Finding]:
        raise EnvironmentProblem("no current", help="plug it in")

    (lack,) = found(raising, "  - lamp: blue\n")
    assert (lack.code, lack.message, lack.help) == ("E602", "no current", "plug it in")


def test_a_file_and_a_program_are_looked_for_without_opening_them(tmp_path: Path) -> None:
    there = tmp_path / "there.wav"
    there.touch()
    assert not [*missing_file(there, "path"), *missing_command("sh", "command")]
    (absent,) = missing_file(tmp_path / "x.wav", "path")
    (folder,) = missing_file(tmp_path, "path")
    (outside,) = missing_file(tmp_path / "x.pem", "path", status="missing")
    assert [absent.status, folder.status, outside.status] == ["wrong", "wrong", "missing"]
    (program,) = missing_command("no-such-program", "command")
    assert (program.status, program.option) == ("missing", "command")


async def test_surroundings_that_a_probe_lacks_may_be_raised() -> None:
    class Lamp(Source[Options]):
        kind = "lamp"

        @classmethod
        async def probe(cls, options: Options) -> AsyncIterator[Finding]:
            raise EnvironmentProblem("no current", help="plug it in")
            yield

    class Lamps:
        @staticmethod
        @hookimpl
        def rtpipe_stages() -> list[type]:
            return [Lamp]

    made = Registry()
    made.register(Specimens(), "specimens")
    made.register(Lamps(), "lamps")
    spec = understood("version: 1\nstages: [lamp, blackhole]\n", registry=made).spec
    lamp, blackhole = stages_of(spec)
    assert [each async for each in probe(lamp)] == [
        Finding("missing", "no current", help="plug it in", name="lamp")
    ]
    assert not [each async for each in probe(blackhole)]


# -- the conformance kit ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("look", "finding"),
    [
        (lambda: ["no"], "examine() gives 'no', which is no Finding"),
        (lambda: [Finding("bad", "no")], "examine() gives the status 'bad'"),  # type: ignore[arg-type]
        (lambda: [Finding("ok", "yes", "color")], "speaks of the option 'color'"),
        (lambda: 1 / 0, "examine() raised ZeroDivisionError"),
        (lambda: __import__("heavy_of_a_stranger") and [], "examine() imports heavy_of_a_stranger"),
    ],
)
def test_the_kit_finds_an_examination_that_breaks_its_promises(
    look: Callable[[], Any], finding: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "heavy_of_a_stranger.py").write_text("")
    monkeypatch.syspath_prepend(tmp_path)

    class Lamp(Source[LampOptions]):
        kind = "lamp"

        @classmethod
        def examine(cls, options: LampOptions) -> Any:
            return look()

    (told,) = examination_findings(Lamp, LampOptions())
    assert finding in told


def test_the_kit_finds_a_probe_that_returns_instead_of_yielding() -> None:
    class Lamp(Source[Options]):
        kind = "lamp"

        @classmethod
        async def probe(cls, options: Options) -> list[Finding]:  # type: ignore[override]
            return []

    assert list(examination_findings(Lamp, Options())) == [
        "probe() must yield: `async def` with `yield`"
    ]
