"""A dict that remembers the last N keys."""

from __future__ import annotations

from rtpipe import Recent


def test_a_new_key_pushes_the_oldest_out() -> None:
    recent: Recent[str, int] = Recent(2)
    recent["a"] = 1
    recent["b"] = 2
    recent["c"] = 3
    assert dict(recent) == {"b": 2, "c": 3}


def test_a_known_key_pushes_nothing_out_and_keeps_its_age() -> None:
    recent: Recent[str, int] = Recent(2)
    recent["a"] = 1
    recent["b"] = 2
    recent["a"] = 3
    assert dict(recent) == {"a": 3, "b": 2}
    recent["c"] = 4
    assert dict(recent) == {"b": 2, "c": 4}


def test_every_way_to_write_is_bounded() -> None:
    recent: Recent[int, None] = Recent(3)
    recent.update(dict.fromkeys(range(10)))
    recent.setdefault(10, None)
    assert list(recent) == [8, 9, 10]
