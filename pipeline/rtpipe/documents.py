"""What stands beside the pipeline file, read and refused as the file itself is.

Documents: what a plugin keeps in a file of its own. Every mistake found is reported, with its place
and its remedy. Calls: an action and its arguments as somebody types them. What reads and checks
YAML is imported by whoever needs it: a command that reads a number does not wait for it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from rtpipe.errors import ActionError, ConfigError
from rtpipe.wording.scalars import typed

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from rtpipe.language.nodes import Node
    from rtpipe.stage import Options
    from rtpipe.wording.diagnostics import Diagnostic, Findings

__all__ = ["ActionError", "Call", "read_call", "read_document", "read_document_text", "read_word"]
__provisional__ = frozenset(__all__)
"""What may still change at any time."""

Document = TypeVar("Document", bound="Options")

_ACTION = re.compile(r"([A-Za-z_][A-Za-z0-9_-]*)\.([A-Za-z_][A-Za-z0-9_]*)")
_NAMED = re.compile(r"([A-Za-z_]\w*)=(?!=)")
_TYPED = Path("<typed>")
_EXAMPLES = "for example `gain.set -6`, `gain.set gain_db=-6` or `'gain.set(-6)'`"


def read_document(path: Path, model: type[Document], *, name: str) -> Document:
    """Return what a file holds.

    Args:
        path: A YAML file; relative paths in it start from its folder.
        model: What it is made of.
        name: What messages call it: `script`.

    Raises:
        ConfigError: With everything that is wrong.
    """
    from rtpipe.language.reader import read_file
    from rtpipe.wording.diagnostics import Findings

    findings = Findings()
    node = read_file(path, findings, when_empty=_keys(model))
    return _checked(node, model, name, findings)


def read_document_text(text: str, path: Path, model: type[Document], *, name: str) -> Document:
    """Return what a YAML text holds.

    Args:
        text: The text.
        path: What diagnostics call the place it comes from.
        model: What it is made of.
        name: What messages call it.

    Raises:
        ConfigError: With everything that is wrong.
    """
    from rtpipe.language.reader import read_text
    from rtpipe.wording.diagnostics import Findings

    findings = Findings()
    node = read_text(text, path, findings, when_empty=_keys(model))
    return _checked(node, model, name, findings)


@dataclass(frozen=True, slots=True)
class Section:
    """A section of a pipeline's files: what it says, and where each part of it stands.

    Attributes:
        said: Its validated model.
        secrets: Values of these files that must never be shown.
    """

    said: Options
    secrets: frozenset[str]
    _node: Node
    _findings: Findings

    def finding(
        self,
        code: str,
        message: str,
        path: Iterable[str | int],
        *,
        label: str = "",
        help: str | None = None,
        notes: Iterable[str] = (),
    ) -> Diagnostic:
        """Return what is wrong with a part of the section.

        Args:
            code: `E801`, with a page of `rtpipe explain`.
            message: One sentence without a full stop.
            path: Keys and indices that lead to the part, as far as it was written.
            label: A few words beside the caret.
            help: What to do.
            notes: More facts, one line each.
        """
        from rtpipe.language.nodes import ScalarNode, at
        from rtpipe.wording.diagnostics import Diagnostic

        node, entry, _ = at(self._node, path)
        span = node.span if entry is None or isinstance(node, ScalarNode) else entry.key_span
        found = Diagnostic(code, message, span, label, help, tuple(notes))
        return self._findings.finished(found)


def as_text(found: Diagnostic, *, colour: bool = False) -> str:
    """Return a finding as `rtpipe validate` prints it, without a newline at its end."""
    from rtpipe.wording.rendering import render_one

    return render_one(found, colour=colour)


def as_github(found: Diagnostic) -> str:
    """Return a finding as an annotation of GitHub's."""
    from rtpipe.wording import rendering

    return rendering.as_github(found)


