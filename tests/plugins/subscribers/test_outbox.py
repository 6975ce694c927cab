"""The outbox: what still has to be delivered, in order."""

import sqlite3
from pathlib import Path

import pytest

from rtpipe import EnvironmentProblem, StageError
from rtpipe_plugins.subscribers.delivery.outbox import Outbox


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
