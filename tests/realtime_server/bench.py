"""A protocol on the bench: scripted speech in, judged events out, no clock and no network."""

from __future__ import annotations

import itertools
import json
from typing import Any

import numpy as np

from realtime_server.judge import judge
from rtpipe_realtime_server.limits import Limits
from rtpipe_realtime_server.session.session import Session
from rtpipe_realtime_server.talk.brain import BrainAnswer, FunctionCall, Utterance
from rtpipe_realtime_server.talk.outputs import Command, Foresee, Reply, Speak, Transcribe
from rtpipe_realtime_server.talk.protocol import Protocol

Event = dict[str, Any]
QUESTION = "When do you open on Sunday"
ANSWER = "We open at ten and close at six in the evening every day of the week."


def session(**given: Any) -> Session:
    """Return a session, a conversation with gpt-realtime if nothing else is said."""
    if "type" not in given:
        given = {"type": "realtime", "model": "gpt-realtime", **given}
    return Session(given, session_id="sess_1", expires_at=9)


def counted_ids() -> Any:
    counter = itertools.count(1)
    return lambda prefix: f"{prefix}_{next(counter):021d}"


class Bench:
    """One call whose hops are speech exactly when they hold a sample that is not zero."""

    def __init__(self, *, media: bool = True, limits: Limits | None = None, **given: Any) -> None:
        self.media = media
        self.session = session(**given)
        self.protocol = Protocol(
            self.session,
            is_speech=lambda hop, _threshold: bool(hop.any()),
            media=media,
            limits=limits,
            new_id=counted_ids(),
        )
        self.events: list[Event] = []
        self.commands: list[Command] = []
        self.foreseen: list[Foresee] = []
        self.frames: list[Any] = []
        self.protocol.open()
        self.collect()

    def collect(self) -> None:
        for output in self.protocol.take():
            if isinstance(output, dict):
                judge(output, media=self.media)
                self.events.append(output)
            elif isinstance(output, Foresee):
                self.foreseen.append(output)
            else:
                self.commands.append(output)

    def send(self, kind: str, **fields: Any) -> None:
        self.send_raw(json.dumps({"type": kind, **fields}))

    def send_raw(self, message: str | bytes) -> None:
        self.protocol.receive(message)
        self.collect()

    def update(self, **given: Any) -> None:
        self.send("session.update", session={"type": "realtime", **given})

    def hear(self, hops: int, *, speech: bool) -> None:
        self.protocol.hear(np.full(hops * 512, 1000 if speech else 0, np.int16))
        self.collect()

    def say(self) -> None:
        """One turn of the visitor: 640 ms of speech and the silence that ends it."""
        self.hear(20, speech=True)
        self.hear(20, speech=False)

    def tick(self, count: int = 1) -> None:
        for _ in range(count):
            self.frames.append(self.protocol.tick())
            self.collect()

    def think(
        self,
        *,
        words: str = QUESTION,
        answer: str = ANSWER,
        calls: tuple[FunctionCall, ...] = (),
        seconds: float = 2.0,
    ) -> None:
        """Be the brain until it has nothing more to do."""
        while self.commands:
            command = self.commands.pop(0)
            match command:
                case Transcribe(item_id):
                    self.protocol.transcribed(item_id, words)
                case Reply(response_id):
                    self.protocol.replied(response_id, BrainAnswer(answer, calls))
                case Speak(response_id, text):
                    pcm = np.full(int(48000 * seconds), 1, np.int16)
                    self.protocol.spoken(response_id, Utterance(text, pcm))
            self.collect()

    def kinds(self, since: int = 0) -> list[str]:
        """Types of the events, a run of deltas counted once."""
        kinds = [event["type"] for event in self.events[since:]]
        return [kind for i, kind in enumerate(kinds) if i == 0 or kind != kinds[i - 1]]

    def all(self, kind: str) -> list[Event]:
        return [event for event in self.events if event["type"] == kind]

    def one(self, kind: str) -> Event:
        (event,) = self.all(kind)
        return event

    def last(self, kind: str) -> Event:
        return self.all(kind)[-1]

    def error(self) -> Event:
        assert self.events[-1]["type"] == "error", self.events[-1]
        error: Event = self.events[-1]["error"]
        return error


def user_text(text: str, **more: Any) -> dict[str, Any]:
    content = [{"type": "input_text", "text": text}]
    return {"type": "message", "role": "user", "content": content, **more}


def asked(bench: Bench) -> list[str]:
    return [command.question.heard for command in bench.commands if isinstance(command, Reply)]
