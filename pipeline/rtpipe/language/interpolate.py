"""`${...}` in the values of a file that was already parsed: a value never changes the structure."""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from rtpipe.errors import ConfigError
from rtpipe.language.bounds import MAX_DEPTH, MAX_FILLED, MAX_SECRETS
from rtpipe.language.files import decode, expanded, read_bytes
from rtpipe.language.nodes import (
    Entry,
    ListNode,
    MapNode,
    Node,
    ScalarNode,
    ScalarValue,
    folder,
)
from rtpipe.language.syntax import quoted
from rtpipe.wording.diagnostics import Remedy, did_you_mean
from rtpipe.wording.masking import looks_secret, url_secrets

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from rtpipe.wording.diagnostics import Findings, Span

_REFERENCE = re.compile(r"\$\$|\$\{([^{}]*)\}|\$\{")
_ENV = re.compile(r"env:([A-Za-z_][A-Za-z0-9_]*)(?:(:-|:\?)(.*))?", re.DOTALL)
_NAME = re.compile(r"[A-Za-z_][\w-]*")
_SCHEMES = ("env", "file", "cred")
_CREDENTIALS = "CREDENTIALS_DIRECTORY"


def note_secrets(node: Node, findings: Findings, *, secret: bool = False) -> None:
    """Remember what children and people must not see.

    The values that stand in a file itself under a key that looks like a secret's or in a URL, and
    the names of the environment variables that it reads anywhere: in a part that is not used, too.
    In an item of `events:` no kind is such a key, and no field of an event: `where: {key: space}`.
    """
    _note_secrets(node, findings, secret=secret, plain=set(map(id, _event_entries(node))))


def _note_secrets(node: Node, findings: Findings, *, secret: bool, plain: set[int]) -> None:
    if isinstance(node, ListNode):
        for item in node.items:
            _note_secrets(item, findings, secret=secret, plain=plain)
    elif isinstance(node, MapNode):
        for key, entry in node.entries.items():
            named = looks_secret(key) and id(entry) not in plain
            _note_secrets(entry.value, findings, secret=secret or named, plain=plain)
    elif isinstance(node.value, str):
        findings.env_names.update(_names_read(node.value))
        if "${" not in node.value:
            findings.secrets.update({node.value} if secret else url_secrets(node.value))


def _event_entries(file: Node) -> Iterator[Entry]:
    """Yield what stands in the items of `events:` under a kind, or asks for an event's field."""
    if not isinstance(file, MapNode):
        return
    profiles = file.get("profiles")
    chosen = profiles.entries.values() if isinstance(profiles, MapNode) else ()
    for part in (file, *(entry.value for entry in chosen)):
        events = part.get("events") if isinstance(part, MapNode) else None
        items = list(events.items) if isinstance(events, ListNode) else []
        for item in items:
            if isinstance(item, MapNode):
                yield from item.entries.values()
                where, fallback = item.get("where"), item.get("fallback")
                yield from where.entries.values() if isinstance(where, MapNode) else ()
                items += [fallback] if fallback is not None else []


def check_secrets(findings: Findings) -> None:
    """Refuse more secrets than can be looked for in every text.

    Raises:
        ConfigError: With everything that was found.
    """
    if len(findings.secrets) > MAX_SECRETS:
        findings.error(
            "E013",
            f"more than {MAX_SECRETS} different passwords, keys and tokens",
            help="what stands under such a name is masked everywhere: rename what is no secret",
        )
        raise ConfigError(findings.errors())


def _names_read(text: str) -> Iterator[str]:
    """Yield the environment variables that the references in `text` read."""
    for found in _REFERENCE.finditer(text):
        reference = found.group(1) or ""
        if (of_env := _ENV.fullmatch(reference)) is not None:
            yield of_env.group(1)
        elif reference.startswith("cred:"):
            yield _CREDENTIALS


class _UnresolvedError(Exception):
    """A reference has no value: the reason is in the findings."""


