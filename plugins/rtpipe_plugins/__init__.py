"""The stages that ship with rtpipe, registered as any plugin would register its own.

Hook implementations only: each kind and each command is imported when it is first used.
"""

from rtpipe import LazyCommand, LazyKind, hookimpl


@hookimpl
def rtpipe_stages() -> tuple[LazyKind, ...]:
    """Return every kind that ships."""
    return (
        LazyKind(
            "mic",
            "source",
            "What a microphone hears, s16 mono.",
            "rtpipe_plugins.sources.mic.stage:Mic",
        ),
        LazyKind(
            "file",
            "source",
            "The audio of a file, in its own sample rate and layout, sample by sample.",
            "rtpipe_plugins.sources.file:File",
        ),
        LazyKind(
            "rtsp",
            "source",
            "The sound of a camera; it reconnects by itself.",
            "rtpipe_plugins.sources.rtsp.stage:Rtsp",
        ),
        LazyKind(
            "url",
            "source",
            "Anything live that FFmpeg receives: a radio station, a transport stream, HLS.",
            "rtpipe_plugins.sources.rtsp.stage:Url",
        ),
        LazyKind(
            "process",
            "source",
            "What a command writes to its standard output, sample by sample, until it ends.",
            "rtpipe_plugins.sources.process:Process",
        ),
        LazyKind(
            "tone",
            "source",
            "A test signal: sine, square, noise, silence or something like speech.",
            "rtpipe_plugins.sources.tone:Tone",
        ),
        LazyKind(
            "gain",
            "transform",
            "Changes the volume; what was silent stays silent, and nothing is delayed.",
            "rtpipe_plugins.transforms.gain:Gain",
        ),
        LazyKind(
            "vad",
            "transform",
            "Marks frames with whether somebody speaks; drops nothing, delays nothing.",
            "rtpipe_plugins.transforms.vad:Vad",
        ),
        LazyKind(
            "mute_gate",
            "transform",
            "Gives out as many samples as it is given, at the same times: as they are, or zeros.",
            "rtpipe_plugins.transforms.mute_gate.stage:MuteGate",
        ),
        LazyKind(
            "resample",
            "transform",
            "Converts the audio to a format.",
            "rtpipe_plugins.transforms.resample:Resample",
        ),
        LazyKind(
            "filter",
            "transform",
            "Puts the audio through FFmpeg's filters; rate, layout and format stay as they are.",
            "rtpipe_plugins.transforms.filter:Filter",
        ),
        LazyKind(
            "mix",
            "transform",
            "Mixes its inputs; a soft-knee limiter bends peaks above -3 dBFS.",
            "rtpipe_plugins.transforms.mix.stage:Mix",
        ),
        LazyKind(
            "delay",
            "transform",
            "Lets everything be heard later.",
            "rtpipe_plugins.transforms.delay:Delay",
        ),
        LazyKind(
            "level",
            "transform",
            "Publishes the peak, the RMS level and the clipped samples of each interval; "
            "changes nothing.",
            "rtpipe_plugins.transforms.level:Level",
        ),
        LazyKind(
            "chime",
            "transform",
            "Mixes a sound into the stream when an event comes.",
            "rtpipe_plugins.transforms.chime:Chime",
        ),
        LazyKind(
            "echo_cancel",
            "transform",
            "WebRTC's acoustic echo canceller (AEC3), as in browsers; "
            "with its high-pass filter, always.",
            "rtpipe_plugins.transforms.echo_cancel.stage:EchoCancel",
        ),
        LazyKind(
            "realtime",
            "peer",
            "Holds a spoken conversation with a model over the OpenAI Realtime API.",
            "rtpipe_plugins.peers.realtime.stage:Realtime",
        ),
        LazyKind(
            "speaker",
            "sink",
            "Plays what it gets, at the pace of the device.",
            "rtpipe_plugins.sinks.speaker.stage:Speaker",
        ),
        LazyKind(
            "file_sink",
            "sink",
            "Writes what it gets into a file; a hole in the stream becomes silence.",
            "rtpipe_plugins.sinks.file_sink:FileSink",
        ),
        LazyKind(
            "process_sink",
            "sink",
            "Writes what it gets to a command's standard input; "
            "a hole in the stream becomes silence.",
            "rtpipe_plugins.sinks.process:ProcessSink",
        ),
        LazyKind(
            "stream",
            "sink",
            "Sends what it gets to a server, at real-time speed; "
            "a hole in the stream becomes silence.",
            "rtpipe_plugins.sinks.stream.stage:Stream",
        ),
        LazyKind(
            "recorder",
            "sink",
            "Records its inputs in time with each other; where one has no audio there is silence.",
            "rtpipe_plugins.sinks.recorder.stage:Recorder",
        ),
        LazyKind(
            "blackhole",
            "sink",
            "Swallows audio and counts it.",
            "rtpipe_plugins.sinks.blackhole:Blackhole",
        ),
        LazyKind(
            "log",
            "subscriber",
            "Writes one line for each event on Python's logging, under the stage's own logger.",
            "rtpipe_plugins.subscribers.log:Log",
        ),
        LazyKind(
            "jsonl",
            "subscriber",
            "Appends each event as a line: "
            "`time` (local, ISO 8601), `type`, `source`, `at`, payload.",
            "rtpipe_plugins.subscribers.jsonl:Jsonl",
        ),
        LazyKind(
            "exec",
            "subscriber",
            "Runs a command with the event on its standard input.",
            "rtpipe_plugins.subscribers.exec:Exec",
        ),
        LazyKind(
            "python",
            "subscriber",
            "Calls a function; what it raises is published as `stage.failed`, "
            "and the next event comes.",
            "rtpipe_plugins.subscribers.python:Python",
        ),
        LazyKind(
            "webhook",
            "subscriber",
            "Sends each event as JSON, in order, until the server has taken it with a 2xx.",
            "rtpipe_plugins.subscribers.webhook:Webhook",
        ),
        LazyKind(
            "mqtt",
            "subscriber",
            "Publishes each event as JSON, in order, until the broker has confirmed it.",
            "rtpipe_plugins.subscribers.mqtt:Mqtt",
        ),
        LazyKind(
            "lines",
            "subscriber",
            "Makes each line that a program writes an event: a button, a card reader, a sensor.",
            "rtpipe_plugins.subscribers.lines:Lines",
        ),
        LazyKind(
            "key",
            "subscriber",
            "Tells when a key goes down and up, of an input device (evdev) or of the terminal.",
            "rtpipe_plugins.subscribers.key.stage:Key",
        ),
        LazyKind(
            "transcript",
            "subscriber",
            "Appends each turn when it is over; the file is whole and readable at any moment.",
            "rtpipe_plugins.subscribers.transcript.stage:Transcript",
        ),
    )


@hookimpl
def rtpipe_commands() -> tuple[LazyCommand, ...]:
    """Return `devices`, `doctor` and `forget`."""
    return (
        LazyCommand(
            "devices",
            "List the audio devices, each with the string to paste into a pipeline.",
            "rtpipe_plugins.commands.devices:devices",
        ),
        LazyCommand(
            "doctor",
            "Look at this machine: sound, key, network, and a call to itself.",
            "rtpipe_plugins.commands.doctor.command:doctor",
        ),
        LazyCommand(
            "forget",
            "Delete what was kept of a conversation: "
            "recordings, transcripts and lines of event files.",
            "rtpipe_plugins.commands.forget.command:forget",
        ),
    )
