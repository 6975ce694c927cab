"""The policies that keep a call: back-off, roll-over, budget, silence. No clock, no network."""

from __future__ import annotations

import asyncio

import pytest

from rtpipe.testing import run_virtual
from rtpipe_plugins.peers.realtime.call.budget import BudgetMeter
from rtpipe_plugins.peers.realtime.call.roll_over import Schedule
from rtpipe_plugins.peers.realtime.options import Budget, Reconnect, RollOver
from rtpipe_plugins.peers.realtime.transports.silence import Silence
from rtpipe_plugins.peers.realtime.transports.webrtc.liveness import LOOK_S, watch

# -- trying again ------------------------------------------------------------------------------


def test_pauses_are_anything_from_none_to_the_whole() -> None:
    backoff = Reconnect(initial_s=1, max_s=100).backoff
    assert backoff.jitter == 1.0
    assert all(0 <= backoff.pause_s(failures) <= 2**failures for failures in range(6))


def test_what_the_server_asks_for_is_the_least_but_not_for_ever() -> None:
    backoff = Reconnect().backoff
    assert backoff.pause_s(0, 7.0) == 7.0
    assert backoff.pause_s(0, 1e9) == 300.0


# -- rolling over ------------------------------------------------------------------------------


def an_hour() -> Schedule:
    return Schedule(RollOver(), began_at=100.0, expires_at=3700.0)


def test_the_next_call_is_made_a_minute_before_the_end() -> None:
    assert an_hour().place_at == 3640.0
    assert an_hour().force_at == 3685.0


@pytest.mark.parametrize("life_s", [3, 6, 20, 60, 120, 3600])
def test_a_session_of_any_length_leaves_time_for_both(life_s: float) -> None:
    schedule = Schedule(RollOver(), began_at=0.0, expires_at=life_s)
    assert life_s * 0.5 < schedule.place_at < schedule.force_at <= life_s - 0.9


def test_they_change_places_when_nobody_speaks() -> None:
    schedule = an_hour()
    assert not schedule.may_swap(3645.0, idle=False, quiet_s=60.0, heard_s=60.0)
    assert not schedule.may_swap(3645.0, idle=True, quiet_s=0.5, heard_s=60.0)
    assert schedule.may_swap(3645.0, idle=True, quiet_s=0.7, heard_s=60.0)


def test_in_a_loud_room_the_servers_word_is_enough_after_a_while() -> None:
    assert not an_hour().may_swap(3662.0, idle=True, quiet_s=0.0, heard_s=60.0)
    assert an_hour().may_swap(3663.0, idle=True, quiet_s=0.0, heard_s=60.0)


def test_the_last_sound_of_an_answer_is_waited_for_but_not_for_ever() -> None:
    for now in (3645.0, 3663.0):
        assert not an_hour().may_swap(now, idle=True, quiet_s=60.0, heard_s=0.2)
        assert an_hour().may_swap(now, idle=True, quiet_s=60.0, heard_s=0.3)
    assert an_hour().may_swap(3685.0, idle=True, quiet_s=60.0, heard_s=0.0)


def test_at_last_they_change_places_whoever_speaks() -> None:
    assert not an_hour().may_swap(3684.9, idle=False, quiet_s=0.0, heard_s=60.0)
    assert an_hour().may_swap(3685.0, idle=False, quiet_s=0.0, heard_s=60.0)


# -- the budget --------------------------------------------------------------------------------


def test_without_a_budget_nothing_is_ever_spent() -> None:
    meter = BudgetMeter(Budget())
    meter.connected(0.0)
    meter.generated(1.0, 10**9)
    assert meter.hang_up(1e9, idle=True) is None


def test_minutes_are_those_of_calls_not_of_outages() -> None:
    meter = BudgetMeter(Budget(minutes=1))
    meter.connected(0.0)
    meter.connected(10.0)  # a roll-over
    meter.disconnected(40.0)
    meter.connected(1000.0)
    assert meter.hang_up(1019.9, idle=True) is None
    assert meter.hang_up(1020.0, idle=True) == "1 minutes of calls"


