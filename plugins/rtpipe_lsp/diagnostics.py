"""What `rtpipe validate` finds, as an editor underlines it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lsprotocol import types

from rtpipe_lsp.positions import range_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from rtpipe.wording.diagnostics import Diagnostic, Span

_SEVERITIES = {
    "error": types.DiagnosticSeverity.Error,
    "warning": types.DiagnosticSeverity.Warning,
}
_TOP = types.Range(types.Position(0, 0), types.Position(0, 0))


def published(
    found: Iterable[Diagnostic], path: Path, lines: Sequence[str]
) -> list[types.Diagnostic]:
    """Return findings for the document of `path`.

    What has no place in it stands at its top, and says where it is.

    Args:
        found: The findings.
        path: The document's file.
        lines: The document's text.
    """
    return [_published(each, path, lines) for each in found]


def fixes(
    found: Iterable[Diagnostic], path: Path, lines: Sequence[str], uri: str, within: types.Range
) -> list[types.CodeAction]:
    """Return the changes that take findings of some lines out of a document."""
    actions: list[types.CodeAction] = []
    for each in found:
        if each.fix is None or each.fix.span.path != path:
            continue
        about = _published(each, path, lines)
        if about.range.end.line < within.start.line or about.range.start.line > within.end.line:
            continue
        edit = types.TextEdit(range_of(each.fix.span, lines), each.fix.text)
        actions.append(
            types.CodeAction(
                title=(each.help or "mend it").replace("did you mean", "change it to").rstrip("?"),
                kind=types.CodeActionKind.QuickFix,
                diagnostics=[about],
                edit=types.WorkspaceEdit(changes={uri: [edit]}),
            )
        )
    return actions


def _published(found: Diagnostic, path: Path, lines: Sequence[str]) -> types.Diagnostic:
    text = [f"{found.message}: {found.label}" if found.label else found.message]
    if found.help:
        text.append(f"help: {found.help}")
    text += [f"note: {note}" for note in found.notes]
    here = found.span is not None and found.span.path == path
    related = [_related(other.span, other.label, lines, path) for other in found.related]
    if found.span is not None and not here:
        related.insert(0, _related(found.span, found.label or found.message, lines, path))
    return types.Diagnostic(
        range=range_of(found.span, lines) if found.span is not None and here else _TOP,
        message="\n".join(text),
        severity=_SEVERITIES[str(found.severity)],
        code=found.code,
        source="rtpipe",
        related_information=related or None,
    )


def _related(
    span: Span, label: str, lines: Sequence[str], path: Path
) -> types.DiagnosticRelatedInformation:
    start = types.Position(span.line - 1, span.column - 1)
    end = types.Position(span.line - 1, span.column - 1 + span.length)
    where = range_of(span, lines) if span.path == path else types.Range(start, end)
    return types.DiagnosticRelatedInformation(
        types.Location(span.path.absolute().as_uri(), where), label
    )
