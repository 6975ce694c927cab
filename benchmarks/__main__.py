"""rtpipe beside its peers, and beside the floor: what it costs, how late it is, how it grows.

    python -m benchmarks --install                the peers, then all of it: about 20 minutes
    python -m benchmarks --only batch --rounds 3  one section; the others keep their figures
    python -m benchmarks --short                  a minute: rtpipe and its floor, writes nothing
    python -m benchmarks --page                   the page and its plots again, from the figures

Writes `benchmarks/results/performance.json` and `docs/explanation/performance.md`. No figure makes
it fail; a program of ours that does not run does.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import os
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.comparison import machine, peers
from benchmarks.comparison.figures import ratio, same_samples, spread
from benchmarks.comparison.page import digest, page, picture
from benchmarks.comparison.rounds import Runner, make_recording, measure, profiles
from benchmarks.comparison.sections import TICKER, sections
from benchmarks.comparison.subject import ROOT, Setting, Sizes, Subject

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.comparison.subject import Section

RESULTS = ROOT / "benchmarks" / "results" / "performance.json"
PAGE = ROOT / "docs" / "explanation" / "performance.md"
SHORT = Sizes(
    frames=500,
    repeats=1,
    seconds=1.0,
    batch_s=60,
    stage_counts=(1, 100),
    pipeline_counts=(20,),
    call_counts=(4,),
    lengths_ms=(20, 200),
)
_SHORT_ROUNDS = 1
_MEMORY = Path("/dev/shm")


def main() -> int:
    """Do what the command line asks for; return the exit code."""
    asked = _asked()
    if asked.page:
        return _page(asked)
    if asked.install:
        peers.install(asked.peers)
    short = asked.short
    sizes = (SHORT if short else Sizes()).scaled(asked.scale)
    with tempfile.TemporaryDirectory(dir=_MEMORY if _MEMORY.is_dir() else None) as folder:
        setting = Setting(asked.peers, Path(folder), sizes)
        wanted = [each for each in sections(setting) if each.name in asked.only or not asked.only]
        if short:
            wanted = [kept for each in wanted if (kept := _without_peers(each)).subjects]
        else:
            print("\n".join(peers.missing(asked.peers)) or "all peers are there", flush=True)
        if any(section.name == "batch" for section in wanted):
            make_recording(setting.recording, sizes.batch_s)
        load = os.getloadavg()[0]
        rounds = asked.rounds or (_SHORT_ROUNDS if short else 5)
        measured = measure(wanted, rounds, asked.seed, Runner(alone=not short))
        where = {} if short else profiles(_profiled(setting, wanted), Runner())
    results = {
        "machine": machine.machine(),
        "peers": {} if short else peers.versions(asked.peers),
        "date": dt.datetime.now(dt.UTC).date().isoformat(),
        "load": load,
        "rounds": rounds,
        "seed": asked.seed,
        "sections": {
            section.name: {
                "title": section.title,
                "says": section.says,
                "figures": section.figures,
                "reference": section.reference,
                "load": load,
                **measured[section.name],
            }
            for section in wanted
        },
        "profiles": where,
    }
    _print(results)
    if short:
        return _failed(results)
    _keep(asked.out, results, part=bool(asked.only))
    return _page(asked) or _failed(results)


def _asked() -> argparse.Namespace:
    names = [each.name for each in sections(Setting(Path(), Path(), Sizes()))]
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--rounds", type=int, help="how often (5; with --short 1)")
    parser.add_argument("--seed", type=int, default=1, help="of the order within a round (1)")
    parser.add_argument("--only", action="append", choices=names, default=[], metavar="SECTION")
    parser.add_argument("--short", action="store_true", help="rtpipe and its floor, small")
    parser.add_argument("--scale", type=float, default=1.0, help="all sizes times this, to try it")
    parser.add_argument("--install", action="store_true", help="make the peers that are missing")
    parser.add_argument("--page", action="store_true", help="only make the page and the plots")
    parser.add_argument("--check", action="store_true", help="with --page: 1 if it is not current")
    parser.add_argument("--out", type=Path, default=RESULTS, help="the file of the figures")
    parser.add_argument(
        "--peers", type=Path, default=Path(tempfile.gettempdir()) / "rtpipe-peers", help="folder"
    )
    return parser.parse_args()


def _without_peers(section: Section) -> Section:
    """Return what of a section needs rtpipe alone."""
    ours = tuple(subject for subject in section.subjects if subject.ours)
    return replace(section, subjects=ours)


def _profiled(setting: Setting, wanted: Sequence[Section]) -> dict[str, Subject]:
    """Return what shows where the time goes, of the sections that are measured."""
    module = (sys.executable, "-m")
    kiosk = str(ROOT / "pipelines" / "kiosk.yaml")
    frames = "benchmarks.subjects.rtpipe_frames"
    target = str(setting.work / "profiled.wav")
    batch = ("benchmarks.subjects.batch_rtpipe", str(setting.recording), target, "--profile")
    subjects = {
        "frames": (*module, frames, "fused", "profile"),
        "density": (*module, frames, "ticker", "profile"),
        "memory": (*module, frames, "queue", "objects"),
        "batch": (*module, *batch),
        "start": (*module, "benchmarks.subjects.imports", "-m", "rtpipe", "validate", kiosk),
    }
    names = {section.name for section in wanted}
    return {name: Subject(name, words) for name, words in subjects.items() if name in names}


def _keep(path: Path, results: dict[str, Any], *, part: bool) -> None:
    """Write the figures; a part of them takes the place of its own sections alone."""
    if part and path.is_file():
        kept = json.loads(path.read_text("utf-8"))
        kept["sections"] |= results["sections"]
        kept["profiles"] |= results["profiles"]
        results = kept
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(results, indent=1, ensure_ascii=False) + "\n", "utf-8")


def _page(asked: argparse.Namespace) -> int:
    """Make the page and its plots, or look whether they are current; return the exit code."""
    results = json.loads(asked.out.read_text("utf-8"))
    target = PAGE if asked.out == RESULTS else asked.out.with_suffix(".md")
    text, mark = page(results), digest(results)
    pictures = [target.parent / picture(name) for name in results["sections"]]
    if asked.check:
        stale = [] if target.is_file() and target.read_text("utf-8") == text else [target]
        stale += [
            each
            for each in pictures
            if not each.is_file() or f"results {mark}" not in each.read_text("utf-8")
        ]
        for each in stale:
            print(f"{each} is stale: run python -m benchmarks --page")
        return 1 if stale else 0
    target.write_text(text, "utf-8")
    folder = str(pictures[0].parent)
    command = [peers.python(asked.peers, "plots"), "-m", "benchmarks.comparison.plots"]
    try:
        subprocess.run([*command, str(asked.out), folder, mark], cwd=ROOT, check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        print(f"the page is made, its plots are not: {error}; python -m benchmarks --install")
        return 1
    print(f"wrote {target} and {len(pictures)} plots")
    return 0


def _print(results: dict[str, Any]) -> None:
    """Print a line for each subject."""
    print(", ".join(f"{name} {value}" for name, value in results["machine"].items()))
    for section in results["sections"].values():
        print(f"\n{section['title']}: {', '.join(section['figures'])}")
        reference, main = section["reference"], section["figures"][0]
        for subject in section["subjects"]:
            shown = [spread(section, subject, figure) for figure in section["figures"]]
            times = ratio(section, (subject, main), (reference, main))
            cells = " ".join(f"{'' if each is None else each.text():>24}" for each in shown)
            beside = "" if times is None else f"  {times.text()} × {reference}"
            print(f"  {subject[:44]:44} {cells}{beside}")
        if section["outputs"]:
            print(f"  {same_samples(section)}")


def _failed(results: dict[str, Any]) -> int:
    """Return 1 if a program of ours failed: a peer that does is told, and no more."""
    failed = [
        f"{subject}: {reason}"
        for section in results["sections"].values()
        for subject, reason in section["failed"].items()
        if subject.startswith(("rtpipe", "`rtpipe", TICKER))
    ]
    print("\n".join(failed))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