def test_tokens_count_for_an_hour() -> None:
    meter = BudgetMeter(Budget(output_tokens_per_hour=100))
    meter.generated(0.0, 60)
    meter.generated(1800.0, 39)
    assert meter.hang_up(1800.0, idle=True) is None
    meter.generated(3600.0, 60)
    assert meter.hang_up(3600.0, idle=True) is None  # the first 60 are an hour old
    meter.generated(3601.0, 1)
    assert meter.hang_up(3601.0, idle=True) == "100 output tokens within an hour"


def test_the_answer_that_is_being_given_is_finished_but_not_for_ever() -> None:
    meter = BudgetMeter(Budget(output_tokens_per_hour=10))
    meter.generated(0.0, 10)
    assert meter.hang_up(1.0, idle=False) is None
    assert meter.hang_up(30.9, idle=False) is None
    assert meter.hang_up(31.0, idle=False) is not None


# -- the watchdog ------------------------------------------------------------------------------


def test_silence_is_counted_from_the_last_packet() -> None:
    silence = Silence(LOOK_S)
    packets = [5, 9, 12, 12, 12, 12, 12]
    assert [silence.look(n * LOOK_S, packet) for n, packet in enumerate(packets)] == [
        *[0.0, 0.0, 0.0],
        *[0.5, 1.0, 1.5, 2.0],
    ]


def test_a_machine_of_ours_that_stood_still_is_no_silence_of_theirs() -> None:
    silence = Silence(LOOK_S)
    for n in range(4):
        silence.look(n * LOOK_S, 7)
    assert silence.look(60.0, 7) == 0.0
    assert silence.look(60.5, 7) == 0.5


class SilentServer:
    """Sends nothing by itself; answers when asked, until second `dies_at`; goes on at `revives_at`.

    From `closed_at` on the network says that nobody is there.
    """

    def __init__(self, dies_at: float, revives_at: float = 1e9, closed_at: float = 1e9) -> None:
        self._silent = (dies_at, revives_at)
        self._closed_at = closed_at
        self._answers = 7
        self.asked = 0

    def received(self) -> int:
        return self._answers

    def gone(self) -> str | None:
        closed = asyncio.get_running_loop().time() >= self._closed_at
        return "its port is closed" if closed else None

    async def ask(self) -> None:
        self.asked += 1
        dies_at, revives_at = self._silent
        if dies_at <= asyncio.get_running_loop().time() < revives_at:
            await asyncio.sleep(0.5)
        else:
            self._answers += 1


def watched(server: SilentServer, dead_after_s: float) -> tuple[float, str]:
    """Return when it was given up, and why."""

    async def run() -> tuple[float, str]:
        lost = await watch(server, dead_after_s)  # type: ignore[arg-type]  # as far as it is used
        return asyncio.get_running_loop().time(), str(lost)

    return run_virtual(run())


def test_a_server_that_is_only_silent_is_asked_and_lives_until_it_does_not_answer() -> None:
    server = SilentServer(dies_at=60.0)
    lost_at, reason = watched(server, 2.4)
    assert server.asked > 20
    assert 61 < lost_at < 63
    assert reason.startswith("nothing has come from the server for 2.")


def test_a_server_that_is_busy_for_eight_seconds_lives() -> None:
    lost_at, reason = watched(SilentServer(60.0, revives_at=68.0, closed_at=200.0), 10.0)
    assert (round(lost_at), reason) == (200, "the server is gone: its port is closed")


def test_a_server_that_is_dead_is_given_up_when_the_user_says() -> None:
    assert watched(SilentServer(dies_at=60.0), 10.0)[0] == pytest.approx(70, abs=1)
    assert watched(SilentServer(dies_at=60.0), 30.0)[0] == pytest.approx(90, abs=1)


def test_where_the_network_says_that_nobody_is_there_nobody_waits() -> None:
    lost_at, reason = watched(SilentServer(dies_at=60.0, closed_at=61.0), 30.0)
    assert lost_at == pytest.approx(61, abs=1)
    assert reason == "the server is gone: its port is closed"
