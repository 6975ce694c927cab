"""rtpipe: a YAML file becomes a live audio pipeline. What plugins and programs import.

A name is imported when it is first used, so `import rtpipe` costs next to nothing.

PYTEST_DONT_REWRITE: who has imported it before pytest, which finds our fixtures, is not warned.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    __version__: str
    """That of the installed package; "unknown" where it is not installed."""

    from rtpipe import audio
    from rtpipe.actions import action
    from rtpipe.backoff import Backoff
    from rtpipe.bus import Bus, Mailbox, Pattern
    from rtpipe.catalogue.editor import MODELINE, write_editor_files
    from rtpipe.catalogue.modules import import_file
    from rtpipe.catalogue.trust import trust_folder
    from rtpipe.clock import Clock, local_time, randomness
    from rtpipe.convert import Converter, Slicer
    from rtpipe.errors import (
        ConfigError,
        EnvironmentProblem,
        ExitCode,
        FormatError,
        NotConnected,
        PluginError,
        RtpipeError,
        StageError,
        reason_of,
    )
    from rtpipe.events import Event, Importance
    from rtpipe.examination import (
        Finding,
        Ineffective,
        MachineLook,
        OptionModel,
        Specimen,
        Surroundings,
    )
    from rtpipe.field_types import EventGlob, InputPath, OutputPath, SinkId
    from rtpipe.formats import ANY, CANONICAL, AudioFormat
    from rtpipe.hookspecs import LazyCommand, LazyKind, hookimpl
    from rtpipe.language.examining import installed_kinds, installed_stages, probe, stages_of
    from rtpipe.language.outline import Outline, read_outline
    from rtpipe.language.outputs import redirect_outputs
    from rtpipe.language.spec import PipelineSpec, StageSpec
    from rtpipe.link import Link, LinkClosed, LinkStatistics, QueuePolicy, WhenFull
    from rtpipe.recent import Recent
    from rtpipe.running.app_frames import FrameSink, FrameSource
    from rtpipe.running.embedding import load, loads, run
    from rtpipe.running.runtime import Pipeline
    from rtpipe.running.timeline import Timeline
    from rtpipe.stage import (
        Options,
        Peer,
        Send,
        Sink,
        Source,
        Stage,
        StageContext,
        Subscriber,
        Transform,
    )
    from rtpipe.waveform import AudioFrame
    from rtpipe.wording.diagnostics import Diagnostic, Remedy

__all__ = [
    "ANY",
    "CANONICAL",
    "MODELINE",
    "AudioFormat",
    "AudioFrame",
    "Backoff",
    "Bus",
    "Clock",
    "ConfigError",
    "Converter",
    "Diagnostic",
    "EnvironmentProblem",
    "Event",
    "EventGlob",
    "ExitCode",
    "Finding",
    "FormatError",
    "FrameSink",
    "FrameSource",
    "Importance",
    "Ineffective",
    "InputPath",
    "LazyCommand",
    "LazyKind",
    "Link",
    "LinkClosed",
    "LinkStatistics",
    "MachineLook",
    "Mailbox",
    "NotConnected",
    "OptionModel",
    "Options",
    "Outline",
    "OutputPath",
    "Pattern",
    "Peer",
    "Pipeline",
    "PipelineSpec",
    "PluginError",
    "QueuePolicy",
    "Recent",
    "Remedy",
    "RtpipeError",
    "Send",
    "Sink",
    "SinkId",
    "Slicer",
    "Source",
    "Specimen",
    "Stage",
    "StageContext",
    "StageError",
    "StageSpec",
    "Subscriber",
    "Surroundings",
    "Timeline",
    "Transform",
    "WhenFull",
    "action",
    "audio",
    "hookimpl",
    "import_file",
    "installed_kinds",
    "installed_stages",
    "load",
    "loads",
    "local_time",
    "probe",
    "randomness",
    "read_outline",
    "reason_of",
    "redirect_outputs",
    "run",
    "stages_of",
    "trust_folder",
    "write_editor_files",
]

__provisional__ = frozenset(
    [
        "Backoff",
        "Bus",
        "Converter",
        "Diagnostic",
        "Ineffective",
        "LazyCommand",
        "LinkStatistics",
        "MODELINE",
        "MachineLook",
        "Outline",
        "read_outline",
        "Mailbox",
        "OptionModel",
        "PipelineSpec",
        "Pattern",
        "QueuePolicy",
        "Recent",
        "Remedy",
        "Slicer",
        "Specimen",
        "StageSpec",
        "Surroundings",
        "Timeline",
        "import_file",
        "installed_kinds",
        "local_time",
        "installed_stages",
        "probe",
        "randomness",
        "redirect_outputs",
        "stages_of",
        "trust_folder",
        "write_editor_files",
        "ConfigError.looked_at",
        "Link.abandon",
        "Link.adopt",
        "Link.enqueue",
        "Link.hand_over",
        "Link.insist",
        "Link.offer",
        "Link.refuse",
        "Link.room",
        "Pipeline.apply",
        "Pipeline.describe",
        "Pipeline.graph",
        "Pipeline.links",
        "Pipeline.loader",
        "Pipeline.plan",
        "Pipeline.plan_for",
        "Pipeline.refusals",
        "Pipeline.reload",
        "Pipeline.spec",
        "Sink.consume_at",
        "Stage.change",
        "Stage.change_heard",
        "Stage.examine_surroundings",
        "Stage.external",
        "Stage.live",
        "Stage.specimens",
        "Stage.tells_taps",
        "StageContext.close",
        "StageContext.flush_after",
        "StageContext.listened_as",
        "StageContext.place",
        "StageContext.published_after",
        "StageContext.taps",
        "StageContext.tell_taps",
        "Subscriber.hears",
        "Transform.ended_at",
        "Transform.process_at",
    ]
)
"""What may still change at any time; the rest changes in a minor version only (ADR 47)."""

_HOMES = {
    "rtpipe.actions": "action",
    "rtpipe.backoff": "Backoff",
    "rtpipe.bus": "Bus Mailbox Pattern",
    "rtpipe.catalogue.editor": "MODELINE write_editor_files",
    "rtpipe.catalogue.modules": "import_file",
    "rtpipe.catalogue.trust": "trust_folder",
    "rtpipe.clock": "Clock local_time randomness",
    "rtpipe.convert": "Converter Slicer",
    "rtpipe.errors": "ConfigError EnvironmentProblem ExitCode FormatError NotConnected "
    "PluginError RtpipeError StageError reason_of",
    "rtpipe.events": "Event Importance",
    "rtpipe.examination": "Finding Ineffective MachineLook OptionModel Specimen Surroundings",
    "rtpipe.field_types": "EventGlob InputPath OutputPath SinkId",
    "rtpipe.formats": "ANY CANONICAL AudioFormat",
    "rtpipe.hookspecs": "LazyCommand LazyKind hookimpl",
    "rtpipe.language.examining": "installed_kinds installed_stages probe stages_of",
    "rtpipe.language.outline": "Outline read_outline",
    "rtpipe.language.outputs": "redirect_outputs",
    "rtpipe.language.spec": "PipelineSpec StageSpec",
    "rtpipe.link": "Link LinkClosed LinkStatistics QueuePolicy WhenFull",
    "rtpipe.recent": "Recent",
    "rtpipe.running.embedding": "load loads run",
    "rtpipe.running.app_frames": "FrameSink FrameSource",
    "rtpipe.running.runtime": "Pipeline",
    "rtpipe.stage": "Options Peer Send Sink Source Stage StageContext Subscriber Transform",
    "rtpipe.running.timeline": "Timeline",
    "rtpipe.waveform": "AudioFrame",
    "rtpipe.wording.diagnostics": "Diagnostic Remedy",
}
"""Where each name is defined, and imported from when it is first used."""

if not TYPE_CHECKING:
    _HOME = {name: home for home, names in _HOMES.items() for name in names.split()}

    def __getattr__(name: str) -> Any:
        """Return a public name, from now on a name of this module like any other."""
        if name == "audio":
            return import_module("rtpipe.audio")
        if name == "__version__":
            found = _version()
        elif name in _HOME:
            found = getattr(import_module(_HOME[name]), name)
        else:
            raise AttributeError(f"module 'rtpipe' has no attribute {name!r}")
        globals()[name] = found
        return found

    def _version() -> str:
        metadata = import_module("importlib.metadata")
        try:
            return metadata.version("rtpipe-media")
        except metadata.PackageNotFoundError:
            return "unknown"

    def __dir__() -> list[str]:
        """Return the public names, whether they were used yet or not."""
        return sorted({*globals(), *__all__})
