"""A child's environment: ours, without the secrets and without what the pipeline's files read."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, TypeAlias

from pydantic import Field

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

_SECRET_ENDINGS = ("KEY", "TOKEN", "SECRET", "PASSWORD", "PASS")

GivenBack: TypeAlias = Annotated[
    tuple[Annotated[str, Field(pattern=r"^[^=\x00]+$")], ...],
    Field(
        description="Names of environment variables that it gets although they are withheld. It "
        "lacks what the pipeline's files read by `${env:…}` or `${cred:…}`, and every variable "
        "whose name ends in KEY, TOKEN, SECRET, PASSWORD or PASS, as OPENAI_API_KEY does."
    ),
]
"""`env: [NAME]`."""


@dataclass(frozen=True, slots=True)
class ChildEnvironment:
    """What a child gets of our environment.

    Attributes:
        variables: What it gets, by name.
        withheld: The names of what it does not get, sorted.
    """

    variables: Mapping[str, str]
    withheld: tuple[str, ...]


def child_environment(read: Collection[str] = (), given: Collection[str] = ()) -> ChildEnvironment:
    """Return what a child gets of our environment.

    Args:
        read: Names that the pipeline's files read: `StageContext.env_names`.
        given: Names that it gets all the same: the option `env`.
    """
    withheld = {
        name
        for name in os.environ
        if (name in read or name.upper().endswith(_SECRET_ENDINGS)) and name not in given
    }
    variables = {name: value for name, value in os.environ.items() if name not in withheld}
    return ChildEnvironment(variables, tuple(sorted(withheld)))
