"""What can be wrong with an item's kind and with what stands beside it, in words."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from rtpipe.language.nodes import ListNode, ScalarNode, plain, what
from rtpipe.stage import family, shape
from rtpipe.vocabulary import BesideFallback, keys
from rtpipe.wording.diagnostics import Remedy, did_you_mean, listed, suggest
from rtpipe.wording.flow import snippet
from rtpipe.wording.scalars import typed

if TYPE_CHECKING:
    from rtpipe.catalogue.plugins import Registry
    from rtpipe.language.nodes import Entry, ScalarValue
    from rtpipe.stage import Options, Stage
    from rtpipe.wording.diagnostics import Findings, Span

_AUDIO = ("source", "transform", "peer", "sink")


class ItemMistakes:
    """Reports them.

    Args:
        registry: The kinds there are.
        findings: Takes what is wrong.
    """

    def __init__(self, registry: Registry, findings: Findings) -> None:
        self._registry = registry
        self._findings = findings

    def unknown_kind(self, kind: Entry, *, of_events: bool) -> None:
        """Report that no plugin has a kind, or that it cannot be imported."""
        name = kind.key
        if name in self._registry.kinds:
            self._broken(kind)
            return
        unknown = f"a stage `{name}`"
        if self._registry.trust.report_unknown(unknown, kind.key_span, self._findings):
            return
        families = ("subscriber",) if of_events else _AUDIO
        found = self._registry.kinds
        kinds = sorted(known for each in families for known in found.of_family(each))
        types = found.importable()
        owners = [
            known
            for known in kinds
            if known in types and name in types[known].options_type.model_fields
        ]
        words = re.split(r"[\s:]+", name, maxsplit=1)
        help: str | None = did_you_mean(name, kinds)
        if len(words) > 1 and words[0] in kinds:
            help = _with_colon(kind, types.get(words[0]), words[0], typed(words[1]))
        elif owners and (help is None or "`" + owners[0] not in help):
            help = f"it is an option: `- {owners[0]}: {{{name}: ...}}`"
        broken = [
            f"the plugin `{record.name}` ({record.origin}) could not be loaded: {record.error}"
            for record in self._registry.faulty
        ]
        self._findings.error(
            "E101",
            f"no stage is called `{name}`",
            kind.key_span,
            label="unknown kind",
            help=help or f"there is {listed(kinds)}",
            notes=[*broken, "`rtpipe stages` lists what is installed"],
        )

    def _broken(self, kind: Entry) -> None:
        failure = self._registry.kinds.failure(kind.key)
        assert failure is not None
        self._findings.error(
            "E402",
            failure.message,
            kind.key_span,
            label="its plugin is broken",
            notes=[f"`rtpipe stages {kind.key} --debug` prints the whole traceback"],
        )

    def section(self, kind: Entry, name: str) -> None:
        """Report a subscriber among the stages, or a stage (of the family `name`) among events."""
        hears, not_, section = ("audio", "events", "stages")
        if name == "subscriber":
            hears, not_, section = ("events", "audio", "events")
        self._findings.error(
            "E109",
            f"`{kind.key}` hears {hears}, not {not_}",
            kind.key_span,
            label=f"a {name}",
            help=f"put it under {section}: `{section}: [{kind.key}]`",
        )

    def unnamed_option(self, kind: Entry) -> None:
        """Report a value under a kind that has no main option, or a list."""
        options = self._registry.kinds[kind.key].options_type
        value = plain(kind.value)
        fitting = [name for name in options.model_fields if _takes(options, name, value)]
        help: str = f"say which: it has {listed(options.model_fields)}"
        if not options.model_fields:
            help = f"`{kind.key}` has no options: write `- {kind.key}`"
        elif len(fitting) == 1 and kind.value.span.line == kind.key_span.line:
            words = f"write `{kind.key}: {{}}`"
            help = Remedy(words, snippet({fitting[0]: value}))
        self._findings.error(
            "E112",
            f"`{kind.key}` takes its options by name, not {what(kind.value)}",
            kind.value.span,
            label="which option?",
            help=help,
            notes=[f"`rtpipe stages {kind.key}` lists its options"],
        )

    def beside(
        self, entry: Entry, kind: Entry, reserved: tuple[str, ...], *, two_kinds: bool
    ) -> str | None:
        """Report a key beside the kind, where `reserved` may stand; return the one that was meant.

        None where none of them was.
        """
        key = entry.key
        shown = "" if isinstance(entry.value, ListNode) else snippet(plain(entry.value))
        if two_kinds:
            self._findings.error(
                "E106",
                f"one item names two kinds, `{kind.key}` and `{key}`",
                entry.key_span,
                label="a second kind",
                help=f"give it an item of its own: `- {key}: {shown}`",
            )
            return None
        stage_type = self._registry.kinds.find(kind.key)
        if stage_type is None:
            return None  # an unknown kind is enough said
        fields = tuple(stage_type.options_type.model_fields)
        if key in keys(BesideFallback) and key not in reserved and key not in fields:
            self._findings.error(
                "E106",
                f"`{key}` stands beside the kind of a fallback, not beside `{kind.key}`",
                entry.key_span,
                label="one level too far out",
                help=f"write `fallback: {{KIND: {{…}}, {key}: {shown}}}`",
            )
            return None
        meant = suggest(key, [*reserved, *fields])
        if key in fields or (meant in fields and meant not in reserved):
            name = key if key in fields else meant
            options = plain(kind.value)
            before = options if isinstance(options, dict) else {}
            together = snippet({kind.key: {**before, str(name): plain(entry.value)}}, outer=False)
            self._findings.error(
                "E105",
                f"the option `{key}` stands beside `{kind.key}`, not under it",
                entry.key_span,
                label="one level too far out",
                help=_under(f"write `- {together}`", entry, kind),
            )
            return None
        self._findings.error(
            "E106",
            f"`{key}` cannot stand beside `{kind.key}`",
            entry.key_span,
            label="neither a reserved key nor an option",
            help=did_you_mean(key, [*reserved, *fields])
            or f"beside a kind there may be {listed(reserved)}",
        )
        return meant if meant in reserved else None

    def shared(self, entry: Entry, kind: str) -> None:
        """Report a key on a fallback that belongs to the stage's place in the pipeline."""
        self._findings.error(
            "E117",
            f"a fallback shares the stage's `{entry.key}`",
            entry.key_span,
            label="not here",
            help=f"remove `{entry.key}`, or put it beside `{kind}`",
        )

    def stand_in(self, kind: str, other: str, span: Span) -> None:
        """Report a fallback `other`, at `span`, that gives or takes not what `kind` does."""
        kinds = self._registry.kinds.importable()
        alike = sorted(k for k, stage in kinds.items() if shape(stage) == shape(kinds[kind]))
        self._findings.error(
            "E117",
            f"`{other}` is a {family(kinds[other])} and cannot stand in for "
            f"`{kind}`, a {family(kinds[kind])}",
            span,
            label=f"expected a {family(kinds[kind])}",
            help=f"a fallback is one of {listed(alike)}",
        )


def _under(help: str, entry: Entry, kind: Entry) -> str:
    """Return the help with its fix, to indent an option that stands alone below its kind."""
    alone = isinstance(kind.value, ScalarNode) and kind.value.value is None
    if not alone or entry.key_span.line != kind.key_span.line + 1:
        return help
    return Remedy(help, "  ", replace(entry.key_span, length=0), fill=False)


def _with_colon(
    kind: Entry, stage_type: type[Stage[Any]] | None, name: str, value: ScalarValue
) -> str:
    """Return the help for `- gain 3`."""
    main = None if stage_type is None else stage_type.options_type.main
    if stage_type is None or main is None or not _takes(stage_type.options_type, main, value):
        return f"a kind ends with a colon, and then come its options: `- {name}: {{}}`"
    written = snippet({name: value}, outer=False)
    alone = kind.key_span == kind.value.span
    return Remedy("write `- {}`", written) if alone else f"write `- {written}`"


def _takes(options: type[Options], name: str, value: Any) -> bool:
    """Whether an option takes a value, whatever the others are."""
    try:
        options.model_validate({name: value})
    except ValidationError as error:
        return all(details["loc"][:1] != (name,) for details in error.errors(include_url=False))
    return True
