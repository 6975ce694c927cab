"""`rtpipe doctor`: what this machine has and what it lacks, each lack with its remedy."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from rtpipe import ExitCode, RtpipeError
from rtpipe_plugins.commands.doctor import checks
from rtpipe_plugins.commands.doctor import sound as doctor_sound
from rtpipe_plugins.peers.realtime.options import RealtimeOptions
from rtpipe_plugins.peers.realtime.stage import Realtime
from rtpipe_plugins.sinks.speaker.stage import Speaker, SpeakerOptions
from rtpipe_plugins.sources.mic import Mic, MicOptions

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from rtpipe_plugins.commands.doctor.checks import Finding

_SIGNS = {"ok": "ok", "missing": "--", "unknown": "??"}


@dataclass(frozen=True, slots=True)
class Need:
    """A stage that asks something of the machine.

    Attributes:
        id: The stage, "" where no pipeline was given.
        options: Its options.
        needed: Whether there is no fallback for it.
    """

    id: str
    options: MicOptions | SpeakerOptions | RealtimeOptions
    needed: bool

    def named(self, what: str) -> str:
        """Return what to call a check of this stage's."""
        return f"{what} ({self.id})" if self.id else what


_ANYTHING = tuple(
    Need("", options.model_validate({}), needed=False) for options in (MicOptions, SpeakerOptions)
)


def add_commands(cli: click.Group) -> None:
    """Add `doctor` to the command line."""
    cli.add_command(doctor)


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("--sound", is_flag=True, help="Play a soft chirp, and listen for it.")
@click.argument("file", required=False, type=click.Path(path_type=Path))
def doctor(file: Path | None, *, as_json: bool, sound: bool) -> None:
    """Look at this machine: sound, key, network, and a call to itself.

    With FILE exits with 69 if something is missing that this pipeline cannot run without; a stage
    with a `fallback:` can.
    """
    needs = _ANYTHING if file is None else needs_of(file)
    findings = asyncio.run(_shown(needs, whole=file is None, sound=sound, as_json=as_json))
    lacking = [each for each in findings if each.needed and each.status == "missing"]
    if as_json:
        report = {"ok": not lacking, "checks": [dataclasses.asdict(each) for each in findings]}
        click.echo(json.dumps(report, indent=2, ensure_ascii=False))
    if lacking:
        subject = "this machine" if file is None else str(file)
        raise RtpipeError(
            f"{subject} lacks {', '.join(each.name for each in lacking)}",
            exit_code=ExitCode.UNAVAILABLE,
        )


def needs_of(file: Path) -> tuple[Need, ...]:
    """Return what a pipeline's stages ask of the machine.

    Raises:
        ConfigError: The file is wrong.
    """
    from rtpipe.language.loading import load

    found = []
    for spec in load([file]).spec.stages:
        if issubclass(spec.stage_type, (Mic, Speaker, Realtime)):
            assert isinstance(spec.options, (MicOptions, SpeakerOptions, RealtimeOptions))
            found.append(Need(spec.id, spec.options, needed=spec.fallback is None))
    return tuple(found)


async def _shown(
    needs: tuple[Need, ...], *, whole: bool, sound: bool, as_json: bool
) -> list[Finding]:
    findings = []
    async for finding in examined(needs, whole=whole, sound=sound):
        findings.append(finding)
        if not as_json:  # as they come: some take seconds
            click.echo(f"{_SIGNS[finding.status]}  {finding.name}: {finding.detail}")
            if finding.remedy:
                click.echo(f"      = help: {finding.remedy}")
    return findings


async def examined(needs: tuple[Need, ...], *, whole: bool, sound: bool) -> AsyncIterator[Finding]:
    """Yield the findings, as they come.

    Args:
        needs: What is asked of the machine.
        whole: Look at the key and the embedded peer, too, although nothing asks for them.
        sound: Play and record something.
    """
    mics = [need for need in needs if isinstance(need.options, MicOptions)]
    speakers = [need for need in needs if isinstance(need.options, SpeakerOptions)]
    calls = [need for need in needs if isinstance(need.options, RealtimeOptions)]
    yield checks.libraries()
    if mics or speakers:
        library = checks.port_audio(needed=any(need.needed for need in [*mics, *speakers]))
        yield library
        yield checks.audio_group()
        if library.status == "ok":
            for finding in _devices(mics, speakers, sound=sound):
                yield finding
    for need in calls or ([Need("", RealtimeOptions(), needed=False)] if whole else []):
        async for finding in _call(need):
            yield finding
    if calls or whole:
        yield checks.speech_extra()
        # Without a file it is the one check that any machine must pass.
        yield await checks.loopback(needed=whole or any(need.needed for need in calls))


def _devices(mics: list[Need], speakers: list[Need], *, sound: bool) -> list[Finding]:
    findings = []
    for need in [*mics, *speakers]:
        options = need.options
        assert isinstance(options, (MicOptions, SpeakerOptions))
        is_mic = isinstance(options, MicOptions)
        findings.append(
            checks.device(
                need.named("microphone" if is_mic else "loudspeaker"),
                options.device,
                "input" if is_mic else "output",
                options.sample_rate,
                needed=need.needed,
            )
        )
    if sound and mics and speakers and all(each.status == "ok" for each in findings):
        mic, speaker = mics[0].options, speakers[0].options
        assert isinstance(mic, MicOptions)
        assert isinstance(speaker, SpeakerOptions)
        findings.append(doctor_sound.round_trip(speaker, mic))
    return findings


async def _call(need: Need) -> AsyncIterator[Finding]:
    options = need.options
    assert isinstance(options, RealtimeOptions)
    if options.provider == "embedded":
        yield checks.udp(None, needed=need.needed)
        return
    key, account = checks.account(options, os.environ, needed=need.needed)
    yield dataclasses.replace(key, name=need.named(key.name))
    if account is not None:
        yield await checks.reachable(account.base_url, needed=need.needed)
    host = None if account is None else account.hostname
    yield checks.udp(host, needed=need.needed)
