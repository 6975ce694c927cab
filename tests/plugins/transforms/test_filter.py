"""filter: FFmpeg's filtergraphs, with honest times, whole to the end, refused in clear words."""

import os
import socket
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from rtpipe import AudioFormat, AudioFrame, ConfigError, ExitCode, StageError, audio
from rtpipe.language.loading import from_text
from rtpipe.testing import check_stage, cut, joined, noise, run_stage, run_virtual, tone
from rtpipe_plugins.sound.filtergraph import FilterStep, parse
from rtpipe_plugins.transforms.filter import Filter, FilterOptions


def filtered(graph: str, frames: list[Any]) -> list[AudioFrame]:
    return run_virtual(run_stage(Filter, {"graph": graph}, frames)).frames


def level(frames: list[AudioFrame]) -> float:
    return audio.level_dbfs(audio.from_pcm(joined(frames), sample_rate=48_000, pts=0))


@pytest.mark.parametrize(
    "graph",
    [
        "highpass=f=100,acompressor",
        "asplit[dry][x];[x]aecho=0.8:0.9:60:0.5[wet];[dry][wet]amix",
        "atempo=1.5",
        "loudnorm",
        "atrim=end=0.5",
    ],
)
def test_it_keeps_the_contract(graph: str) -> None:
    check_stage(Filter, {"graph": graph}, tolerance=None if "atrim" in graph else 2 / 32768)


def test_it_does_what_the_graph_says() -> None:
    assert level(filtered("volume=-6dB", list(tone(seconds=0.5)))) == pytest.approx(-26, abs=0.05)
    assert level(filtered("highpass=f=2000:p=2", list(tone(100, seconds=1)))) < -60
    assert level(filtered("asplit[a][b];[a][b]amix=normalize=0", list(tone(seconds=0.5)))) == (
        pytest.approx(-14, abs=0.05)
    )
    over_noise = filtered(
        "[in]volume=0[q];anoisesrc=a=0.1[n];[q][n]amix=duration=first", list(tone(seconds=0.5))
    )
    assert -60 < level(over_noise) < -20


@pytest.mark.parametrize(
    "format",
    [
        AudioFormat(44_100, "stereo", "s16"),
        AudioFormat(8000, "mono", "fltp"),
    ],
)
def test_the_format_stays_whatever_the_filters_make_of_it(format: AudioFormat) -> None:
    assert format.sample_rate is not None
    silence = [
        audio.silence(
            960,
            pts=at,
            sample_rate=format.sample_rate,
            layout=format.layout or "",
            format=format.format or "",
        )
        for at in range(0, 9600, 960)
    ]
    frames = filtered("aresample=16000,aformat=sample_fmts=dbl:channel_layouts=mono", silence)
    assert {AudioFormat.of(frame) for frame in frames} == {format}


def test_the_tail_is_heard_and_pts_counts_what_comes_out() -> None:
    frames = filtered("aecho=0.8:0.9:500:0.3", list(tone(seconds=1)))
    assert sum(frame.samples for frame in frames) == 72_000
    double = filtered("atempo=2", list(tone(seconds=1)))
    length = sum(frame.samples for frame in double)
    assert length == pytest.approx(24_000, abs=1500)
    last = double[-1]
    assert (last.pts or 0) + last.samples == length


def test_a_short_hole_is_silence_to_the_filters_and_a_long_one_stays_a_hole() -> None:
    data = joined(noise(seconds=0.1))
    for hole, expected in ((2400, 2 * 4800 + 2400), (96_000, 2 * 4800)):
        frames = filtered("anull", [*cut(data), *cut(data, pts=4800 + hole)])
        assert sum(frame.samples for frame in frames) == expected
        last = frames[-1]
        assert (last.pts or 0) + last.samples == 2 * 4800 + hole


def test_what_is_known_of_a_frame_stays_with_it() -> None:
    frame = cut(np.ones(960, np.int16))[0]
    audio.meta(frame).speech = (True,)
    made = filtered("anull", [frame])[0]
    assert audio.meta(made).speech == (True,)
    assert audio.meta(made) is not audio.meta(frame)


def test_what_is_known_of_a_frame_is_not_said_of_a_later_one() -> None:
    frame = cut(np.ones(960, np.int16))[0]
    audio.meta(frame).speech = (True,)
    audio.meta(frame).captured_at = 2.0
    frames = filtered("asetnsamples=480,aecho=0.8:0.9:20:0.3", [frame])
    assert [audio.meta(each).captured_at for each in frames] == [
        2.0 + (each.pts or 0) / 48_000 for each in frames
    ]
    assert {audio.meta(each).speech for each in frames} == {None}
    assert (audio.meta(frame).speech, audio.meta(frame).captured_at) == ((True,), 2.0)


