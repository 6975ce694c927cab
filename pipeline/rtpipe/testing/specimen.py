"""The specimens of a stage, one after the other, with the surroundings that each needs."""

from __future__ import annotations

from contextlib import closing, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

    from rtpipe.examination import Specimen
    from rtpipe.stage import Stage


@contextmanager
def specimens_of(stage_type: type[Stage[Any]], otherwise: Specimen) -> Iterator[Iterator[Specimen]]:
    """Give the specimens of a stage, in a folder that goes with them; `otherwise` if it has none.

    Raises:
        EnvironmentProblem: What one needs is not here.
    """
    with TemporaryDirectory(prefix="rtpipe-specimen-") as folder:

        def each() -> Generator[Specimen]:
            found = False
            for specimen in stage_type.specimens(Path(folder)):
                found = True
                yield specimen
            if not found:
                yield otherwise

        with closing(each()) as specimens:
            yield specimens
