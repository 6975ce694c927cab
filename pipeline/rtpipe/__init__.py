"""rtpipe: a YAML file becomes a live audio pipeline. What plugins and programs import."""

from rtpipe import audio
from rtpipe.audio import ANY, CANONICAL, AudioFormat, AudioFrame
from rtpipe.backoff import Backoff
from rtpipe.bus import Bus, Mailbox, Pattern
from rtpipe.clock import Clock
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
from rtpipe.examination import Finding, OptionModel
from rtpipe.hookspecs import hookimpl
from rtpipe.link import Link, LinkClosed, LinkStatistics, QueuePolicy, WhenFull
from rtpipe.modules import import_file
from rtpipe.recent import Recent
from rtpipe.stage import (
    InputPath,
    Options,
    OutputPath,
    Peer,
    Send,
    Sink,
    SinkId,
    Source,
    StageContext,
    Subscriber,
    Transform,
    action,
)
from rtpipe.timeline import Timeline

__all__ = [
    "ANY",
    "CANONICAL",
    "AudioFormat",
    "AudioFrame",
    "Backoff",
    "Bus",
    "Clock",
    "ConfigError",
    "Converter",
    "EnvironmentProblem",
    "Event",
    "ExitCode",
    "Finding",
    "FormatError",
    "Importance",
    "InputPath",
    "Link",
    "LinkClosed",
    "LinkStatistics",
    "Mailbox",
    "NotConnected",
    "OptionModel",
    "Options",
    "OutputPath",
    "Pattern",
    "Peer",
    "PluginError",
    "QueuePolicy",
    "Recent",
    "RtpipeError",
    "Send",
    "Sink",
    "SinkId",
    "Slicer",
    "Source",
    "StageContext",
    "StageError",
    "Subscriber",
    "Timeline",
    "Transform",
    "WhenFull",
    "action",
    "audio",
    "hookimpl",
    "import_file",
    "reason_of",
]
