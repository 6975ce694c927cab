"""The stages that ship with rtpipe, registered as any plugin would register its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rtpipe import hookimpl
from rtpipe_plugins.blackhole import Blackhole
from rtpipe_plugins.chime import Chime
from rtpipe_plugins.delay import Delay
from rtpipe_plugins.echo_cancel import EchoCancel
from rtpipe_plugins.file import File
from rtpipe_plugins.file_sink import FileSink
from rtpipe_plugins.filter import Filter
from rtpipe_plugins.gain import Gain
from rtpipe_plugins.level import Level
from rtpipe_plugins.mic import Mic
from rtpipe_plugins.mix import Mix
from rtpipe_plugins.mute_gate import MuteGate
from rtpipe_plugins.process import Process, ProcessSink
from rtpipe_plugins.realtime.stage import Realtime
from rtpipe_plugins.recorder import Recorder
from rtpipe_plugins.resample import Resample
from rtpipe_plugins.rtsp import Rtsp, Url
from rtpipe_plugins.speaker import Speaker
from rtpipe_plugins.stream import Stream
from rtpipe_plugins.subscribers.exec import Exec
from rtpipe_plugins.subscribers.jsonl import Jsonl
from rtpipe_plugins.subscribers.log import Log
from rtpipe_plugins.subscribers.mqtt import Mqtt
from rtpipe_plugins.subscribers.python import Python
from rtpipe_plugins.subscribers.transcript import Transcript
from rtpipe_plugins.subscribers.webhook import Webhook
from rtpipe_plugins.tone import Tone
from rtpipe_plugins.vad import Vad

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
    """Add `devices`, `doctor` and `serve-realtime`."""
    from rtpipe_plugins import devices, doctor
    from rtpipe_plugins.realtime_server import commands

    devices.add_commands(cli)
    doctor.add_commands(cli)
    commands.add_commands(cli)
