"""rtpipe: a YAML file becomes a live audio pipeline. What plugins and programs import."""

from rtpipe import audio
from rtpipe.audio import ANY, CANONICAL, AudioFormat, AudioFrame
from rtpipe.bus import Bus, Mailbox, Pattern
from rtpipe.clock import Clock
from rtpipe.convert import Converter
from rtpipe.errors import (
    ConfigError,
    EnvironmentProblem,
    ExitCode,
    FormatError,
    NotConnected,
    PluginError,
    RtpipeError,
    StageError,
)
from rtpipe.events import Event, Importance
from rtpipe.hookspecs import hookimpl
from rtpipe.link import Link, LinkClosed, LinkStatistics, QueuePolicy, WhenFull
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

__all__ = [
    "ANY",
    "CANONICAL",
    "AudioFormat",
    "AudioFrame",
    "Bus",
    "Clock",
    "ConfigError",
    "Converter",
    "EnvironmentProblem",
    "Event",
    "ExitCode",
    "FormatError",
    "Importance",
    "InputPath",
    "Link",
    "LinkClosed",
    "LinkStatistics",
    "Mailbox",
    "NotConnected",
    "Options",
    "OutputPath",
    "Pattern",
    "Peer",
    "PluginError",
    "QueuePolicy",
    "RtpipeError",
    "Send",
    "Sink",
    "SinkId",
    "Source",
    "StageContext",
    "StageError",
    "Subscriber",
    "Transform",
    "WhenFull",
    "action",
    "audio",
    "hookimpl",
]
