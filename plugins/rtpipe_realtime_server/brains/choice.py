"""Which brain a server has, and what goes wrong: the command's choice and the pipeline file's."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rtpipe_realtime_server.brains import speech
from rtpipe_realtime_server.brains.script import load_script
from rtpipe_realtime_server.brains.script_brain import ScriptBrain

if TYPE_CHECKING:
    from pathlib import Path

    from rtpipe_realtime_server.faults.knobs import Faults
    from rtpipe_realtime_server.talk.brain import Brain


def brain_and_faults(
    *, rules: Path | None, model: Path | None, script: Path | None, faults: Faults
) -> tuple[Brain, Faults]:
    """Return the brain, and the faults of its script with `faults` on top.

    Args:
        rules: The desk's rules file; None takes the one that ships.
        model: Folder of a faster-whisper model; None takes the one that `speech` installs.
        script: A dialogue to follow in place of the rules.
        faults: What goes wrong besides.

    Raises:
        ConfigError: A file is wrong.
    """
    if script is None:
        return speech.brain_from_options(rules=rules, model=model), faults
    told = load_script(script)
    voice = speech.brain_from_options(model=model) if told.speaks else None
    return ScriptBrain(told, voice), told.faults.overlaid(faults)
