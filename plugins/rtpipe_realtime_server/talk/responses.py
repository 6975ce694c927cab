"""One response: what it was asked, how far it has come, and the shape that clients read."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from rtpipe_realtime_server.talk.brain import FunctionCall, Question, ToolOutput

if TYPE_CHECKING:
    from rtpipe_realtime_server.talk.brain import ResponseEnding
    from rtpipe_realtime_server.talk.conversation import ConversationItem
    from rtpipe_realtime_server.talk.drafts import Draft

_LETTERS_PER_TOKEN = 4
_HEARD_TOKENS_PER_S = 10
_SPOKEN_TOKENS_PER_S = 20


@dataclass(slots=True, eq=False)
class Response:
    """A response in progress."""

    id: str
    conversation_id: str | None
    """None for one outside the conversation."""
    modality: str
    """`audio` or `text`."""
    instructions: str
    voice: str
    audio_format: dict[str, Any]
    max_output_tokens: Any
    metadata: dict[str, str] | None
    tools: tuple[dict[str, Any], ...]
    """The functions that it may call."""
    must_call: bool
    """Whether it has to call one of them."""
    context: list[ConversationItem]
    """What it answers: the user's items, function calls and their outputs."""
    asked: bool = False
    """The brain was asked for the reply."""
    calls: deque[FunctionCall] = field(default_factory=deque)
    """The calls that the brain wants made, as far as they are not let out."""
    ending: ResponseEnding | None = None
    """How it is to end, if it does not complete."""
    draft: Draft | None = None
    """The item that is being let out."""
    output: list[dict[str, Any]] = field(default_factory=list)
    """The items that are finished."""
    letters_out: int = 0
    spoken_ms: int = 0

    @property
    def ready(self) -> bool:
        """Whether the words that it answers are known and the brain has not been asked yet."""
        return not self.asked and all(item.words is not None for item in self.context)

    @property
    def question(self) -> Question:
        """What the brain is asked."""
        bodies = [item.body for item in self.context]
        calls = {body["call_id"]: body for body in bodies if body["type"] == "function_call"}
        outputs = [body for body in bodies if body["type"] == "function_call_output"]
        return Question(
            heard=" ".join(item.words for item in self.context if item.words),
            instructions=self.instructions,
            tools=self.tools,
            must_call=self.must_call,
            outputs=tuple(
                ToolOutput(call.get("name", ""), call.get("arguments", "{}"), output["output"])
                for output in outputs
                for call in [calls.get(output["call_id"], {})]
            ),
        )

    @property
    def exhausted(self) -> bool:
        """Whether it has said as much as it may."""
        most = self.max_output_tokens
        return most != "inf" and sum(self._tokens_out()) >= int(most)

    def snapshot(
        self, status: str = "in_progress", details: dict[str, Any] | None = None
    ) -> dict[str, Any]:
        """Return the response as events show it.

        Args:
            status: One of OpenAI's five states.
            details: `status_details`, None where everything went well.
        """
        return {
            "object": "realtime.response",
            "id": self.id,
            "status": status,
            "status_details": details,
            "output": list(self.output),
            "conversation_id": self.conversation_id,
            "output_modalities": [self.modality],
            "max_output_tokens": self.max_output_tokens,
            "audio": {"output": {"format": self.audio_format, "voice": self.voice}},
            "usage": None if status == "in_progress" else self._usage(),
            "metadata": self.metadata,
        }

    def _usage(self) -> dict[str, Any]:
        samples = sum(item.heard_samples for item in self.context)
        typed = sum(
            len(item.words or item.body.get("output", ""))
            for item in self.context
            if not item.heard_samples
        )
        text_in = (len(self.instructions) + typed) // _LETTERS_PER_TOKEN
        audio_in = samples * _HEARD_TOKENS_PER_S // 16000
        text_out, audio_out = self._tokens_out()
        by_kind = {"text_tokens": 0, "audio_tokens": 0, "image_tokens": 0}
        return {
            "total_tokens": text_in + audio_in + text_out + audio_out,
            "input_tokens": text_in + audio_in,
            "output_tokens": text_out + audio_out,
            "input_token_details": {
                **by_kind,
                "text_tokens": text_in,
                "audio_tokens": audio_in,
                "cached_tokens": 0,
                "cached_tokens_details": by_kind,
            },
            "output_token_details": {"text_tokens": text_out, "audio_tokens": audio_out},
        }

    def _tokens_out(self) -> tuple[int, int]:
        """Return the tokens of text and of audio that are out, those of the draft included."""
        letters, spoken_ms = self.letters_out, self.spoken_ms
        if self.draft is not None:
            letters += len(self.draft.said)
            spoken_ms += self.draft.item.spoken_ms
        return -(-letters // _LETTERS_PER_TOKEN), spoken_ms * _SPOKEN_TOKENS_PER_S // 1000
