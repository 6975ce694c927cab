"""A scripted dialogue, `--script`: what the visitor is taken to say, and what the server answers.

Needs no speech model and leaves nothing to chance: turn by turn, the same each time.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import AfterValidator, Field, model_validator

from rtpipe import InputPath, Options
from rtpipe.documents import read_document
from rtpipe_realtime_server.faults.knobs import Faults, Milliseconds

if TYPE_CHECKING:
    from pathlib import Path

FIRST_HZ = 500.0
STEP_HZ = 50.0
_TONES = 40
_LONGEST_PATTERN = 1000


def turn_hz(number: int) -> float:
    """Return the frequency that tells turn `number` (from 1) apart: 500, 550, … 2450 Hz."""
    return FIRST_HZ + STEP_HZ * ((number - 1) % _TONES)


def _pattern(text: str) -> str:
    if len(text) > _LONGEST_PATTERN:
        raise ValueError(f"a regular expression of at most {_LONGEST_PATTERN} characters")
    try:
        re.compile(text)
    except (re.error, OverflowError, RecursionError) as error:
        raise ValueError(f"no regular expression: {error}") from None
    return text


def _there(path: Path) -> Path:
    if not path.is_file():
        raise ValueError(f"there is no file {path}")
    return path


class SoundOptions(Options):
    """What a turn sounds like: a tone, a file, or a voice."""

    tone_hz: Annotated[float, Field(ge=20, le=20_000)] | None = None
    """Frequency of a tone; without it, and without `wav` and `spoken`, the turn's own."""
    duration_s: Annotated[float, Field(gt=0, le=600)] = 1.0
    """Length of the tone."""
    wav: Annotated[InputPath, AfterValidator(_there)] | None = None
    """A sound file of any format that FFmpeg reads."""
    spoken: bool = False
    """Say the words with the voice of the `speech` brain."""

    @model_validator(mode="after")
    def _one(self) -> SoundOptions:
        if sum((self.tone_hz is not None, self.wav is not None, self.spoken)) > 1:
            raise ValueError("is one of `tone_hz`, `wav` and `spoken`")
        return self


class ScriptedCall(Options):
    """A call of one of the client's functions, as a script has it."""

    name: Annotated[str, Field(min_length=1)]
    """Name of the function, declared by the client or not."""
    arguments: dict[str, Any] | str = Field(default_factory=dict)
    """Its arguments; a text is sent as it is, for what is no JSON."""


class ScriptTurn(Options):
    """One answer of the server, and the visitor's words before it."""

    transcribe: str | None = None
    """What the visitor's speech is taken to be; without it "This is turn N."."""
    transcription: Literal["late", "failed"] | None = None
    """Tell the client those words only after the answer, or never."""
    hear: Annotated[str, AfterValidator(_pattern)] | None = None
    """Regular expression that the visitor's words, spoken or typed, must contain (in any case);
    otherwise the response fails with `script_mismatch`, and the script waits at this turn."""
    think_ms: Milliseconds = 0
    """Time until the answer begins."""
    say: str | None = None
    """The words of the answer; without them "Answer N.", unless the turn calls or fails."""
    sound: SoundOptions = SoundOptions()
    """How it sounds: by default one second of a tone of 450 + 50·N Hz."""
    call: ScriptedCall | None = None
    """A function to call, after what is said; the next turn answers what it returns."""
    fail: Annotated[str, Field(min_length=1)] | None = None
    """Code of the error that the response fails with, after what is said."""
    incomplete: Literal["max_output_tokens", "content_filter"] | None = None
    """Why the response breaks off after what is said."""

    @model_validator(mode="after")
    def _one_end(self) -> ScriptTurn:
        if self.fail is not None and self.incomplete is not None:
            raise ValueError("either fails or is incomplete")
        if self.fail is not None and self.call is not None:
            raise ValueError("either fails or calls")
        return self


class Script(Options):
    """A script file."""

    turns: Annotated[list[ScriptTurn], Field(min_length=1)]
    """Followed in this order by all calls together; after the last it begins again."""
    faults: Faults = Faults()
    """What goes wrong; `--fault` comes on top."""

    @property
    def speaks(self) -> bool:
        """Whether a turn wants the voice of the `speech` brain."""
        return any(turn.sound.spoken for turn in self.turns)


def load_script(path: Path) -> Script:
    """Return what a script file holds.

    Raises:
        ConfigError: With everything that is wrong in it, and where.
    """
    return read_document(path, Script, name="script")
