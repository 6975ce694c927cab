"""The page about metrics."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rtpipe_control.view.metric_list import METRICS
from tools.reference.markdown import table

if TYPE_CHECKING:
    from collections.abc import Iterator


def metrics_page() -> Iterator[str]:
    """Yield the paragraphs about what `/metrics` tells."""
    yield "# Metrics"
    yield (
        "What `GET /metrics` of a running pipeline tells, in the text format of Prometheus: by TCP "
        "with `rtpipe run FILE --control` or a section `control:`, and over the private socket. A "
        "label holds an id of the file, or one of the words named here."
    )
    rows = [
        (f"`{name}`", about.kind, ", ".join(f"`{label}`" for label in about.labels), about.help)
        for name, about in METRICS.items()
    ]
    yield table(("Metric", "Kind", "Labels", ""), rows)
