"""The language server: what an editor asks, by document."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from lsprotocol import types
from pygls.lsp.server import LanguageServer

import rtpipe
from rtpipe import Outline, read_outline
from rtpipe_lsp import answers, cursor, diagnostics
from rtpipe_lsp.positions import character, place

if TYPE_CHECKING:
    from pygls.workspace import TextDocument

_PIPELINE = re.compile(r"^(?:# yaml-language-server: .*rtpipe\.schema\.json|stages:)", re.MULTILINE)
_CLOSED = re.compile(r"[^\s\"'{}]*\}")
"""What follows in a `${...}` that has its end."""
_QUIET_S = 0.1
"""Nobody reads what is said between two letters."""


class PipelineServer(LanguageServer):
    """Knows the outline of each document that is a pipeline file.

    Args:
        machine: Whether what this machine lacks is told, too.
    """

    def __init__(self, *, machine: bool) -> None:
        super().__init__(
            "rtpipe", rtpipe.__version__, text_document_sync_kind=types.TextDocumentSyncKind.Full
        )
        self._machine = machine
        self._known: dict[str, tuple[str, Outline]] = {}
        self._waiting: dict[str, asyncio.Task[None]] = {}

    def outline(self, document: TextDocument) -> Outline:
        """Return the outline of a document's present text; an empty one of another YAML file."""
        text, known = document.source, self._known.get(document.uri)
        if known is None or known[0] != text:
            known = text, self._read(text, path_of(document.uri))
            self._known[document.uri] = known
        return known[1]

    def _read(self, text: str, path: Path) -> Outline:
        if _PIPELINE.search(text) is None:
            return Outline()
        return read_outline(text, path, machine=self._machine)

    def look(self, uri: str, *, after_s: float = 0.0) -> None:
        """Publish what is wrong with a document, once it has been quiet for so long."""
        self._stop_waiting(uri)
        self._waiting[uri] = asyncio.ensure_future(self._look(uri, after_s))

    def forget(self, uri: str) -> None:
        """Take back what was said of a document that is closed."""
        self._stop_waiting(uri)
        self._known.pop(uri, None)
        self.text_document_publish_diagnostics(types.PublishDiagnosticsParams(uri, []))

    def changed_on_disk(self) -> None:
        """Look again at every open document: what it includes may be another."""
        self._known.clear()
        for uri in self.workspace.text_documents:
            self.look(uri)

    def _stop_waiting(self, uri: str) -> None:
        waiting = self._waiting.pop(uri, None)
        if waiting is not None:
            waiting.cancel()

    async def _look(self, uri: str, after_s: float) -> None:
        await asyncio.sleep(after_s)
        document = self.workspace.get_text_document(uri)
        found = self.outline(document).diagnostics
        said = diagnostics.published(found, path_of(uri), lines_of(document))
        self.text_document_publish_diagnostics(
            types.PublishDiagnosticsParams(uri, said, document.version)
        )


def path_of(uri: str) -> Path:
    """Return the path of a document; one that was never saved stands in the present folder."""
    parts = urlsplit(uri)
    return Path(unquote(parts.path)) if parts.scheme == "file" else Path.cwd() / "untitled.yaml"


def lines_of(document: TextDocument) -> list[str]:
    """Return a document's lines as YAML counts them, at least one."""
    return re.split(r"\r\n|\r|\n", document.source)


def make_server(*, machine: bool) -> PipelineServer:
    """Return a server that answers.

    Args:
        machine: Whether what this machine lacks is told, too.
    """
    server = PipelineServer(machine=machine)

    @server.feature(types.TEXT_DOCUMENT_DID_OPEN)
    async def opened(params: types.DidOpenTextDocumentParams) -> None:
        server.look(params.text_document.uri)

    @server.feature(types.TEXT_DOCUMENT_DID_CHANGE)
    async def changed(params: types.DidChangeTextDocumentParams) -> None:
        server.look(params.text_document.uri, after_s=_QUIET_S)

    @server.feature(types.TEXT_DOCUMENT_DID_SAVE)
    async def saved(_params: types.DidSaveTextDocumentParams) -> None:
        server.changed_on_disk()

    @server.feature(types.TEXT_DOCUMENT_DID_CLOSE)
    async def closed(params: types.DidCloseTextDocumentParams) -> None:
        server.forget(params.text_document.uri)

    @server.feature(
        types.TEXT_DOCUMENT_COMPLETION,
        types.CompletionOptions(trigger_characters=["{", ":", ".", ",", "[", " ", "/"]),
    )
    async def complete(params: types.CompletionParams) -> list[types.CompletionItem]:
        document = server.workspace.get_text_document(params.text_document.uri)
        lines, line = lines_of(document), params.position.line
        at = character(lines[line], params.position.character)
        where = cursor.before(lines, line, at)
        if not where.sort:
            return []
        replaced = types.Range(place(line, lines[line], where.start), params.position)
        closed = where.sort != "reference" or _CLOSED.match(lines[line][at:]) is not None
        items = answers.offered(where, server.outline(document), path_of(document.uri).parent)
        return [_placed(item, replaced, "" if closed else "}") for item in items]

    @server.feature(types.TEXT_DOCUMENT_HOVER)
    async def hover(params: types.HoverParams) -> types.Hover | None:
        document = server.workspace.get_text_document(params.text_document.uri)
        lines, line = lines_of(document), params.position.line
        at = character(lines[line], params.position.character)
        where, end = cursor.around(lines, line, at)
        if not where.sort:
            return None
        text = answers.told(where, server.outline(document), path_of(document.uri).parent)
        about = types.Range(place(line, lines[line], where.start), place(line, lines[line], end))
        marked = types.MarkupContent(types.MarkupKind.Markdown, text)
        return types.Hover(marked, about) if text else None

    @server.feature(
        types.TEXT_DOCUMENT_CODE_ACTION,
        types.CodeActionOptions(code_action_kinds=[types.CodeActionKind.QuickFix]),
    )
    async def mend(params: types.CodeActionParams) -> list[types.CodeAction]:
        document = server.workspace.get_text_document(params.text_document.uri)
        found = server.outline(document).diagnostics
        path, uri = path_of(document.uri), document.uri
        return diagnostics.fixes(found, path, lines_of(document), uri, params.range)

    return server


def _placed(
    item: types.CompletionItem, replaced: types.Range, closing: str
) -> types.CompletionItem:
    """Return an item with the text that takes the place of what was written of it."""
    text = item.insert_text or item.label
    more = "" if text.endswith((":", "/")) else closing
    item.insert_text, item.filter_text = None, item.label
    item.text_edit = types.TextEdit(replaced, text + more)
    return item
