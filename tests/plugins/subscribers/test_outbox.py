"""The outbox: what still has to be delivered, in order."""

import json
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from rtpipe import EnvironmentProblem, StageError
from rtpipe_plugins.subscribers.delivery.outbox import Message, Outbox


@pytest.fixture(params=["memory", "file"])
def path(request: pytest.FixtureRequest, tmp_path: Path) -> Path | None:
    return tmp_path / "new" / "outbox" if request.param == "file" else None


async def drained(outbox: Outbox) -> list[str]:
    bodies = []
    while (message := await outbox.first()) is not None:
        bodies.append(message.body)
        await outbox.remove(message)
    return bodies


async def test_it_gives_out_in_the_order_in_which_it_took(path: Path | None) -> None:
    outbox = Outbox(path, 100)
    await outbox.open()
    for number in range(20):
        assert await outbox.put("x", f"{number}") == 0
    assert await outbox.count() == 20
    assert await drained(outbox) == [f"{number}" for number in range(20)]
    assert await outbox.count() == 0
    await outbox.close()


async def test_a_letter_stays_until_it_is_removed_and_keeps_its_id(path: Path | None) -> None:
    outbox = Outbox(path, 100)
    await outbox.open()
    await outbox.put("x", "a")
    await outbox.put("x", "b")
    first = await outbox.first()
    assert first == await outbox.first()
    assert first is not None
    await outbox.remove(first)
    second = await outbox.first()
    assert second is not None
    assert (second.body, second.id != first.id) == ("b", True)
    await outbox.close()


async def test_when_it_is_full_the_oldest_goes_and_is_counted(path: Path | None) -> None:
    outbox = Outbox(path, 3)
    await outbox.open()
    assert [await outbox.put("x", f"{number}") for number in range(5)] == [0, 0, 0, 1, 1]
    assert await drained(outbox) == ["2", "3", "4"]
    await outbox.close()


async def test_what_is_under_way_does_not_go(path: Path | None) -> None:
    outbox = Outbox(path, 2)
    await outbox.open()
    await outbox.put("x", "under way")
    message = await outbox.first()
    assert message is not None
    lost = [await outbox.put("x", f"{number}") for number in range(4)]
    assert sum(lost) == 2
    assert await outbox.first() == message
    assert await drained(outbox) == ["under way", "2", "3"]
    await outbox.close()


async def test_a_file_keeps_what_was_not_removed(tmp_path: Path) -> None:
    path = tmp_path / "outbox"
    outbox = Outbox(path, 100)
    await outbox.open()
    for body in ("a", "b", "c"):
        await outbox.put("x", body)
    message = await outbox.first()
    assert message is not None
    await outbox.remove(message)
    second = await outbox.first()
    await outbox.close()

    again = Outbox(path, 100)
    await again.open()
    assert await again.first() == second
    await again.put("x", "d")
    assert await drained(again) == ["b", "c", "d"]
    await again.close()


async def test_two_cannot_use_one_file(tmp_path: Path) -> None:
    first, second = Outbox(tmp_path / "outbox", 10), Outbox(tmp_path / "outbox", 10)
    await first.open()
    with pytest.raises(EnvironmentProblem, match="locked"):
        await second.open()
    await second.close()
    await first.close()


async def test_another_file_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "letter.txt"
    path.write_text("Dear desk, this is no database. " * 100, encoding="utf-8")
    outbox = Outbox(path, 10)
    with pytest.raises(EnvironmentProblem, match="not a database"):
        await outbox.open()
    await outbox.close()
    assert path.read_text(encoding="utf-8").startswith("Dear desk")


