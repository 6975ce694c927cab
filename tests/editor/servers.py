"""The two servers that an editor has for a pipeline file, each in a subprocess."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from helpers.language_client import LanguageClient, language_server
from peers.javascript import installed, node
from rtpipe import MODELINE, write_editor_files

HERE = Path(__file__).parent
HEAD = f"{MODELINE}\nversion: 1\n"
_ON = {"yaml": {"validate": True, "completion": True, "hover": True}}


@contextmanager
def yaml_language_server(folder: Path) -> Iterator[LanguageClient]:
    """Start the server of most editors, from npm, in a folder with our schema."""
    write_editor_files(folder)
    server = installed(HERE) / "node_modules" / "yaml-language-server" / "bin"
    command = [node(), server / "yaml-language-server", "--stdio"]
    with language_server(command, folder, settings=_ON) as client:
        yield client


@contextmanager
def rtpipe_lsp(folder: Path, *options: str, **env: str) -> Iterator[LanguageClient]:
    """Start `rtpipe lsp` in a folder; `env` is on top of the environment."""
    command = [sys.executable, "-m", "rtpipe", "lsp", *options]
    with language_server(command, folder, env={**os.environ, **env}) as client:
        yield client
