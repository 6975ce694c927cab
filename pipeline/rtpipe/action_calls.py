"""An action and its arguments as somebody types them, `gain.set -6`: read as a file is read.

What reads YAML is imported by the word that needs it: a command that is given a number is done
before it would be there.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from rtpipe.errors import ActionError
from rtpipe.wording.scalars import typed

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rtpipe.wording.diagnostics import Findings

_ACTION = re.compile(r"([A-Za-z_][A-Za-z0-9_-]*)\.([A-Za-z_][A-Za-z0-9_]*)")
_NAMED = re.compile(r"([A-Za-z_]\w*)=(?!=)")
_TYPED = Path("<typed>")
_EXAMPLES = "for example `gain.set -6`, `gain.set gain_db=-6` or `'gain.set(-6)'`"


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
