"""The stage of a test: what stands in the place of devices, servers and programs."""

from __future__ import annotations

import json
import wave
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import rtpipe
from rtpipe import ConfigError, Source, StageSpec
from rtpipe.stage import Peer
from rtpipe.testing import isolated, moved, swallowed
from rtpipe_test.failing import Failure, failing
from rtpipe_test.section import cases_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from rtpipe import Pipeline, PipelineSpec
    from rtpipe.documents import Section

_RATE = 48_000
_MODEL = "realtime"
"""The kind whose server a test replaces by one in this process."""


class Choices(Protocol):
    """What stands beside the file: `--set`, `--profile`, `--trust`."""

    @property
    def sets(self) -> tuple[str, ...]: ...  # noqa: D102 - see above

    @property
    def profile(self) -> str | None: ...  # noqa: D102

    @property
    def trust(self) -> bool: ...  # noqa: D102


class Staging:
    """Makes a test's pipeline, which touches nothing outside a folder of its own.

    Args:
        file: The pipeline file.
        section: Its tests.
        number: Which of them.
        folder: An empty one: everything that is written goes there.
        asked: What stands beside it on the command line.

    Attributes:
        failures: What can be made to fail, by id.
    """

    def __init__(
        self, file: Path, section: Section, number: int, folder: Path, asked: Choices
    ) -> None:
        self._file = file
        self._section = section
        self._number = number
        self._case = cases_of(section)[number]
        self._folder = folder
        self._home = file.parent.absolute()
        self._asked = asked
        self.failures = {step.fail: Failure() for step in self._case.do if step.fail is not None}

    def pipeline(self) -> Pipeline:
        """Return the pipeline.

        Raises:
            ConfigError: It cannot be had without what is outside.
        """
        played = list(self._played())
        if played:
            self._check_played({stage.id for stage in self._load([], None).spec.stages})
        first = self._load(played, None)
        answered = [*played, *self._answered(first.spec)]
        return self._load([*answered, *swallowed(first.spec)], self._revised)

    def written(self, named: str) -> Path:
        """Return where a file of the test's is that its stage calls `named`."""
        return moved(Path(self._home, named), self._home, self._folder)

    def _load(self, sets: list[str], revise: Any) -> Pipeline:
        return rtpipe.load(
            self._file,
            sets=[*self._asked.sets, *sets],
            profile=self._asked.profile,
            trust=self._asked.trust,
            variant=("tests", "cases", self._number),
            revise=revise,
        )

    def _played(self) -> Iterator[str]:
        for id, pieces in self._case.play.items():
            path = self._folder / f"{id}.play.wav"
            try:
                _write(path, pieces)
            except (OSError, ValueError) as error:
                raise self._refused(("play", id), f"`play` cannot be made: {error}") from error
            yield f"{id}={json.dumps({'file': {'path': str(path), 'realtime': True}})}"

    def _answered(self, spec: PipelineSpec) -> Iterator[str]:
        models = [stage for stage in spec.stages if stage.kind == _MODEL]
        if not models:
            return
        script = self._case.answers
        if script is None:
            if all(_is_in_memory(stage) for stage in models):
                return
            raise self._refused(
                (),
                f"nobody answers for `{models[0].id}`: a test calls no server",
                help="let a script answer: `answers: [{transcribe: Hello., say: Good morning.}]`",
            )
        if not isinstance(script, Path):
            turns = [self._turn(turn) for turn in script]
            script = self._folder / "answers.yaml"
            script.write_text(json.dumps({"turns": turns}, indent=1), "utf-8")
        options = {"provider": "embedded", "transport": "memory", "script": str(script)}
        for stage in models:
            for name, value in options.items():
                yield f"{stage.id}.{name}={json.dumps(value)}"
            if self._case.faults:
                yield f"{stage.id}.faults={json.dumps(self._case.faults)}"

    def _turn(self, turn: Mapping[str, Any]) -> dict[str, Any]:
        """Return a turn of the script with the path of its sound made to start from the file."""
        sound = turn.get("sound")
        if isinstance(sound, dict) and isinstance(sound.get("wav"), str):
            sound = {**sound, "wav": str(self._home / sound["wav"])}
            return {**turn, "sound": sound}
        return dict(turn)

    def _revised(self, spec: PipelineSpec) -> PipelineSpec:
        for stage in spec.stages:
            self._check_inside(stage)
        self._check_ids({stage.id for stage in spec.stages})
        stages = tuple(
            replace(stage, stage_type=failing(stage.stage_type, self.failures[stage.id]))
            if stage.id in self.failures
            else stage
            for stage in spec.stages
        )
        return isolated(replace(spec, stages=stages), self._home, self._folder)

    def _check_played(self, known: set[str]) -> None:
        for id in self._case.play:
            if id not in known:
                help = f"there are {', '.join(sorted(known))}"
                raise self._refused(("play", id), f"there is no stage `{id}`", help=help)

    def _check_ids(self, known: set[str]) -> None:
        """Refuse a step or an expectation about a stage that there is not."""
        named: list[tuple[str | None, tuple[str | int, ...]]] = [
            (step.fail, ("do", number, "fail")) for number, step in enumerate(self._case.do)
        ]
        named += [
            (getattr(expected, key), ("expect", number, key))
            for number, expected in enumerate(self._case.expect)
            for key in ("sound", "silence", "of")
        ]
        for id, place in named:
            if id is not None and id not in known:
                help = f"there are {', '.join(sorted(known))}"
                raise self._refused(place, f"there is no stage `{id}`", help=help)

    def _check_inside(self, stage: StageSpec) -> None:
        if not stage.stage_type.external or _is_in_memory(stage):
            return
        if issubclass(stage.stage_type, Source):
            help = f"let it play something: `play: {{{stage.id}: [1.0, audio/question.wav, 2.0]}}`"
        else:
            help = f"put another in its place: `stages: {{{stage.id}: {{gain: 0}}}}`"
        message = f"`{stage.id}` needs what is outside: a test has no {stage.kind}"
        raise self._refused((), message, help=help)

    def _refused(
        self, path: tuple[str | int, ...], message: str, help: str | None = None
    ) -> ConfigError:
        place = ("cases", self._number, *(path or ("name",)))
        return ConfigError([self._section.finding("E802", message, place, help=help)])


def _is_in_memory(stage: StageSpec) -> bool:
    return (
        issubclass(stage.stage_type, Peer) and getattr(stage.options, "transport", "") == "memory"
    )


def _write(path: Path, pieces: tuple[float | Path, ...]) -> None:
    """Write silence and sound files, one after another, as 48 kHz mono."""
    import av

    with wave.open(str(path), "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(_RATE)
        for piece in pieces:
            if not isinstance(piece, Path):
                out.writeframes(bytes(2 * round(piece * _RATE)))
                continue
            resampler = av.AudioResampler("s16", "mono", _RATE)
            with av.open(str(piece)) as file:
                if not file.streams.audio:
                    raise ValueError(f"{piece} has no audio")
                for frame in [*file.decode(audio=0), None]:
                    for made in resampler.resample(frame):
                        out.writeframes(bytes(made.planes[0])[: 2 * made.samples])
