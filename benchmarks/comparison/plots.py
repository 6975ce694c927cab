"""Draws the plots of the page, by matplotlib; run by an interpreter that has it.

    python -m benchmarks.comparison.plots RESULTS.json FOLDER DIGEST

Text stays text, the background is left out, and what is drawn in the colour of text follows the
reader's choice of light or dark. The same results give the same files; each says which they were.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import matplotlib as mpl

mpl.use("svg")

from matplotlib import pyplot as plt
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from benchmarks.comparison.figures import ratio, short, spread
from benchmarks.comparison.page import CURVES

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_TEXT = "#010203"
"""Stands for the colour of text until the style sheet of the picture takes over."""
_STYLE = f"""<style>
[style*="{_TEXT}"] {{ --ink: #24292f }}
@media (prefers-color-scheme: dark) {{ [style*="{_TEXT}"] {{ --ink: #d7dae0 }} }}
text[style*="{_TEXT}"] {{ fill: var(--ink) !important }}
path[style*="{_TEXT}"], use[style*="{_TEXT}"] {{ stroke: var(--ink) !important }}
</style>"""
_OURS, _FLOOR, _PEER = "#1a7fd4", "#2a9d5c", "#9a8a78"
_LINES = ("#1a7fd4", "#56b0f5", "#2a9d5c", "#d9822b", "#b05cc6")
"""Readable on white and on black."""
_WIDTH_IN, _ROW_IN = 8.4, 0.3


def main() -> None:
    """Draw all plots."""
    source, folder, digest = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]
    folder.mkdir(parents=True, exist_ok=True)
    mpl.rcParams.update(
        {
            "svg.fonttype": "none",
            "svg.hashsalt": "rtpipe",
            "font.family": "sans-serif",
            "font.size": 9,
            "text.color": _TEXT,
            "axes.edgecolor": _TEXT,
            "axes.labelcolor": _TEXT,
            "xtick.color": _TEXT,
            "ytick.color": _TEXT,
            "axes.spines.top": False,
            "axes.spines.right": False,
            "legend.frameon": False,
        }
    )
    for name, section in json.loads(source.read_text("utf-8"))["sections"].items():
        if name in CURVES:
            _curve(section, CURVES[name])
        else:
            _bars(section)
        _save(folder / f"{name}.svg", digest)


def _bars(section: dict[str, Any]) -> None:
    """Draw the first two figures, unless they are shares, as bars on a logarithmic scale."""
    shown = [figure for figure in section["figures"][:2] if not figure.endswith("%")]
    subjects = [
        subject
        for subject in section["subjects"]
        if any(spread(section, subject, figure) for figure in shown)
    ]
    size = (_WIDTH_IN, 0.9 + _ROW_IN * max(len(subjects), 1))
    _, panels = plt.subplots(1, len(shown), figsize=size, sharey=True, squeeze=False)
    for axes, figure in zip(panels[0], shown, strict=True):
        _panel(axes, section, subjects, figure)
    first = panels[0][0]
    first.set_yticks(range(len(subjects)), [subject.replace("`", "") for subject in subjects])
    first.invert_yaxis()


def _panel(axes: Axes, section: dict[str, Any], subjects: list[str], figure: str) -> None:
    """Draw a bar for each subject, with how many times it is the reference."""
    reference = section["reference"]
    least = most = 0.0
    for place, subject in enumerate(subjects):
        each = spread(section, subject, figure)
        if each is None or each.median <= 0:
            continue
        least = min(least or each.median, each.median)
        most = max(most, each.most)
        beyond = [[each.median - max(each.least, 1e-9)], [each.most - each.median]]
        axes.barh(place, each.median, color=_colour(subject), height=0.62)
        axes.errorbar(each.median, place, xerr=beyond, color=_TEXT, linewidth=0.9, capsize=2)
        times = ratio(section, (subject, figure), (reference, figure))
        label = short(each.median)
        if times is not None and subject != reference:
            label += f", {short(times.median)} ×"
        end = (max(each.most, each.median), place)
        axes.annotate(label, end, xytext=(5, 0), textcoords="offset points", va="center")
    if most:
        axes.set_xscale("log")
        axes.set_xlim(least / 2, most * (most / least) ** 0.5 * 2)
        _plain(axes, "x")
    axes.set_xlabel(figure)


def _curve(section: dict[str, Any], label: str) -> None:
    """Draw a line for each subject, both scales logarithmic."""
    _, axes = plt.subplots(figsize=(_WIDTH_IN, 3.6))
    unit = section["figures"][0].rpartition(" ")[2]
    for place, subject in enumerate(section["subjects"]):
        points = [
            (float(figure.split()[0]), each)
            for figure in section["figures"]
            if (each := spread(section, subject, figure)) is not None
        ]
        if not points:
            continue
        colour, places = _LINES[place % len(_LINES)], [point for point, _ in points]
        medians = [each.median for _, each in points]
        axes.plot(places, medians, marker="o", markersize=3.5, color=colour, label=subject)
        axes.fill_between(
            places,
            [each.least for _, each in points],
            [each.most for _, each in points],
            color=colour,
            alpha=0.2,
            linewidth=0,
        )
    axes.set_xscale("log")
    axes.set_yscale("log")
    counts = [float(figure.split()[0]) for figure in section["figures"]]
    axes.set_xticks(counts, [f"{count:g}" for count in counts])
    axes.xaxis.set_minor_formatter(NullFormatter())
    _plain(axes, "y")
    axes.set_xlabel(label)
    axes.set_ylabel(unit)
    axes.legend(fontsize=8)


def _colour(subject: str) -> str:
    if subject.startswith(("rtpipe", "`rtpipe", "first RTP")):
        return _OURS
    return _FLOOR if subject.startswith(("bare", "numpy", "`", "importing")) else _PEER


def _plain(axes: Axes, which: str) -> None:
    """Let a logarithmic axis show plain numbers."""
    axis = axes.xaxis if which == "x" else axes.yaxis
    axis.set_major_locator(LogLocator(subs=(1.0,) if which == "x" else (1.0, 2.0, 5.0)))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_formatter(NullFormatter())


def _save(path: Path, digest: str) -> None:
    plt.savefig(
        path,
        transparent=True,
        bbox_inches="tight",
        metadata={"Date": None, "Creator": None, "Description": f"results {digest}"},
    )
    plt.close()
    text = path.read_text("utf-8")
    head, tag, rest = text.partition("<defs>")
    lines = (head + _STYLE + "\n" + tag + rest).splitlines()
    path.write_text("\n".join(line.rstrip() for line in lines) + "\n", "utf-8")


if __name__ == "__main__":
    main()