class Interpolator:
    """Fills the references in values; what has none comes back as it is.

    A scalar that is exactly one `${name}` keeps the variable's type. Each problem is reported once,
    at the scalar it stands in. Every scalar is filled once, however often it is asked for, and all
    of them together to a bounded size.

    Args:
        variables: `vars:` of the merged files; may hold references themselves.
        env: The environment.
        findings: Takes problems, and the secrets met on the way.
    """

    def __init__(
        self, variables: Mapping[str, Entry], env: Mapping[str, str], findings: Findings
    ) -> None:
        self._variables = variables
        self._env = env
        self._findings = findings
        self._known: dict[str, ScalarNode | None] = {}
        self._open: list[str] = []
        self._filled_before: dict[ScalarNode, ScalarNode] = {}
        self._characters = 0

    def resolve(self, node: Node) -> Node:
        """Return `node` with every reference in its values filled.

        A scalar whose reference has no value keeps its text and says so.
        """
        if isinstance(node, ListNode):
            return replace(node, items=tuple(self.resolve(item) for item in node.items))
        if isinstance(node, MapNode):
            return self.resolve_map(node)
        return self.resolve_scalar(node)

    def resolve_map(self, node: MapNode) -> MapNode:
        """Return a mapping with every reference in its values filled."""
        entries = {
            key: Entry(key, entry.key_span, self.resolve(entry.value))
            for key, entry in node.entries.items()
        }
        return replace(node, entries=entries)

    def optional(self, node: Node | None) -> Node | None:
        """Return `resolve(node)`; None for None."""
        return None if node is None else self.resolve(node)

    def resolve_scalar(self, node: ScalarNode) -> ScalarNode:
        """Return a scalar with its references filled."""
        if not isinstance(node.value, str) or "$" not in node.value:
            return node
        if node not in self._filled_before:
            try:
                filled = self._filled(node, node.value)
            except _UnresolvedError:
                filled = replace(node, unresolved=True)
            self._filled_before[node] = filled
        return self._filled_before[node]

    def check_variables(self) -> None:
        """Resolve every variable, so that a mistake in one that is not used is found too."""
        for name, entry in self._variables.items():
            with suppress(_UnresolvedError):
                self._variable(name, entry.key_span)

    def check_names(self, node: Node) -> None:
        """Report the variables below `node` that there are not; nothing is filled or read."""
        if isinstance(node, MapNode):
            for entry in node.entries.values():
                self.check_names(entry.value)
        elif isinstance(node, ListNode):
            for item in node.items:
                self.check_names(item)
        elif isinstance(node.value, str):
            for found in _REFERENCE.finditer(node.value):
                name = found.group(1)
                if name is not None and _NAME.fullmatch(name) and name not in self._variables:
                    with suppress(_UnresolvedError):
                        self._variable(name, node.span)

    def _filled(self, node: ScalarNode, text: str) -> ScalarNode:
        whole = _REFERENCE.fullmatch(text)
        if whole is not None and whole.group(1) is not None:
            value, secret = self._value(whole.group(1), node)
            self._count(value, node)
            return replace(node, value=value, secret=node.secret or secret)
        parts: list[str] = []
        pieces: list[tuple[int, int]] = []
        secret = node.secret
        length = last = 0
        for found in _REFERENCE.finditer(text):
            before = text[last : found.start()]
            parts.append(before)
            self._count(before, node)
            length += len(before)
            last = found.end()
            if found.group() == "$$":
                piece = "$"
            elif found.group(1) is None:
                self._fail(
                    "E303",
                    "`${` is never closed",
                    node.span,
                    help=f"close it, or write `$$` for a dollar sign: {_shown(text, found)}",
                )
            else:
                value, hidden = self._value(found.group(1), node)
                self._count(value, node)
                piece, secret = _as_text(value), secret or hidden
                pieces.append((length, length + len(piece)))
            parts.append(piece)
            length += len(piece)
        parts.append(text[last:])
        return replace(node, value="".join(parts), pieces=tuple(pieces), secret=secret)

    def _value(self, reference: str, node: ScalarNode) -> tuple[ScalarValue, bool]:
        """Return what a reference stands for, and whether it is a secret."""
        scheme, _, rest = reference.partition(":")
        if scheme == "env" and (found := _ENV.fullmatch(reference)):
            return self._environment(found.group(1), found.group(2), found.group(3), node)
        if scheme == "file" and rest:
            return self._file(folder(node) / expanded(rest), node), False
        if scheme == "cred" and rest:
            return self._credential(rest, node), True
        if not _NAME.fullmatch(reference):
            self._fail(
                "E303",
                f"`${{{reference}}}` is no reference",
                node.span,
                help=self._near(scheme, _SCHEMES if rest else (), f"${{{scheme}:", node.span)
                or "there are `${name}`, `${env:NAME}`, `${env:NAME:-default}`, "
                "`${env:NAME:?why}`, `${file:PATH}` and `${cred:NAME}`",
            )
        variable = self._variable(reference, node.span)
        return variable.value, variable.secret

    def _environment(
        self, name: str, operator: str | None, operand: str | None, node: ScalarNode
    ) -> tuple[str, bool]:
        value = self._env.get(name)
        secret = looks_secret(name)
        if operator == ":-" and not value:
            return operand or "", False
        if value is None or (operator == ":?" and not value):
            why = f": {operand}" if operand else ""
            self._fail(
                "E302",
                f"the environment variable `{name}` is not set{why}",
                node.span,
                help=f"set it, or give a default: `{quoted(f'${{env:{name}:-default}}')}`",
            )
        if secret:
            self._findings.secrets.add(value)
        return value, secret

    def _file(self, path: Path, node: ScalarNode, code: str = "E304") -> str:
        data = read_bytes(path, self._findings, code, node.span)
        text = None if data is None else decode(data, path, self._findings)
        if text is None:
            raise _UnresolvedError
        return text

    def _credential(self, name: str, node: ScalarNode) -> str:
        root = self._env.get(_CREDENTIALS)
        if root is None or Path(name).name != name or name in {".", ".."}:
            why = f"`{_CREDENTIALS}` is not set" if root is None else "its name may hold no folder"
            self._fail(
                "E305",
                f"no credential `{name}`: {why}",
                node.span,
                help=f"in the systemd unit: `LoadCredential={name}:/etc/rtpipe/{name}`",
            )
        value = self._file(Path(root) / name, node, "E305").rstrip("\n")
        self._findings.secrets.add(value)
        return value

    def _variable(self, name: str, span: Span) -> ScalarNode:
        entry = self._variables.get(name)
        if entry is None:
            self._fail(
                "E301",
                f"no variable `{name}`",
                span,
                label="unknown variable",
                help=self._near(name, self._variables, f"${{{name}}}", span)
                or f"define it: `vars: {{{name}: value}}`",
                notes=[f"`${{env:{name}}}` would be the environment's"] if name.isupper() else [],
            )
        if name in self._open:
            circle = " -> ".join([*self._open[self._open.index(name) :], name])
            self._known[name] = None
            self._fail("E309", f"variables that need each other: {circle}", entry.value.span)
        if name not in self._known and len(self._open) >= MAX_DEPTH:
            self._fail(
                "E013",
                f"more than {MAX_DEPTH} variables need one another",
                entry.value.span,
                help="write the value where it is used",
            )
        if name not in self._known:
            self._known[name] = self._resolved(name, entry)
        known = self._known[name]
        if known is None:
            raise _UnresolvedError
        return known

    def _near(self, word: str, known: Iterable[str], within: str, span: Span) -> str | None:
        """Return a help to write another word in the reference that begins like `within`."""
        meant = did_you_mean(word, known)
        start = self._findings.line(span).find(within, span.column - 1)
        if meant is None or start < 0:
            return meant and str(meant)
        place = replace(span, column=start + len("${") + 1, length=len(word))
        return Remedy(meant, meant.text, place, fill=False)

    def _resolved(self, name: str, entry: Entry) -> ScalarNode | None:
        value = entry.value
        if not isinstance(value, ScalarNode):
            return None  # the grammar says so
        self._open.append(name)
        try:
            if isinstance(value.value, str) and "$" in value.value:
                value = self._filled(value, value.value)
        except _UnresolvedError:
            return None
        finally:
            self._open.pop()
        secret = value.secret or looks_secret(name)
        if secret and isinstance(value.value, str):
            self._findings.secrets.add(value.value)
        return replace(value, secret=secret)

    def _count(self, value: ScalarValue, node: ScalarNode) -> None:
        """Count a text that goes into a value; refuse what is too much before it is made."""
        if self._characters > MAX_FILLED:
            raise _UnresolvedError  # that was reported
        self._characters += len(value) if isinstance(value, str) else 0
        if self._characters > MAX_FILLED:
            self._fail(
                "E013",
                f"references fill in more than {MAX_FILLED // 1024} KiB of text",
                node.span,
                help="let a stage read long texts itself, from a file",
            )

    def _fail(
        self,
        code: str,
        message: str,
        span: Span,
        *,
        label: str = "",
        help: str | None = None,
        notes: list[str] | None = None,
    ) -> NoReturn:
        self._findings.error(code, message, span, label=label, help=help, notes=notes or ())
        raise _UnresolvedError


def _as_text(value: ScalarValue) -> str:
    """Return a value as YAML writes it, for use in the middle of a text."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def _shown(text: str, found: re.Match[str]) -> str:
    return f"`{quoted(text[: found.start()] + '$' + text[found.start() :])}`"
