"""The stages that are installed, for a test over all of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rtpipe.catalogue.plugins import Registry
from rtpipe.errors import PluginError

if TYPE_CHECKING:
    from rtpipe.stage import Stage


def stage_types(distribution: str | None = None) -> list[type[Stage[Any]]]:
    """Return the stages that plugins have installed, to parametrise a test with.

    `@pytest.mark.parametrize("stage_type", stage_types("rtpipe-tremolo"))` above a test that calls
    `check_stage(stage_type)` checks all that a package brings.

    Args:
        distribution: Only those of this one, as `pip list` calls it; None: of all.

    Raises:
        PluginError: One of its plugins cannot be used, or it has no stage.
    """
    registry = Registry.discover()
    found = []
    for record in registry.records:
        if distribution is not None and record.origin.partition(" ")[0] != distribution:
            continue
        if record.error is not None:
            raise PluginError(f"the plugin `{record.name}` cannot be used: {record.error}")
        found += [registry.kinds[kind] for kind in record.kinds]
    if not found:
        raise PluginError(f"{distribution or 'what is installed'} has no stage")
    return found
