"""LiveKit's RealtimeModel, without a room: it speaks the protocol over a WebSocket."""

from __future__ import annotations

import asyncio

from livekit import rtc
from livekit.agents.llm import GenerationCreatedEvent, MessageGeneration
from livekit.plugins.openai.realtime import RealtimeModel
from visitor import RATE, Visitor, run


async def drive(base_url: str, key: str, visitor: Visitor) -> None:
    model = RealtimeModel(base_url=base_url, api_key=key, model="gpt-realtime-2.1")
    session = model.session()
    tasks: set[asyncio.Task[None]] = set()

    async def words(message: MessageGeneration) -> None:
        visitor.answers.append("".join([str(piece) async for piece in message.text_stream]))

    async def sound(message: MessageGeneration) -> None:
        async for frame in message.audio_stream:
            visitor.hear(bytes(frame.data), frame.sample_rate)

    async def follow(generation: GenerationCreatedEvent) -> None:
        async for message in generation.message_stream:
            await asyncio.gather(words(message), sound(message))
        visitor.answered()

    @session.on("generation_created")
    def _(generation: GenerationCreatedEvent) -> None:
        tasks.add(asyncio.create_task(follow(generation)))

    @session.on("input_audio_transcription_completed")
    def _(event: object) -> None:
        if event.is_final:
            visitor.said.append(event.transcript)

    session.on("error", lambda event: visitor.errors.append(str(event)))

    async def send(pcm: bytes) -> None:
        session.push_audio(rtc.AudioFrame(pcm, RATE, 1, len(pcm) // 2))

    await visitor.converse(send)
    await session.aclose()
    await model.aclose()


run(drive)
