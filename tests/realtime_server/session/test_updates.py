"""Updates of a session that stands: all of one or nothing."""

from __future__ import annotations

from realtime_server.bench import Bench


def test_an_update_shows_the_whole_session() -> None:
    bench = Bench()
    before = bench.one("session.created")["session"]
    bench.update(audio={"input": {"turn_detection": {"silence_duration_ms": 700}}})
    after = bench.one("session.updated")["session"]
    before["audio"]["input"]["turn_detection"]["silence_duration_ms"] = 700
    assert after == before


def test_tracing_that_is_on_stays_as_it_is() -> None:
    bench = Bench()
    bench.update(tracing={"workflow_name": "desk"})
    bench.update(tracing={"workflow_name": "desk"}, instructions="Hi")
    for other in (None, "auto"):
        bench.update(tracing=other, instructions="Ho")
        assert bench.error()["param"] == "session.tracing"
    assert bench.session.snapshot()["tracing"] == {"workflow_name": "desk"}
    assert bench.session.instructions == "Hi", "all of an update or nothing"


def test_the_voice_is_fixed_once_it_was_heard() -> None:
    bench = Bench()
    bench.update(audio={"output": {"voice": "coral"}})
    assert bench.last("session.updated")["session"]["audio"]["output"]["voice"] == "coral"
    bench.send("response.create")
    bench.think()
    bench.tick()
    bench.update(instructions="Be brief.", audio={"output": {"voice": "sage"}})
    assert bench.error()["code"] == "cannot_update_voice"
    assert bench.error()["param"] == "session.audio.output.voice"
    bench.update(audio={"output": {"voice": "coral"}})
    unchanged = bench.last("session.updated")["session"]
    assert unchanged["instructions"] != "Be brief."
    bench.tick(120)
    bench.send("response.create", response={"audio": {"output": {"voice": "sage"}}})
    assert bench.error()["param"] == "response.audio.output.voice"
