"""Which events there are; whether what a file says of them can be so."""

from __future__ import annotations

import dataclasses
import re
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rtpipe.catalogue.fields import inside, names_an_event
from rtpipe.errors import ConfigError
from rtpipe.events import CORE_EVENTS, Event, event_type
from rtpipe.language.bounds import LONGEST_GLOB, MAX_GLOBS
from rtpipe.language.nodes import Entry, ListNode, MapNode, Node, ScalarNode, unresolved
from rtpipe.wording.diagnostics import Findings, Remedy, Severity, Span, did_you_mean, listed
from rtpipe.wording.flow import snippet

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from rtpipe.catalogue.plugins import Registry
    from rtpipe.language.items import StageItem
    from rtpipe.language.spec import PipelineSpec
    from rtpipe.stage import Stage

CORE = tuple(event_type(event) for event in CORE_EVENTS)


def published_by(stages: Iterable[type[Stage[Any]]]) -> list[str]:
    """Return the names and globs of what some stages publish, the framework's own included."""
    names = [event_type(event) for stage in stages for event in stage.publishes]
    return sorted({*CORE, *names})


def published_beside(registry: Registry) -> list[type[Event] | str]:
    """Return what is published in any pipeline: by the framework, and by plugins beside stages."""
    return [*CORE_EVENTS, *(event for events in registry.events.values() for event in events)]


def overlap(one: str, other: str) -> bool:
    """Return whether some event type is matched by both globs."""
    glob = _glob(one)
    places = glob.behind_stars(1)  # bits: where in `one` the texts that match so far can have come
    for char in other:
        if char == "*":
            places = glob.everywhere & -(places & -places)
            continue
        taken = glob.takes.get(char, glob.takes["?"]) if char != "?" else glob.takes["*"]
        places = glob.behind_stars((places & taken) << 1 | places & glob.stars)
        if not places:
            return False
    return bool(places >> glob.length)


@dataclass(frozen=True, slots=True)
class _Glob:
    """A glob, one bit for each of its characters.

    Attributes:
        length: Its length without stars that follow a star; the bit of that number is its end.
        stars: Where its stars are.
        takes: Where a character is taken, by the character; `?`: any one; `*`: all these places.
    """

    length: int
    stars: int
    takes: dict[str, int]

    @property
    def everywhere(self) -> int:
        return (1 << self.length + 1) - 1

    def behind_stars(self, places: int) -> int:
        """Return some places, and those that are reached from them over a star."""
        return places | (places & self.stars) << 1


@lru_cache(maxsize=1024)
def _glob(text: str) -> _Glob:
    text = re.sub(r"\*+", "*", text)
    bits: dict[str, int] = {}
    for index, char in enumerate(text):
        bits[char] = bits.get(char, 0) | 1 << index
    stars, any_ = bits.pop("*", 0), bits.pop("?", 0)
    takes = {char: places | any_ for char, places in bits.items()}
    return _Glob(len(text), stars, {**takes, "?": any_, "*": sum(bits.values()) | any_})


def is_glob(name: str) -> bool:
    """Return whether `name` stands for several events."""
    return any(char in name for char in "*?[")