def read_section(
    files: Sequence[Path],
    key: str,
    *,
    sets: Sequence[str] = (),
    profile: str | None = None,
    trust: bool = False,
) -> Section | None:
    """Return what a plugin's section of a pipeline's files says; None where they have none.

    Args:
        files: The pipeline file, then overlays.
        key: The section's.
        sets: As for `rtpipe.load`, and so is all else.
        profile: One of the files' profiles.
        trust: Run the code that the files bring along.

    Raises:
        ConfigError: With everything that is wrong with the files.
    """
    from rtpipe.language.loading import load

    loaded = load(files, sets=sets, profile=profile, trust=trust)
    said = loaded.spec.sections.get(key)
    if said is None:
        return None
    return Section(said, loaded.spec.secrets, loaded.written[key], loaded.findings)


class Call(NamedTuple):
    """An action, and what it is called with: nothing is known of the stage yet.

    Attributes:
        stage: The stage's id.
        action: The action's name.
        args: The arguments without names.
        kwargs: Those with names.
    """

    stage: str
    action: str
    args: list[Any]
    kwargs: dict[str, Any]


def read_call(called: str, words: Iterable[str] = ()) -> Call:
    """Return the action that somebody types, by the word or as `do:` has it.

    Args:
        called: `gain.set`, or all of it: `gain.set(gain_db=-6)`.
        words: The arguments, `-6` or `gain_db=-6` each; see `read_word`.

    Raises:
        ActionError: It is none.
    """
    found = _ACTION.fullmatch(called)
    if found is None:
        return _whole_call(called, list(words))
    args: list[Any] = []
    kwargs: dict[str, Any] = {}
    for word in words:
        named = _NAMED.match(word)
        if named:
            kwargs[named[1]] = read_word(word[named.end() :])
        elif kwargs:
            raise ActionError(f"`{word}` has no name and follows a named one", help=_EXAMPLES)
        else:
            args.append(read_word(word))
    return Call(found[1], found[2], args, kwargs)


def read_word(word: str) -> Any:
    """Return the value that a word of a command line has, as it would in a pipeline file.

    `-6`, `true`, `null`; `[a, b]`, `{a: 1}` and `"-6"` by what they begin with; else it is text,
    whatever stands in it.

    Raises:
        ActionError: It begins like a list, a mapping or a quoted text, and is none.
    """
    if not word.lstrip().startswith(("[", "{", '"', "'")):
        return typed(word.strip())
    from rtpipe.language.nodes import plain
    from rtpipe.language.reader import read_value
    from rtpipe.wording.diagnostics import Findings, Span

    findings = Findings()
    findings.add_source(_TYPED, word)
    node = read_value(word, Span(_TYPED, 1, 1), findings)
    if node is None:
        raise _first(findings)
    return plain(node)


def _whole_call(text: str, words: list[str]) -> Call:
    from rtpipe.language.calls import CallReader
    from rtpipe.language.nodes import ScalarNode, plain
    from rtpipe.wording.diagnostics import Findings, Span

    if words and "(" in text:
        raise ActionError("arguments stand in the brackets or behind, not both", help=_EXAMPLES)
    findings = Findings()
    findings.add_source(_TYPED, text)
    call = CallReader(findings).read(ScalarNode(text, Span(_TYPED, 1, 1)))
    if call is None:
        raise _first(findings)
    kwargs = {name: plain(value) for name, value in call.kwargs.items()}
    return Call(call.stage, call.name, [plain(value) for value in call.args], kwargs)


def _first(findings: Findings) -> ActionError:
    found = findings.errors()[0]
    return ActionError(found.message, help=found.help or _EXAMPLES)


def _checked(node: Node | None, model: type[Document], name: str, findings: Findings) -> Document:
    from rtpipe.language.checking import check_document
    from rtpipe.language.nodes import MapNode, what

    if node is not None and not isinstance(node, MapNode):
        findings.error(
            "E018",
            f"a {name} is a mapping, and this is {what(node)}",
            node.span,
            label="expected a mapping",
            help=_keys(model),
        )
    if isinstance(node, MapNode):
        made = check_document(model, name, node, findings)
        if isinstance(made, model) and not findings.failed:
            return made
    raise ConfigError(findings.errors())


def _keys(model: type[Options]) -> str:
    from rtpipe.wording.diagnostics import listed

    return f"it has the keys {listed(model.model_fields)}"
