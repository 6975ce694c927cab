"""Pipecat's OpenAIRealtimeLLMService in a pipeline without a transport."""

from __future__ import annotations

import asyncio
import sys

from loguru import logger
from pipecat.frames.frames import (
    ErrorFrame,
    Frame,
    InputAudioRawFrame,
    LLMRunFrame,
    TranscriptionFrame,
    TTSAudioRawFrame,
    TTSStoppedFrame,
    TTSTextFrame,
)
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.runner import PipelineRunner
from pipecat.pipeline.task import PipelineParams, PipelineTask
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.processors.aggregators.llm_response_universal import LLMContextAggregatorPair
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor
from pipecat.services.openai.realtime.events import (
    AudioConfiguration,
    AudioInput,
    InputAudioTranscription,
    SessionProperties,
)
from pipecat.services.openai.realtime.llm import OpenAIRealtimeLLMService
from visitor import RATE, Visitor, run

logger.remove()
logger.add(sys.stderr, level="WARNING")


class Ears(FrameProcessor):
    """Hears what the service gives out, downstream: answers; upstream: the visitor's words."""

    def __init__(self, visitor: Visitor, greeted: asyncio.Event) -> None:
        super().__init__()
        self._greeted = greeted
        self._visitor = visitor
        self._words: list[str] = []

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        match frame:
            case TTSAudioRawFrame():
                self._visitor.hear(frame.audio, frame.sample_rate)
            case TTSTextFrame():
                self._words.append(frame.text)
            case TranscriptionFrame():
                self._visitor.said.append(frame.text)
            case TTSStoppedFrame():
                self._visitor.answers.append(" ".join(" ".join(self._words).split()))
                self._words = []
                self._greeted.set()
                self._visitor.answered()
            case ErrorFrame():
                self._visitor.errors.append(frame.error)
        await self.push_frame(frame, direction)


async def drive(base_url: str, key: str, visitor: Visitor) -> None:
    hearing = AudioInput(transcription=InputAudioTranscription())
    service = OpenAIRealtimeLLMService(
        api_key=key,
        base_url=f"{base_url.replace('http', 'ws', 1)}/realtime",
        settings=OpenAIRealtimeLLMService.Settings(
            session_properties=SessionProperties(audio=AudioConfiguration(input=hearing))
        ),
    )
    context = LLMContextAggregatorPair(LLMContext([{"role": "user", "content": "Hello"}]))
    greeted = asyncio.Event()
    before, after = Ears(visitor, greeted), Ears(visitor, greeted)
    task = PipelineTask(
        Pipeline([context.user(), before, service, after, context.assistant()]),
        params=PipelineParams(audio_in_sample_rate=RATE, audio_out_sample_rate=RATE),
    )

    async def send(pcm: bytes) -> None:
        await task.queue_frame(InputAudioRawFrame(audio=pcm, sample_rate=RATE, num_channels=1))

    async def visit() -> None:
        try:
            await task.queue_frame(LLMRunFrame())
            async with asyncio.timeout(30):
                await greeted.wait()
            await visitor.converse(send)
        except TimeoutError:
            visitor.errors.append("no greeting")
        finally:
            await task.cancel()

    await asyncio.gather(PipelineRunner(handle_sigint=False).run(task), visit())


run(drive)
