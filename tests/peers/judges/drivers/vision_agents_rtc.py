"""Vision-Agents' RTCManager: aiortc over WebRTC, the call placed by OpenAI's own client."""

from __future__ import annotations

import numpy as np
from getstream.video.rtc.track_util import AudioFormat, PcmData
from openai import AsyncOpenAI
from vision_agents.plugins.openai.rtc_manager import RTCManager
from visitor import RATE, Visitor, run


async def drive(base_url: str, key: str, visitor: Visitor) -> None:
    client = AsyncOpenAI(api_key=key, base_url=base_url, max_retries=0)
    hearing = {"input": {"transcription": {"model": "gpt-transcribe"}}}
    session = {"type": "realtime", "model": "gpt-realtime-2.1", "audio": hearing}
    manager = RTCManager(session, client, send_video=False)

    async def happened(event: dict) -> None:
        match event["type"]:
            case "conversation.item.input_audio_transcription.completed":
                visitor.said.append(event["transcript"])
            case "response.output_audio_transcript.done":
                visitor.answers.append(event["transcript"])
            case "output_audio_buffer.stopped":
                visitor.answered()
            case "error":
                visitor.errors.append(event["error"]["message"])

    async def heard(pcm: PcmData) -> None:
        mono = pcm.resample(RATE, 1).to_int16().samples
        visitor.hear(np.asarray(mono, "<i2").tobytes(), RATE)

    async def send(pcm: bytes) -> None:
        samples = np.frombuffer(pcm, np.int16)
        await manager.send_audio_pcm(
            PcmData(samples=samples, sample_rate=RATE, format=AudioFormat.S16, channels=1)
        )

    manager.set_event_callback(happened)
    manager.set_audio_callback(heard)
    await manager.connect()
    await visitor.converse(send)
    await manager.close()
    await client.close()


run(drive)
