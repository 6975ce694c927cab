"""Where a stage is in its life."""

from enum import StrEnum


class Status(StrEnum):
    """Where a stage is in its life."""

    STARTING = "starting"
    OK = "ok"
    RECOVERING = "recovering"
    FAILED = "failed"
    STOPPING = "stopping"
    STOPPED = "stopped"
