"""FFmpeg's filtergraph language, read and built here: PyAV has the filters but not the parser."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

from av.error import FFmpegError
from av.filter import Filter, Graph

from rtpipe import CANONICAL, AudioFrame, reason_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from av.filter.context import FilterContext

    from rtpipe import AudioFormat

_IN, _OUT = "in", "out"
_AS_MANY_INPUTS_AS_TOLD = 1  # AVFILTER_FLAG_DYNAMIC_INPUTS
_AS_MANY_OUTPUTS_AS_TOLD = 2  # AVFILTER_FLAG_DYNAMIC_OUTPUTS
_REACHING = {
    "ametadata", "amovie", "arnndn", "asendcmd", "asr", "ass", "azmq", "cellauto", "drawtext",
    "fieldhint", "ladspa", "life", "lut1d", "lut3d", "lv2", "metadata", "movie", "psnr",
    "removelogo", "sendcmd", "sofalizer", "ssim", "subtitles", "vmafmotion", "whisper", "zmq",
}  # fmt: skip
"""Filters that open files, libraries or the network as soon as they are made."""
_NAMES_A_FILE = re.compile(r"(^|:)\s*\w*(address|destination|file|model|plugin|sofa|url)\w*\s*=")
_COUNTED = {"ainterleave", "amerge", "amix", "asplit", "concat", "interleave", "join", "split"}
"""Filters whose first option says how many inputs or outputs they have."""
_COUNT = re.compile(r"(?:nb_)?(?:inputs|outputs)|[nva]")
_MOST_ENDS = 64  # inputs or outputs of one filter, which FFmpeg makes at once however many
_MOST_FILTERS = 500  # of a graph: each takes 4 KB, more than anybody needs


@dataclass(frozen=True, slots=True)
class FilterStep:
    """One filter of a graph: `[a][b]amix=inputs=2[c]`.

    Attributes:
        name: The filter.
        args: Its options, as the filter reads them.
        inputs: Labels of what it reads, beside what stands before it in its chain.
        outputs: Labels of what it gives; none: it feeds what stands after it.
    """

    name: str
    args: str
    inputs: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.name}={self.args}" if self.args else self.name


def parse(text: str) -> list[list[FilterStep]]:
    """Return the chains of a filtergraph.

    Raises:
        ValueError: The text is not one.
    """
    reader = _Reader(text)
    chains: list[list[FilterStep]] = [[]]
    while True:
        inputs = reader.labels()
        name = reader.word("=,;[")
        if not name:
            raise ValueError(f"a filter's name is missing {reader.place()}")
        args = reader.word("[],;") if reader.took("=") else ""
        chains[-1].append(FilterStep(name.partition("@")[0], args, inputs, reader.labels()))
        if sum(map(len, chains)) > _MOST_FILTERS:
            raise ValueError(f"a filtergraph holds {_MOST_FILTERS} filters at most")
        if reader.took(";"):
            chains.append([])
        elif not reader.took(","):
            break
    if not reader.ended():
        raise ValueError(f"expected `,` or `;` {reader.place()}")
    return chains


def check(text: str) -> None:
    """See that a graph can be built, as far as that depends on nothing but the text.

    A graph that reaches beyond it, for a file or a server, is built when it is run: who looks at a
    pipeline reads and writes nothing that the pipeline names.

    Raises:
        ValueError: It cannot.
    """
    steps = [step for chain in parse(text) for step in chain]
    for step in steps:
        _check_step(step)
    if not any(step.name in _REACHING or _NAMES_A_FILE.search(step.args) for step in steps):
        _Built(text, CANONICAL)


def _check_step(step: FilterStep) -> None:
    try:
        filter = Filter(step.name)
    except ValueError:
        raise ValueError(f"FFmpeg has no filter `{step.name}`") from None
    if not filter.flags & (_AS_MANY_INPUTS_AS_TOLD | _AS_MANY_OUTPUTS_AS_TOLD):
        return
    for place, option in enumerate(step.args.split(":")):
        name, named, value = option.rpartition("=")
        counts = _COUNT.fullmatch(name.strip()) if named else not place and step.name in _COUNTED
        count = value.strip()
        if counts and count and not (count.isdecimal() and int(count) <= _MOST_ENDS):
            raise ValueError(f"`{step}`: a filter has {_MOST_ENDS} inputs and outputs at most")


class Filtergraph:
    """A graph at work on one format, which is also the format of what comes out.

    Args:
        text: The graph.
        format: Complete.

    Raises:
        ValueError: The graph cannot be built for this format.
    """

    def __init__(self, text: str, format: AudioFormat) -> None:
        self.format = format
        self._built = _Built(text, format)
        try:
            self._built.graph.configure()
        except (FFmpegError, ValueError) as error:
            raise ValueError(f"FFmpeg refuses it for {format}: {reason_of(error)}") from None

    def push(self, frame: AudioFrame | None) -> Iterator[AudioFrame]:
        """Yield what a frame makes complete, its pts the filters' own; None ends the stream."""
        try:
            self._built.source.push(frame)
        except EOFError:
            return  # a filter such as atrim has had enough
        while True:
            try:
                made = self._built.sink.pull()
            except (BlockingIOError, EOFError):
                return
            assert isinstance(made, AudioFrame)
            yield made


