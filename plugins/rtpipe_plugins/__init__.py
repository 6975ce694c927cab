"""The stages that ship with rtpipe, registered as any plugin would register its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rtpipe import hookimpl
from rtpipe_plugins.peers.realtime.stage import Realtime
from rtpipe_plugins.sinks.blackhole import Blackhole
from rtpipe_plugins.sinks.file_sink import FileSink
from rtpipe_plugins.sinks.process import ProcessSink
from rtpipe_plugins.sinks.recorder.stage import Recorder
from rtpipe_plugins.sinks.speaker.stage import Speaker
from rtpipe_plugins.sinks.stream.stage import Stream
from rtpipe_plugins.sources.file import File
from rtpipe_plugins.sources.mic import Mic
from rtpipe_plugins.sources.process import Process
from rtpipe_plugins.sources.rtsp.stage import Rtsp, Url
from rtpipe_plugins.sources.tone import Tone
from rtpipe_plugins.subscribers.exec import Exec
from rtpipe_plugins.subscribers.jsonl import Jsonl
from rtpipe_plugins.subscribers.log import Log
from rtpipe_plugins.subscribers.mqtt import Mqtt
from rtpipe_plugins.subscribers.python import Python
from rtpipe_plugins.subscribers.transcript.stage import Transcript
from rtpipe_plugins.subscribers.webhook import Webhook
from rtpipe_plugins.transforms.chime import Chime
from rtpipe_plugins.transforms.delay import Delay
from rtpipe_plugins.transforms.echo_cancel.stage import EchoCancel
from rtpipe_plugins.transforms.filter import Filter
from rtpipe_plugins.transforms.gain import Gain
from rtpipe_plugins.transforms.level import Level
from rtpipe_plugins.transforms.mix.stage import Mix
from rtpipe_plugins.transforms.mute_gate.stage import MuteGate
from rtpipe_plugins.transforms.resample import Resample
from rtpipe_plugins.transforms.vad import Vad

if TYPE_CHECKING:
    import click

    from rtpipe.stage import Stage


@hookimpl
def rtpipe_stages() -> list[type[Stage[Any]]]:
    """Return every kind that ships."""
    return [
        Mic,
        File,
        Rtsp,
        Url,
        Process,
        Tone,
        Gain,
        Vad,
        MuteGate,
        Resample,
        Filter,
        Mix,
        Delay,
        Level,
        Chime,
        EchoCancel,
        Realtime,
        Speaker,
        FileSink,
        ProcessSink,
        Stream,
        Recorder,
        Blackhole,
        Log,
        Jsonl,
        Exec,
        Python,
        Webhook,
        Mqtt,
        Transcript,
    ]


@hookimpl
def rtpipe_commands(cli: click.Group) -> None:
    """Add `devices` and `doctor`."""
    from rtpipe_plugins.commands import devices
    from rtpipe_plugins.commands.doctor import command as doctor

    devices.add_commands(cli)
    doctor.add_commands(cli)
