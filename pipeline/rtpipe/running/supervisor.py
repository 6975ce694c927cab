"""The supervisor: opens a stage or its fallback, and does what `on_error` says when one raises."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Any

from rtpipe.backoff import Backoff
from rtpipe.errors import EnvironmentProblem, ExitCode, RtpipeError, StageError
from rtpipe.events import (
    StageFailed,
    StageFellBack,
    StageRestarted,
    StageStatusChanged,
    StageUnwell,
)
from rtpipe.field_types import changed_fields
from rtpipe.language.spec import Drop, Fail, describe
from rtpipe.running.bounded import within
from rtpipe.running.faults import asked_to_end, contained, frames_of, place_of, stage_error
from rtpipe.running.state import Status
from rtpipe.vocabulary import Restart

if TYPE_CHECKING:
    from collections.abc import Callable

    from rtpipe.audio import AudioFrame
    from rtpipe.language.spec import StageSpec
    from rtpipe.stage import Stage, StageContext

OPEN_TIMEOUT_S = 60.0
"""A stage that takes longer to open hangs; models load within it on a Raspberry Pi."""
CLOSE_TIMEOUT_S = 5.0
_FOR_GOOD = {ExitCode.NO_PERMISSION, ExitCode.CONFIGURATION}
"""What fails so fails again, however often the stage is opened."""


class Slot:
    """A stage's place in a running pipeline: the present instance, its status, its policy.

    The instance changes when a fallback takes over and when a restart replaces it; links and
    routes hold the slot.

    Args:
        spec: The stage as the file has it.
        ctx: The context every instance in this place gets.
        mask: Takes known secrets out of a text.
        on_failure: Told of the error when the policy is to let the pipeline fail.
        on_replaced: Called when a fallback is about to open here: `used` is another.
    """

    __slots__ = (
        "_mask",
        "_on_failure",
        "_on_replaced",
        "_restarting",
        "_restarts",
        "_stage",
        "_taps",
        "ctx",
        "detail",
        "ended",
        "last",
        "lost_frames",
        "quiet",
        "returning",
        "spec",
        "status",
        "successor",
        "used",
    )

    def __init__(
        self,
        spec: StageSpec,
        ctx: StageContext,
        *,
        mask: Callable[[str], str],
        on_failure: Callable[[Slot, RtpipeError], None],
        on_replaced: Callable[[], None],
    ) -> None:
        self.spec = spec
        self.used = spec
        self.ctx = ctx
        self.status = Status.STARTING
        self.detail = ""
        self.lost_frames = 0
        self.ended = False
        self.quiet = False
        """Whether its status is nobody's news: it does not stand there yet, or no more."""
        self.returning = False  # whether what is stood in for is open again, and waits
        self.successor: Slot | None = None
        self.last: AudioFrame | None = None
        self._taps: tuple[Callable[[AudioFrame], None], ...] = ()
        self._mask = mask
        self._on_failure = on_failure
        self._on_replaced = on_replaced
        self._stage: Stage[Any] | None = None
        self._restarting: asyncio.Task[None] | None = None
        self._restarts: tuple[float, ...] = ()
        self.settle()

    def settle(self) -> None:
        """Take note that the status, or who listens, is another now; for places on a chain."""

    @property
    def stage(self) -> Any:
        """The present instance; a `Stage` of whichever kind stands here."""
        assert self._stage is not None, f"{self.spec.id} was never opened"
        return self._stage

    @property
    def opening(self) -> bool:
        """Whether an instance is being opened here for the first time."""
        return self.status is Status.STARTING and self._stage is not None

    def set_status(self, status: Status, detail: str = "") -> None:
        """Move to `status` and say so; nothing happens where it is that already."""
        if status is not self.status:
            self.status = status
            self.detail = self._mask(detail)
            self.settle()
            if self.quiet:
                return
            unwell = status in {Status.RECOVERING, Status.FAILED}
            change = StageUnwell if unwell else StageStatusChanged
            self.ctx.publish(change(status=status.value, detail=self.detail))

    def note(self, frame: AudioFrame) -> None:
        """Remember, and show to the taps, a frame that the stage gives out or, as a sink, takes."""
        self.last = frame
        for tap in self._taps:
            tap(frame)

    def checked(
        self, made: object, method: str, given: AudioFrame | None = None
    ) -> list[AudioFrame]:
        """Return the frames that a method gave out for `given`; see `frames_of` for its errors."""
        return frames_of(made, method, given, self.last.sample_rate if self.last else 0)

    def tap(
        self, handler: Callable[[AudioFrame], None], on_error: Callable[[Exception], None]
    ) -> Callable[[], None]:
        """Show each frame that is noted to `handler`, until it raises; returns what ends it."""

        def guarded(frame: AudioFrame) -> None:
            try:
                handler(frame)
            except Exception as error:  # noqa: BLE001 - a listener's fault must not harm the audio
                self.untap(guarded)
                on_error(error)

        self._taps = (*self._taps, guarded)
        self.settle()
        return partial(self.untap, guarded)

    def untap(self, tap: Callable[[AudioFrame], None]) -> None:
        """Show no more to what `tap` has made, here and in who stands here later."""
        self._taps = tuple(each for each in self._taps if each is not tap)
        self.settle()
        if self.successor is not None:
            self.successor.untap(tap)

    def give_way(self, successor: Slot) -> None:
        """Let another place stand where this one stood: who listens here listens there."""
        self.quiet, self.successor = True, successor
        successor._taps = self._taps
        successor.lost_frames += self.lost_frames
        successor.ctx.listened_as(self.ctx)
        successor.settle()

    def become(self, spec: StageSpec, mask: Callable[[str], str]) -> Callable[[], None]:
        """Go by another spec of the same stage, and hide by `mask`, between two frames.

        Returns:
            A function that goes back to the spec before.

        Raises:
            Exception: What the stage raised; nothing has changed then.
        """
        before, used, running = self.spec, self.used, self._stage
        became = spec.chain[[each is used for each in before.chain].index(True)]
        changed = running is not None and bool(changed_fields(used.options, became.options))
        if running is not None and changed:
            running.change(became.options)
        self.spec, self.used, self._mask = spec, became, mask

        def undo() -> None:
            if running is not None and changed and running is self._stage:
                running.change(used.options)
            self.spec, self.used = before, used

        return undo

    @property
    def returns_after_s(self) -> float | None:
        """After how long (s) what is away is to be tried again; None: nothing is, or never."""
        return None if self.used is self.spec else self.used.return_after_s

    async def open(self, *, before: StageSpec | None = None) -> None:
        """Open the stage, or the first of its fallbacks that opens.

        Args:
            before: The fallback with which not to begin any more; None: all are tried.

        Raises:
            StageError: Nothing opened; it says why, and which stage.
        """
        try:
            await self._open_first(self.spec, before)
        except RtpipeError as error:
            raise self.wrapped(error) from error

    async def _open_first(self, candidate: StageSpec, before: StageSpec | None = None) -> None:
        while True:
            try:
                await self._open(candidate)
            except EnvironmentProblem as problem:
                if candidate.fallback is None or candidate.fallback is before:
                    self.set_status(Status.FAILED, problem.message)
                    raise
                candidate = self._fallen_back(candidate, candidate.fallback, problem)
            except RtpipeError as error:
                self.set_status(Status.FAILED, error.message)
                raise
            else:
                self.set_status(Status.OK)
                return

    def _fallen_back(
        self, wanted: StageSpec, fallback: StageSpec, problem: EnvironmentProblem
    ) -> StageSpec:
        """Say that `fallback` takes over; returns it."""
        self.ctx.publish(
            StageFellBack(
                wanted=describe(wanted),
                used=describe(fallback),
                reason=self._mask(problem.message),
            )
        )
        return fallback

    async def _open(self, spec: StageSpec) -> None:
        if spec is not self.used:
            self.used = spec
            self._on_replaced()
        self.last = None
        try:
            self._stage = stage = spec.stage_type(spec.options, self.ctx)
            await within(OPEN_TIMEOUT_S, stage.open())
        except BaseException as error:
            await self.close_instance()
            if isinstance(error, RtpipeError) or asked_to_end(error):
                raise
            if isinstance(error, TimeoutError):
                error = StageError(f"did not open within {OPEN_TIMEOUT_S:g} s, at {error}")
            raise self.wrapped(contained(error)) from error

    async def close(self) -> None:
        """Close the instance, if there is one, and end its subscriptions."""
        if self._restarting is not None:
            self._restarting.cancel()
            await asyncio.wait([self._restarting])
            self._restarting = None
        if self._stage is None:
            return
        if self.status is not Status.FAILED:
            self.set_status(Status.STOPPING)
        error = await self.close_instance()
        if error is None or self.status is Status.FAILED:
            return
        self._say_failed(error)
        if not isinstance(self.spec.on_error, Drop):  # what it wrote may not be whole
            self._give_up(error)

    async def close_instance(self) -> Exception | None:
        """Close the present instance; what it raises is logged and returned."""
        stage, self._stage = self._stage, None
        if stage is None:
            return None
        try:
            await within(CLOSE_TIMEOUT_S, self._closed(stage))
        except TimeoutError as late:
            error: Exception = StageError(f"did not close within {CLOSE_TIMEOUT_S:g} s, at {late}")
        except Exception as raised:  # noqa: BLE001 - a plugin may raise anything
            error = raised
        else:
            return None
        finally:
            self.ctx.close()
        self.ctx.log.warning("could not close: %s", self._mask(f"{error!r}"))
        self.ctx.log.debug("closing failed", exc_info=error)
        return error

    async def _closed(self, stage: Stage[Any]) -> None:
        await stage.close()
        if self.status is Status.STOPPING:
            self.set_status(Status.STOPPED)

    def gauge(self) -> str:
        """Return how the present instance says it is doing; "" while there is none that runs."""
        if self._stage is None or self.status is not Status.OK:
            return ""
        try:
            return self._mask(self._stage.gauge())
        except Exception as error:  # noqa: BLE001 - a plugin's slip must not take the display down
            self.ctx.log.debug("gauge failed: %r", error)
            return "?"

    def wrapped(self, error: Exception) -> StageError:
        """Return `error` with the stage's name in front of it and no secret in it."""
        return stage_error(self.spec.id, self.used, error, self._mask)

    # -- a running stage raised ------------------------------------------------------------------

    async def recover(self, error: Exception) -> bool:
        """Do what the policy says about `error` in a stage that has a task of its own.

        Returns:
            True when the stage may go on (a frame was dropped, or a new instance is open).
        """
        policy = self.spec.on_error
        fallback = self.used.fallback
        if isinstance(error, EnvironmentProblem) and fallback is not None:
            return await self._replace(fallback, error)
        self._say_failed(error)
        match policy:
            case Drop():
                return True
            case Restart():
                return await self._restart(policy, error)
            case Fail():
                self._give_up(error)
                return False

    async def _replace(self, fallback: StageSpec, problem: EnvironmentProblem) -> bool:
        """Let the fallback take over from a running stage whose surroundings have failed it."""
        self.set_status(Status.RECOVERING, f"{problem}")
        wanted = self.used
        await self.close_instance()
        try:
            await self._open_first(self._fallen_back(wanted, fallback, problem))
        except RtpipeError as error:
            self._give_up(error)
            return False
        return True

    async def _restart(self, policy: Restart, error: Exception) -> bool:
        while True:
            now = self.ctx.now()
            self._restarts = tuple(at for at in self._restarts if at >= now - policy.within_s)
            for_good = isinstance(error, RtpipeError) and error.exit_code in _FOR_GOOD
            if for_good or len(self._restarts) >= policy.tries or self.ctx.stopping:
                self._give_up(error)
                return False
            self.set_status(Status.RECOVERING, f"{error}")
            pause_s = Backoff(*policy.backoff_s).pause_s(len(self._restarts))
            self._restarts += (now,)
            await self.close_instance()
            await asyncio.sleep(pause_s)
            try:
                await self._open(self.used)  # never on to its fallback: a cable may be loose
            except RtpipeError as again:
                error = again
                self._say_failed(again)
                continue
            self.set_status(Status.OK)
            self.ctx.publish(StageRestarted(tries=len(self._restarts)))
            return True

    def forget(self) -> None:
        """Let the present instance forget what it holds: the stream jumps."""
        try:
            self.stage.reset()
        except BaseException as error:  # noqa: BLE001 - a plugin may raise anything
            self.report(contained(error))

    def report(self, error: Exception) -> None:
        """Say that the stage failed and goes on: what a subscriber does whatever its policy."""
        self._say_failed(error, policy="drop")

    def fail(self, error: Exception) -> None:
        """Say that the stage failed for good: its task has ended by `error`."""
        self._say_failed(error, policy="fail")
        self._give_up(error)

    def _say_failed(self, error: Exception, policy: str = "") -> None:
        self.ctx.publish(
            StageFailed(
                error=self.wrapped(error).message,
                policy=policy or type(self.spec.on_error).__name__.lower(),
                where=place_of(error, self.used.stage_type),
            )
        )
        self.ctx.log.debug("failed", exc_info=error)

    def _give_up(self, error: Exception) -> None:
        self.set_status(Status.FAILED, f"{error}")
        self._on_failure(self, self.wrapped(error))