class _Built:
    """A graph and its ends. Holds the graph: PyAV's filters crash once theirs is gone."""

    def __init__(self, text: str, format: AudioFormat) -> None:
        rate = format.sample_rate
        assert rate is not None
        self.graph = Graph()
        self.source = self.graph.add_abuffer(
            sample_rate=rate,
            format=format.format,
            layout=format.layout,
            time_base=Fraction(1, rate),
        )
        keep = self.graph.add(
            "aformat",
            f"sample_fmts={format.format}:sample_rates={rate}:channel_layouts={format.layout}",
        )
        self.sink = self.graph.add("abuffersink")
        keep.link_to(self.sink)
        _link(_add(self.graph, parse(text)), self.source, keep)


def _add(
    graph: Graph, chains: list[list[FilterStep]]
) -> list[list[tuple[FilterStep, FilterContext]]]:
    return [[(step, _added(graph, step)) for step in chain] for chain in chains]


def _added(graph: Graph, step: FilterStep) -> FilterContext:
    try:
        return graph.add(step.name, step.args or None)
    except FFmpegError as error:
        raise ValueError(f"`{step}` is refused: {reason_of(error)}") from None


def _link(
    chains: list[list[tuple[FilterStep, FilterContext]]],
    source: FilterContext,
    sink: FilterContext,
) -> None:
    """Connect filters with each other; the open ends are the graph's input and output."""
    given: dict[str, tuple[FilterContext, int]] = {_IN: (source, 0)}
    wanted: dict[str, tuple[FilterContext, int]] = {_OUT: (sink, 0)}
    for chain in chains:
        for place, (step, context) in enumerate(chain):
            inputs = list(step.inputs)
            if place and not chain[place - 1][0].outputs:
                inputs.append(_between(chain[place - 1][1]))
            elif not inputs and _takes(step.name):
                inputs.append(_IN)
            outputs = list(step.outputs)
            if not outputs and _gives(step.name):
                outputs.append(_OUT if place + 1 == len(chain) else _between(context))
            for number, label in enumerate(inputs):
                _note(wanted, label, (context, number), "read")
            for number, label in enumerate(outputs):
                _note(given, label, (context, number), "given")
    _connect(given, wanted)


def _connect(
    given: dict[str, tuple[FilterContext, int]], wanted: dict[str, tuple[FilterContext, int]]
) -> None:
    for label in wanted:
        if label not in given:
            raise ValueError(f"nothing gives [{label}]")
    for label in given:
        if label not in wanted:
            raise ValueError(f"nothing reads [{label}]")
    for label, (giver, output) in given.items():
        reader, number = wanted[label]
        try:
            giver.link_to(reader, output, number)
        except (FFmpegError, ValueError) as error:
            raise ValueError(f"[{label}] cannot be connected: {reason_of(error)}") from None


def _note(
    ends: dict[str, tuple[FilterContext, int]],
    label: str,
    end: tuple[FilterContext, int],
    what: str,
) -> None:
    if label in ends:
        help = " (asplit gives it twice)" if what == "read" else " (amix makes one of two)"
        raise ValueError(f"[{label}] is {what} more than once{help}")
    ends[label] = end


def _between(context: FilterContext) -> str:
    return f"after {context.name}"


def _takes(name: str) -> bool:
    filter = Filter(name)
    pads = filter.inputs  # type: ignore[attr-defined]  # PyAV's stub lacks it
    return bool(pads) or bool(filter.flags & _AS_MANY_INPUTS_AS_TOLD)


def _gives(name: str) -> bool:
    filter = Filter(name)
    pads = filter.outputs  # type: ignore[attr-defined]  # as above
    return bool(pads) or bool(filter.flags & _AS_MANY_OUTPUTS_AS_TOLD)


class _Reader:
    """Reads words as FFmpeg does: quotes keep everything, a backslash keeps what follows it."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0

    def took(self, sign: str) -> bool:
        self._skip_space()
        found = self._text.startswith(sign, self._at)
        self._at += found
        return found

    def ended(self) -> bool:
        self._skip_space()
        return self._at >= len(self._text)

    def place(self) -> str:
        rest = self._text[self._at :].strip()
        return f"before `{rest[:20]}`" if rest else "at the end"

    def labels(self) -> tuple[str, ...]:
        found = []
        while self.took("["):
            label = self.word("]")
            if not label or not self.took("]"):
                raise ValueError(f"a label is not closed {self.place()}")
            found.append(label)
        return tuple(found)

    def word(self, ends: str) -> str:
        self._skip_space()
        word, solid = "", 0
        while self._at < len(self._text) and self._text[self._at] not in ends:
            sign = self._text[self._at]
            self._at += 1
            if sign == "\\" and self._at < len(self._text):
                word += self._text[self._at]
                self._at += 1
            elif sign == "'":
                close = self._text.find("'", self._at)
                if close < 0:
                    raise ValueError("a quote is not closed")
                word += self._text[self._at : close]
                self._at = close + 1
            else:
                word += sign
                if sign.isspace():
                    continue
            solid = len(word)  # spaces at the end do not count unless they are quoted
        return word[:solid]

    def _skip_space(self) -> None:
        while self._at < len(self._text) and self._text[self._at].isspace():
            self._at += 1
