"""A client of language servers, as an editor is one: LSP over a subprocess's stdin and stdout."""

from __future__ import annotations

import json
import queue
import re
import subprocess
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

CURSOR = "▮"
_WAIT_S = 60

Json = dict[str, Any]


@dataclass
class LanguageClient:
    """Speaks to one server; answers what it asks, and keeps the diagnostics that it sends."""

    process: subprocess.Popen[bytes]
    settings: Mapping[str, Any] = field(default_factory=dict)
    capabilities: Json = field(default_factory=dict)
    _received: queue.SimpleQueue[Json | None] = field(default_factory=queue.SimpleQueue)
    _diagnostics: dict[str, list[Json]] = field(default_factory=dict)
    _ids: int = 0
    _versions: dict[str, int] = field(default_factory=dict)

    def initialize(self, folder: Path) -> Json:
        threading.Thread(target=self._read, daemon=True).start()
        answer = self.request(
            "initialize",
            {
                "processId": None,
                "rootUri": folder.as_uri(),
                "workspaceFolders": [{"uri": folder.as_uri(), "name": folder.name}],
                "capabilities": {
                    "workspace": {"configuration": True, "workspaceFolders": True},
                    "textDocument": {
                        "completion": {
                            "completionItem": {
                                "snippetSupport": True,
                                "documentationFormat": ["markdown", "plaintext"],
                            }
                        },
                        "hover": {"contentFormat": ["markdown", "plaintext"]},
                        "publishDiagnostics": {"relatedInformation": True, "versionSupport": True},
                        "codeAction": {
                            "codeActionLiteralSupport": {
                                "codeActionKind": {"valueSet": ["quickfix"]}
                            }
                        },
                    },
                },
            },
        )
        self.capabilities = answer["capabilities"]
        self.notify("initialized", {})
        return self.capabilities

    def request(self, method: str, params: Any) -> Any:
        self._ids += 1
        number = self._ids
        self._send({"id": number, "method": method, "params": params})
        while True:
            message = self._next(method)
            if message.get("id") == number and "method" not in message:
                if "error" in message:
                    raise AssertionError(f"{method}: {message['error']}")
                return message.get("result")

    def notify(self, method: str, params: Any) -> None:
        self._send({"method": method, "params": params})

    def show(self, path: Path, text: str) -> str:
        """Open a document with this text, or change the one that is open; return its URI."""
        uri = path.as_uri()
        self._diagnostics.pop(uri, None)
        version = self._versions[uri] = self._versions.get(uri, 0) + 1
        if version == 1:
            document = {"uri": uri, "languageId": "yaml", "version": version, "text": text}
            self.notify("textDocument/didOpen", {"textDocument": document})
        else:
            document = {"uri": uri, "version": version}
            changes = {"textDocument": document, "contentChanges": [{"text": text}]}
            self.notify("textDocument/didChange", changes)
        return uri

    def diagnostics(self, path: Path, text: str) -> list[Json]:
        """Return what the server says of a text, which nobody saved."""
        uri = self.show(path, text)
        while uri not in self._diagnostics:
            self._next("diagnostics")
        return self._diagnostics[uri]

    def said_again(self, path: Path, method: str, params: Json) -> list[Json]:
        """Tell the server something; return what it then says of a document that is open."""
        uri = path.as_uri()
        self._diagnostics.pop(uri, None)
        self.notify(method, params)
        while uri not in self._diagnostics:
            self._next("diagnostics")
        return self._diagnostics[uri]

    def at(self, path: Path, marked: str, method: str) -> Any:
        """Return the answer for the place of the cursor's mark in a text."""
        text, position = cut(marked)
        uri = self.show(path, text)
        return self.request(method, {"textDocument": {"uri": uri}, "position": position})

    def completions(self, path: Path, marked: str) -> list[Json]:
        answer = self.at(path, marked, "textDocument/completion")
        found: list[Json] = answer["items"] if isinstance(answer, dict) else answer or []
        return found

    def hover(self, path: Path, marked: str) -> str:
        answer = self.at(path, marked, "textDocument/hover")
        if not answer:
            return ""
        contents = answer["contents"]
        return str(contents["value"] if isinstance(contents, dict) else contents)

    def _send(self, message: Json) -> None:
        body = json.dumps({"jsonrpc": "2.0", **message}).encode()
        assert self.process.stdin is not None
        self.process.stdin.write(b"Content-Length: %d\r\n\r\n%s" % (len(body), body))
        self.process.stdin.flush()

    def _next(self, waiting_for: str) -> Json:
        """Return the next message; what the server asks is answered, what it publishes kept."""
        try:
            message = self._received.get(timeout=_WAIT_S)
        except queue.Empty:
            raise AssertionError(f"no answer to {waiting_for} in {_WAIT_S} s") from None
        if message is None:
            raise AssertionError(f"the server ended before {waiting_for}")
        if "method" in message and "id" in message:
            self._send({"id": message["id"], "result": self._answer(message)})
        elif message.get("method") == "textDocument/publishDiagnostics":
            params = message["params"]
            current = self._versions.get(params["uri"])
            if params.get("version", current) == current:
                self._diagnostics[params["uri"]] = params["diagnostics"]
        return message

    def _answer(self, message: Json) -> Any:
        if message["method"] == "workspace/configuration":
            sections = [item.get("section", "") for item in message["params"]["items"]]
            return [self.settings.get(section) for section in sections]
        return None

    def _read(self) -> None:
        stream = self.process.stdout
        assert stream is not None
        while True:
            length = 0
            while line := stream.readline().strip():
                name, _, value = line.partition(b":")
                if name.lower() not in {b"content-length", b"content-type"}:
                    self._received.put(None)  # what is no message ends the conversation
                    return
                if name.lower() == b"content-length":
                    length = int(value)
            if not length:
                self._received.put(None)
                return
            self._received.put(json.loads(stream.read(length)))