@pytest.mark.parametrize(("graph", "message"), [
    ("highpas=f=100", "no filter `highpas`"),
    ("highpass=freq=100", "`highpass=freq=100` is refused: Option not found"),
    ("highpass=f=100,", "name is missing at the end"),
    ("highpass=f=100 volume=2 ] x", "expected `,` or `;` before `] x`"),
    ("[a]volume=2", "nothing gives [a]"),
    ("asplit[a][b];[a]volume=2", "nothing reads [b]"),
    ("[in]volume=2[a];[a]volume=3[b];[a]volume=4", "[a] is read more than once"),
    ("volume='2", "a quote is not closed"),
    ("[a volume=2", "a label is not closed"),
    ("", "name is missing at the end"),
    ("scale=2:2", "cannot be connected"),
    ("anullsink", "nothing gives [out]"),
])  # fmt: skip
def test_a_graph_that_cannot_be_is_refused_by_its_part(graph: str, message: str) -> None:
    with pytest.raises(ValidationError) as refusal:
        FilterOptions(graph=graph)
    assert message in str(refusal.value)


def test_validate_shows_the_place() -> None:
    with pytest.raises(ConfigError) as refusal:
        from_text('version: 1\nstages: [tone, filter: "highpas=f=1", blackhole]')
    (found,) = refusal.value.diagnostics
    assert "no filter `highpas`" in f"{found.message} {found.help} {found.notes}"
    assert found.span is not None
    assert found.span.line == 2


def test_what_only_fits_another_format_is_refused_when_it_comes() -> None:
    with pytest.raises(StageError, match="FFmpeg refuses it for s16, mono") as refusal:
        filtered("channelmap=map=FR-FL", list(tone(seconds=0.1)))
    assert refusal.value.exit_code == ExitCode.CONFIGURATION


def test_the_language_is_ffmpegs() -> None:
    text = r" [in] a@x = 1:'b, c' , d=e\,f [out] ; g"
    assert parse(text) == [
        [FilterStep("a", "1:b, c", ("in",)), FilterStep("d", "e,f", (), ("out",))],
        [FilterStep("g", "")],
    ]


REACHING = [
    "ametadata=mode=print:file={path}",
    "ametadata=print:::::{path}",
    "asendcmd=f={path}",
    "arnndn=m={path}",
    "amovie={path}[m];[in][m]amix",
    "firequalizer=dumpfile={path}",
    "volume=1,ametadata@x=mode=print:file={path},volume=1",
]


@pytest.mark.parametrize("graph", REACHING)
def test_to_look_at_a_graph_opens_no_file_that_it_names(graph: str, tmp_path: Path) -> None:
    path = tmp_path / "precious"
    path.write_text("precious")
    text = graph.format(path=path)
    FilterOptions(graph=text)
    assert path.read_text() == "precious"
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)  # to open it would hang
    FilterOptions(graph=graph.format(path=fifo))


def test_to_look_at_a_graph_connects_to_nobody() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0)
        port = server.getsockname()[1]
        FilterOptions(graph=rf"amovie=http\\://127.0.0.1\\:{port}/x[m];[in][m]amix")
        with pytest.raises(BlockingIOError):
            server.accept()


def test_what_a_graph_names_is_opened_when_it_runs(tmp_path: Path) -> None:
    path = tmp_path / "told.txt"
    filtered(f"ametadata=mode=print:file={path}", list(tone(seconds=0.1)))
    assert path.exists()


@pytest.mark.parametrize(
    "graph",
    [
        "asplit=2000000000",
        "asplit=outputs=1e9",
        "amix=inputs=100*100",
        "concat=n=1000:v=0:a=1",
        "ainterleave= nb_inputs = 65",
        "asplit=outputs='99'",
    ],
)
def test_a_filter_has_no_more_ends_than_anybody_needs(graph: str) -> None:
    with pytest.raises(ValidationError, match="64 inputs and outputs at most"):
        FilterOptions(graph=graph)


def test_numbers_that_count_no_ends_are_as_large_as_they_like() -> None:
    for graph in (
        "acrossover=split=1500 8000[a][b][c];[a][b][c]amix=inputs=3",
        "asplit=2[a],[a]amix",
    ):
        FilterOptions(graph=graph)
