"""Every metric that `/metrics` tells: what kind it is, what it says, its labels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

Kind: TypeAlias = Literal["gauge", "counter", "histogram"]
Labels: TypeAlias = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Described:
    """A metric: what kind it is, what it says, and by what it is told apart."""

    kind: Kind
    help: str
    labels: Labels = ()


METRICS: dict[str, Described] = {
    "rtpipe_build_info": Described("gauge", "1, with the version.", ("version", "pipeline")),
    "rtpipe_running": Described("gauge", "1 while every stage is open and nothing is stopping."),
    "rtpipe_uptime_seconds": Described("gauge", "Since the pipeline began."),
    "rtpipe_stage_up": Described("gauge", "1 while the stage works.", ("stage", "kind")),
    "rtpipe_stage_stands_in": Described(
        "gauge", "1 while a fallback is in the stage's place.", ("stage",)
    ),
    "rtpipe_stage_failures_total": Described("counter", "How often the stage raised.", ("stage",)),
    "rtpipe_stage_restarts_total": Described(
        "counter", "How often the stage was opened again.", ("stage",)
    ),
    "rtpipe_stage_lost_frames_total": Described(
        "counter", "Frames lost because the stage failed on them or was not there.", ("stage",)
    ),
    "rtpipe_link_frames_in_total": Described(
        "counter", "Frames that came into the queue.", ("from", "to")
    ),
    "rtpipe_link_frames_out_total": Described(
        "counter", "Frames that were taken from the queue.", ("from", "to")
    ),
    "rtpipe_link_dropped_seconds_total": Described(
        "counter",
        "Audio that came and went no further; reason: full, trimmed (it made a live stream "
        "late), flushed, refused (the link was closed, or full where that is a failure).",
        ("from", "to", "reason"),
    ),
    "rtpipe_link_depth_seconds": Described(
        "gauge", "Audio that waits in the queue.", ("from", "to")
    ),
    "rtpipe_link_capacity_seconds": Described(
        "gauge", "Audio that the queue holds at most.", ("from", "to")
    ),
    "rtpipe_underruns_total": Described(
        "counter", "How often a loudspeaker ran out of audio in the middle of a sound.", ("stage",)
    ),
    "rtpipe_overruns_total": Described(
        "counter", "How often audio was lost between a microphone and the pipeline.", ("stage",)
    ),
    "rtpipe_device_losses_total": Described("counter", "How often a device has gone.", ("stage",)),
    "rtpipe_device_up": Described(
        "gauge", "0 while a device is gone; of stages whose device has gone before.", ("stage",)
    ),
    "rtpipe_recording": Described("gauge", "1 while a recorder writes its file.", ("stage",)),
    "rtpipe_recorder_failures_total": Described(
        "counter", "How often a file could not be written, as on a full disk.", ("stage",)
    ),
    "rtpipe_recording_lost_seconds_total": Described(
        "counter", "Audio that went into no file while none could be written.", ("stage",)
    ),
    "rtpipe_disk_free_bytes": Described(
        "gauge", "What is free where a recorder writes; of at most a minute ago.", ("stage",)
    ),
    "rtpipe_disk_size_bytes": Described("gauge", "How large that disk is.", ("stage",)),
    "rtpipe_files_space_low_total": Described(
        "counter",
        "How often less was free than `keep.free_gb`, and nothing more might be deleted.",
        ("stage",),
    ),
    "rtpipe_call_up": Described("gauge", "1 while a call stands.", ("stage",)),
    "rtpipe_calls_total": Described("counter", "Calls that stood.", ("stage",)),
    "rtpipe_call_losses_total": Described(
        "counter", "Calls that were lost: nobody hung up.", ("stage",)
    ),
    "rtpipe_call_round_trip_seconds": Described("gauge", "To the far end and back.", ("stage",)),
    "rtpipe_call_jitter_seconds": Described(
        "gauge", "How unevenly packets come (RFC 3550).", ("stage",)
    ),
    "rtpipe_call_buffer_seconds": Described(
        "gauge", "How long packets are kept back for others that come late.", ("stage",)
    ),
    "rtpipe_call_packets_received_total": Described(
        "counter", "Packets that came, since the call began.", ("stage",)
    ),
    "rtpipe_call_packets_lost_total": Described(
        "counter", "Packets that were not there when needed, since the call began.", ("stage",)
    ),
    "rtpipe_call_concealed_seconds_total": Described(
        "counter", "Sound that was made up, since the call began.", ("stage",)
    ),
    "rtpipe_turn_latency_seconds": Described(
        "histogram", "From the visitor's last sound to the answer's first.", ("stage",)
    ),
    "rtpipe_turn_latency_part_seconds_total": Described(
        "counter", "The parts of that, summed over all turns.", ("stage", "part")
    ),
    "rtpipe_talked_seconds_total": Described(
        "counter", "How long each side has spoken; who: visitor, desk.", ("stage", "who")
    ),
    "rtpipe_tokens_total": Described(
        "counter",
        "Tokens that the server says it counted; direction: input, output.",
        ("stage", "direction"),
    ),
    "rtpipe_answers_cut_total": Described("counter", "Answers that were interrupted.", ("stage",)),
    "rtpipe_answers_failed_total": Described(
        "counter", "Answers that the model could not give.", ("stage",)
    ),
    "rtpipe_tool_failures_total": Described(
        "counter", "Functions that failed or took too long.", ("stage",)
    ),
    "rtpipe_reloads_total": Described(
        "counter", "Files that were taken up while running; result: reloaded, refused.", ("result",)
    ),
    "rtpipe_events_total": Described("counter", "Events, by their importance.", ("importance",)),
    "rtpipe_event_loop_late_seconds": Described(
        "histogram",
        "How late the event loop is, four times a second, since the first time metrics were read.",
    ),
    "rtpipe_control_readers": Described("gauge", "How many follow the events."),
    "rtpipe_control_listeners": Described("gauge", "How many listen to a stage."),
    "rtpipe_control_connections": Described("gauge", "How many are connected."),
    "rtpipe_control_missed_events_total": Described(
        "counter", "Events that went because their reader was too slow."
    ),
    "rtpipe_control_lost_audio_seconds_total": Described(
        "counter", "Sound that went because who listened was too slow; the pipeline lost nothing."
    ),
}
"""Every metric by its name."""