@contextmanager
def language_server(
    command: Sequence[str | Path],
    folder: Path,
    *,
    settings: Mapping[str, Any] | None = None,
    env: Mapping[str, str] | None = None,
) -> Iterator[LanguageClient]:
    """Start a server in a folder; at the end it is told to go, and must."""
    process = subprocess.Popen(
        command, cwd=folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=env
    )
    client = LanguageClient(process, settings or {})
    try:
        client.initialize(folder)
        yield client
        client.request("shutdown", None)
        client.notify("exit", None)
        assert process.wait(_WAIT_S) == 0
    finally:
        process.kill()
        process.wait()
        for stream in (process.stdin, process.stdout):
            if stream is not None:
                stream.close()


def cut(marked: str) -> tuple[str, Json]:
    """Return a text without its cursor's mark, and the place of that."""
    before, mark, after = marked.partition(CURSOR)
    assert mark, f"no {CURSOR} in {marked!r}"
    lines = before.split("\n")
    return before + after, {"line": len(lines) - 1, "character": units(lines[-1])}


def units(text: str) -> int:
    """Return the length of a text as LSP counts it: in UTF-16 code units."""
    return len(text.encode("utf-16-le")) // 2


def accept(marked: str, item: Json) -> str:
    """Return the text once an item of a completion is chosen, with the cursor's mark behind it.

    As an editor does it: a snippet's places take what they propose, the cursor stands in the first;
    further lines are indented as the line is.
    """
    text, position = cut(marked)
    edit = item.get("textEdit")
    inserted = edit["newText"] if edit else item.get("insertText", item["label"])
    if item.get("insertTextFormat") == 2:
        inserted = expanded(inserted)
    lines = text.split("\n")
    start, end = (position, position) if edit is None else edit_range(edit)
    if edit is None:
        word = re.search(r"[\w.-]*$", lines[position["line"]][: position["character"]])
        assert word is not None
        start = {**position, "character": word.start()}
    line = lines[start["line"]]
    indent = line[: len(line) - len(line.lstrip(" "))]
    inserted = inserted.replace("\n", f"\n{indent}")
    before = "\n".join([*lines[: start["line"]], line[: start["character"]]])
    after = "\n".join([lines[end["line"]][end["character"] :], *lines[end["line"] + 1 :]])
    return before + inserted + after


def edit_range(edit: Json) -> tuple[Json, Json]:
    """Return where an edit begins and ends."""
    span = edit.get("range") or edit["replace"]
    return span["start"], span["end"]


def expanded(snippet: str) -> str:
    """Return what a snippet leaves where each of its places is passed over."""
    place = r"\$\{\d+\|((?:[^|\\]|\\.)*)\|\}|\$\{\d+:((?:[^{}\\]|\\.)*)\}|\$\d+|\$\{\d+\}"

    def filled(found: re.Match[str]) -> str:
        if found[1] is not None:
            return re.split(r"(?<!\\),", found[1])[0]
        return found[2] or ""

    return re.sub(r"\\([$}\\|,])", r"\1", re.sub(rf"(?<!\\)(?:{place})", filled, snippet))


def underlined(marked: str) -> tuple[str, Json, Json]:
    """Return a text without its marks «», and the places of those."""
    text, start = cut(marked.replace("«", CURSOR))
    text, end = cut(text.replace("»", CURSOR))
    return text, start, end
