"""Folders and files that are written whole or not at all, from templates."""

from __future__ import annotations

import json
import os
import re
import shutil
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from rtpipe import ExitCode, RtpipeError, reason_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

TEMPLATES = Path(__file__).parent / "templates"
_PLACE = re.compile(r"@([a-z]+?)(_yaml)?@")


def filled(template: str, values: Mapping[str, str]) -> str | bytes:
    """Return a template's text: `@name@` is a value, `@name_yaml@` that value as YAML has it.

    What is no text comes back as it is.
    """
    data = (TEMPLATES / template).read_bytes()
    try:
        text = data.decode()
    except UnicodeDecodeError:
        return data

    def value(found: re.Match[str]) -> str:
        said = values[found[1]]
        return json.dumps(said.replace("$", "$$"), ensure_ascii=False) if found[2] else said

    return _PLACE.sub(value, text)


@contextmanager
def new_folder(folder: Path) -> Iterator[Path]:
    """Give a folder to write into; it stands in the place of `folder` when all is written.

    Raises:
        RtpipeError: There is something already, or it cannot be written.
    """
    try:
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise RtpipeError(
                f"{folder} is there already, and not empty",
                help="name another, or move it away: nothing of yours is overwritten",
                exit_code=ExitCode.USAGE,
            )
        above = folder.absolute().parent
        above.mkdir(parents=True, exist_ok=True)
        place = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=above))
        try:
            yield place
            place.chmod(0o777 & ~_umask())
            if folder.exists():
                folder.rmdir()
            place.rename(folder)
        except BaseException:
            shutil.rmtree(place, ignore_errors=True)
            raise
    except OSError as error:
        raise RtpipeError(
            f"cannot write {folder}: {reason_of(error)}", exit_code=ExitCode.NO_PERMISSION
        ) from None


def written(path: Path, content: str | bytes) -> None:
    """Write a file and the folders above it.

    Raises:
        RtpipeError: It is there already, or cannot be written.
    """
    data = content.encode() if isinstance(content, str) else content
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("xb") as file:
            file.write(data)
    except FileExistsError:
        raise RtpipeError(
            f"{path} is there already: nothing of yours is overwritten", exit_code=ExitCode.USAGE
        ) from None
    except OSError as error:
        raise RtpipeError(
            f"cannot write {path}: {reason_of(error)}", exit_code=ExitCode.NO_PERMISSION
        ) from None


def write_private(path: Path, text: str) -> None:
    """Write a file that nobody else may read, at no moment."""
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(text)


def _umask() -> int:
    mask = os.umask(0o077)
    os.umask(mask)
    return mask