async def test_a_folder_that_cannot_be_made_is_the_surroundings(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    outbox = Outbox(tmp_path / "file" / "outbox", 10)
    with pytest.raises(EnvironmentProblem, match="cannot use the outbox"):
        await outbox.open()
    await outbox.close()


async def test_what_was_delivered_is_not_given_out_again_though_the_disk_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    outbox = Outbox(tmp_path / "outbox", 10)
    await outbox.open()
    await outbox.put("x", "a")
    await outbox.put("x", "b")
    message = await outbox.first()
    assert message is not None

    def full(database: sqlite3.Connection) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(outbox, "_remove", full)
        with pytest.raises(StageError, match="disk is full"):
            await outbox.remove(message)
    assert await drained(outbox) == ["b"]
    assert await outbox.count() == 0
    await outbox.close()


# --- damage


def damaged_page(path: Path) -> None:
    data = bytearray(path.read_bytes())
    for at in range(4096, len(data)):
        data[at] = 0xA5
    path.write_bytes(data)


def cut_short(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:5000])


def zeros(path: Path) -> None:
    path.write_bytes(bytes(path.stat().st_size))


@pytest.mark.parametrize("harm", [damaged_page, cut_short, zeros])
async def test_a_damaged_outbox_is_put_aside_and_told(
    tmp_path: Path, harm: Callable[[Path], None]
) -> None:
    path = tmp_path / "outbox"
    outbox = Outbox(path, 100)
    await outbox.open()
    for number in range(50):
        await outbox.put("x", f"{number}" * 400)
    await outbox.close()
    harm(path)
    harmed = path.read_bytes()

    told: list[tuple[str, Path]] = []
    again = Outbox(path, 100, lambda reason, kept: told.append((reason, kept)))
    await again.open()
    await again.put("x", "new")
    assert await drained(again) == ["new"]
    await again.close()
    ((reason, kept),) = told
    assert reason
    assert kept == tmp_path / "outbox.damaged"
    assert kept.read_bytes() == harmed


async def test_damage_that_shows_later_ends_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[Path] = []
    outbox = Outbox(tmp_path / "outbox", 100, lambda _, kept: told.append(kept))
    await outbox.open()
    await outbox.put("x", "a")
    under_way = await outbox.first()
    assert under_way is not None

    class Malformed(sqlite3.DatabaseError):
        sqlite_errorcode = sqlite3.SQLITE_CORRUPT

    real, harmed = outbox._put, iter([True])

    def put(database: sqlite3.Connection, type: str, body: str) -> int:
        if next(harmed, False):
            raise Malformed("database disk image is malformed")
        return real(database, type, body)

    monkeypatch.setattr(outbox, "_put", put)
    assert await outbox.put("x", "b") == 0
    await outbox.remove(under_way)  # in the new file its number belongs to nobody else
    await outbox.put("x", "c")
    assert await drained(outbox) == ["b", "c"]
    await outbox.close()
    assert told == [tmp_path / "outbox.damaged"]


# --- dead letters


async def test_a_dead_letter_is_a_line_beside_the_outbox(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path / "outbox", 100)
    await outbox.open()
    await outbox.put("x", '{"type": "x", "text": "\\ud800"}')
    message = await outbox.first()
    assert message is not None
    kept = await outbox.set_aside(message, "too large")
    await outbox.close()
    assert kept is not None
    assert kept == tmp_path / "outbox.dead.jsonl"
    (line,) = kept.read_text(encoding="utf-8").splitlines()
    letter = json.loads(line)
    assert letter.pop("time")
    assert letter == {
        "id": message.id,
        "reason": "too large",
        "event": {"type": "x", "text": "\ud800"},
    }


async def test_dead_letters_do_not_fill_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rtpipe_plugins.subscribers.delivery.outbox._DEAD_LETTERS_BYTES", 300)
    outbox = Outbox(tmp_path / "outbox", 100)
    await outbox.open()
    await outbox.put("x", "{}")
    message = await outbox.first()
    assert message is not None
    await outbox.set_aside(message, "no" * 150)
    with pytest.raises(StageError, match="too large"):
        await outbox.set_aside(message, "no")
    await outbox.close()


async def test_in_memory_there_are_none() -> None:
    outbox = Outbox(None, 100)
    await outbox.open()
    assert await outbox.set_aside(Message(1, "i", "x", "{}"), "no") is None
    await outbox.close()
