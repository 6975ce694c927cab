"""What ships is imported when it is used, and what is said of it before is what it says itself."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import click
import numpy as np
import pytest

import rtpipe_plugins
from helpers.imports import HEAVY, loaded
from helpers.media_files import write_wav
from helpers.packages import needs_server
from rtpipe import LazyCommand, LazyKind
from rtpipe.catalogue.kinds import stage_summary
from rtpipe.catalogue.plugins import Registry
from rtpipe.cli import cli
from rtpipe.stage import family

PIPELINES = Path(__file__).parents[2] / "pipelines"


@pytest.mark.parametrize("lazy", rtpipe_plugins.rtpipe_stages(), ids=lambda lazy: lazy.kind)
def test_what_is_said_of_a_kind_that_ships_is_what_its_class_says(lazy: LazyKind) -> None:
    found = Registry()
    found.add_module("rtpipe_plugins")
    stage_type = found.kinds[lazy.kind]
    assert (lazy.kind, lazy.family) == (stage_type.kind, family(stage_type))
    assert lazy.summary == stage_summary(stage_type)


@pytest.mark.parametrize("lazy", rtpipe_plugins.rtpipe_commands(), ids=lambda lazy: lazy.name)
def test_what_is_said_of_a_command_that_ships_is_what_it_says(lazy: LazyCommand) -> None:
    command = cli.get_command(click.Context(cli), lazy.name)
    assert command is not None
    assert command.name == lazy.name
    assert command.get_short_help_str(limit=200).rstrip(".") == lazy.summary.rstrip(".")


def stages(modules: set[str]) -> set[str]:
    return {name for name in modules if name.startswith("rtpipe_plugins.")}


def test_a_check_loads_the_stages_that_the_file_names_and_nothing_heavy(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(
        "version: 1\nstages: [tone, gain: -6, blackhole]\n"
        "events: [log, {match: stage.*, do: gain.mute}]\n"
    )
    modules = loaded("validate", "a.yaml", folder=tmp_path)
    assert not HEAVY & modules
    used = {"sources.tone", "transforms.gain", "sinks.blackhole", "subscribers.log"}
    used |= {"sound.pacing", "sound.limiter", "sound.ramp"}  # their parts
    rooms = {name.partition(".")[0] for name in used}
    assert stages(modules) == {f"rtpipe_plugins.{name}" for name in used | rooms}


@needs_server
@pytest.mark.parametrize("command", ["validate", "graph", "print", "run --dry-run"])
def test_to_look_at_the_kiosk_loads_neither_media_nor_devices_nor_a_call(command: str) -> None:
    modules = loaded(*command.split(), "kiosk.yaml", folder=PIPELINES)
    assert not HEAVY & modules
    assert stages(modules) >= {"rtpipe_plugins.peers.realtime.stage"}
    call = "rtpipe_plugins.peers.realtime.dialects.openai"
    late = {f"{call}.{part}" for part in ("protocol", "signaling", "history", "media_server")}
    assert not modules & late
    assert {name for name in modules if name.startswith("rtpipe_realtime_server")} == {
        "rtpipe_realtime_server"
    }
    assert len(modules) < 600


def test_a_file_pipeline_that_runs_loads_no_network_and_no_device(tmp_path: Path) -> None:
    write_wav(tmp_path / "in.wav", np.zeros(4800, np.int16))
    path = tmp_path / "a.yaml"
    path.write_text("version: 1\nstages: [file: in.wav, gain: -6, file_sink: out.wav]\n")
    modules = loaded("run", "-q", "a.yaml", folder=tmp_path)
    assert (tmp_path / "out.wav").stat().st_size == 44 + 2 * 4800
    assert HEAVY & modules == {"av", "numpy"}
    families = {name.split(".")[1] for name in stages(modules)}
    assert not families & {"peers", "subscribers", "soundcard", "network"}
    assert len(modules) < 800


def test_no_kind_loads_what_only_moving_audio_needs() -> None:
    code = (
        "import sys, rtpipe_plugins; from rtpipe.catalogue.plugins import Registry\n"
        "found = Registry(); found.register(rtpipe_plugins); found.kinds.importable()\n"
        "assert not found.faulty; print(*sys.modules)"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not HEAVY & set(ran.stdout.split())
