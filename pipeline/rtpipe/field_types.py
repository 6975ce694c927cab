"""Types of options that mean more than their text: files, and names of what is in the pipeline."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, TypeAlias

from pydantic import AfterValidator, ValidationInfo


def _beside_the_file(path: Path, info: ValidationInfo) -> Path:
    folder = (info.context or {}).get("folder")
    if folder is None:
        return path
    return Path(folder, os.path.expanduser(path))  # noqa: PTH111 - that of Path raises


InputPath: TypeAlias = Annotated[Path, AfterValidator(_beside_the_file), "input"]
"""A path that is read; relative to the pipeline file it stands in."""

OutputPath: TypeAlias = Annotated[Path, AfterValidator(_beside_the_file), "output"]
"""A path that is written, with strftime fields; relative to the pipeline file it stands in."""

SinkId: TypeAlias = Annotated[str, "sink"]
"""The id of a sink of the same pipeline; a file that names another stage is refused."""

EventGlob: TypeAlias = Annotated[str, "event"]
"""Events by name or glob; a file that names one that nobody publishes is refused."""