class KnownEvents:
    """What happens in one pipeline; reports events that do not.

    Args:
        registry: The kinds there are.
        findings: Takes what is wrong.
        here: The types of the stages that take part.
    """

    def __init__(
        self, registry: Registry, findings: Findings, here: Iterable[type[Stage[Any]]]
    ) -> None:
        self._here = dict.fromkeys(here)
        self._beside = published_beside(registry)
        self._published = self._published_here()
        self._registry = registry
        self._findings = findings
        self._known: set[str] = set()
        self._checked = 0

    def add(self, types: Iterable[type[Stage[Any]]]) -> None:
        """Take in more that takes part: subscribers."""
        self._here |= dict.fromkeys(types)
        self._published = self._published_here()

    def _published_here(self) -> list[str]:
        return sorted({*published_by(self._here), *map(event_type, self._beside)})

    def check(self, glob: str, span: Span | None) -> None:
        """Report a name or a glob that no installed stage publishes, or none of these."""
        if glob in self._known:
            return
        self._checked += 1
        if self._checked > MAX_GLOBS or len(glob) > LONGEST_GLOB:
            self._findings.error(
                "E013",
                f"more than {MAX_GLOBS} events, or one longer than {LONGEST_GLOB} characters",
                span,
                help="one glob stands for many: `match: realtime.*`",
            )
            return
        published = self._published
        if any(overlap(glob, name) for name in published):
            self._known.add(glob)
            return
        publishing, everywhere = self._installed
        if any(overlap(glob, name) for name in everywhere):
            publishers = [
                kind
                for kind, names in publishing.items()
                if any(overlap(glob, name) for name in names)
            ]
            self._findings.warning(
                "E702",
                f"no stage of this file publishes `{glob}`",
                span,
                label="never happens here",
                help=f"`{'`, `'.join(publishers)}` would",
            )
            return
        if self._registry.trust.report_unknown(f"an event `{glob}`", span, self._findings):
            return
        self._findings.error(
            "E701",
            f"no installed stage publishes `{glob}`",
            span,
            label="unknown event",
            help=self._meant(glob) or f"in this file there are {listed(map(snippet, published))}",
            notes=["`rtpipe events` lists them all"],
        )

    @cached_property
    def _installed(self) -> tuple[Mapping[str, list[str]], list[str]]:
        """What each kind publishes, and all together; imported for the help of an error alone."""
        kinds = self._registry.kinds.importable()
        publishing = {
            kind: [name for name in published_by([stage]) if name not in CORE]
            for kind, stage in sorted(kinds.items())
        }
        return publishing, published_by(kinds.values())

    def _meant(self, glob: str) -> Remedy | None:
        """Return the help for a misspelt event."""
        _, everywhere = self._installed
        near = (_candidates(names, globs=is_glob(glob)) for names in (self._published, everywhere))
        return next(filter(None, (did_you_mean(glob, names) for names in near)), None)

    def check_options(self, node: Node, wanted: Any) -> None:
        """Check every value below `node`, a stage's options, that names events (`EventGlob`)."""
        if isinstance(node, MapNode):
            for key, entry in node.entries.items():
                self.check_options(entry.value, inside(wanted, key))
        elif isinstance(node, ListNode):
            for index, item in enumerate(node.items):
                self.check_options(item, inside(wanted, index))
        elif names_an_event(wanted) and isinstance(node.value, str) and not unresolved(node):
            self.check(node.value, node.span)

    def check_fields(self, globs: Iterable[str], where: Iterable[Entry]) -> None:
        """Report what `where:` asks for and no event has that matches: a field, or such a value.

        Events whose fields are not known, as those of a server, may have any.
        """
        matched = _matched(globs, self._here, self._beside)
        if matched is None:
            return
        fields = {field.name for event in matched for field in dataclasses.fields(event)}
        for entry in where:
            name = entry.key.partition(".")[0]
            if name not in fields:
                types = {event.type for event in matched}
                event = f"`{types.pop()}`" if len(types) == 1 else "no event that it matches"
                has = "has no" if not types else "has a"
                self._findings.error(
                    "E708",
                    f"{event} {has} field `{name}`",
                    entry.key_span,
                    label="unknown field",
                    help=did_you_mean(entry.key, fields) or f"there is {listed(sorted(fields))}",
                    notes=["such a route never does anything"],
                )
            elif _is_text(entry.key, matched):
                self._check_text(entry)

    def _check_text(self, entry: Entry) -> None:
        """Report a number, true or false where the event's field is a text: `1` is not `"1"`."""
        value = entry.value
        if not isinstance(value, ScalarNode) or isinstance(value.value, str | None):
            return
        start = value.span.column - 1
        written = self._findings.line(value.span)[start : start + value.span.length]
        self._findings.error(
            "E708",
            f"`{entry.key}` is a text, and {written} is none",
            value.span,
            label="never equal",
            help=Remedy("write `{}`", f'"{written}"'),
            notes=["such a route never does anything"],
        )


def require_event(pipeline: PipelineSpec, registry: Registry, glob: str, option: str) -> None:
    """Refuse an option of the command line that waits for an event that cannot come.

    Raises:
        ConfigError: No stage of the pipeline publishes it.
    """
    findings, place = Findings(), Path(option)
    findings.add_source(place, glob)
    subscribers = (route.subscriber for route in pipeline.routes)
    stages = [*pipeline.stages, *(each for each in subscribers if each is not None)]
    here = (member.stage_type for each in stages for member in each.chain)
    KnownEvents(registry, findings, here).check(glob, Span(place, 1, 1, max(len(glob), 1)))
    found = [*findings.errors(), *findings.warnings()]
    if found:
        raise ConfigError([replace(each, severity=Severity.ERROR) for each in found])


def types_here(
    items: Sequence[StageItem], enabled: set[str], registry: Registry
) -> list[type[Stage[Any]]]:
    """Return the types of the stages that take part, fallbacks included."""
    found: list[type[Stage[Any]]] = []
    for item in items:
        if item.id not in enabled or item.stage_type is None:
            continue
        found.append(item.stage_type)
        node = item.get("fallback")
        single = [node.value] if isinstance(node, ScalarNode) else []
        named = node.entries if isinstance(node, MapNode) else single
        fallbacks = (registry.kinds.find(name) for name in named if isinstance(name, str))
        found += [stage_type for stage_type in fallbacks if stage_type is not None]
    return found


def _candidates(names: Iterable[str], *, globs: bool) -> list[str]:
    """Return what may have been meant: names, or for a glob those of everything in one room."""
    known = [name for name in names if not is_glob(name)]
    if not globs:
        return known
    return sorted({f"{name.rpartition('.')[0]}.*" for name in known if "." in name})


def _matched(
    globs: Iterable[str],
    stages: Iterable[type[Stage[Any]]],
    beside: Iterable[type[Event] | str],
) -> list[type[Event]] | None:
    """Return the classes of the events that globs mean; None if the fields of one are not known."""
    matched: list[type[Event]] = []
    wanted = list(globs)
    for event in [*beside, *(each for stage in stages for each in stage.publishes)]:
        if not any(overlap(glob, event_type(event)) for glob in wanted):
            continue
        if isinstance(event, str) or event.payload is not Event.payload:
            return None
        matched.append(event)
    return matched or None


def _is_text(name: str, events: Iterable[type[Event]]) -> bool:
    """Return whether a field is a text in every event that has it."""
    fields = (each for event in events for each in dataclasses.fields(event))
    return {each.type for each in fields if each.name == name} in ({"str"}, {str})
