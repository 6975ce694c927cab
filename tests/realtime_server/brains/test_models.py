"""Models that are loaded once: who shares them, and when they end."""

from __future__ import annotations

import asyncio
import threading

import pytest

from rtpipe_realtime_server.brains.models import SharedModel


class Model:
    """Counts how often it was loaded, and knows its thread."""

    loaded = 0

    def __init__(self) -> None:
        Model.loaded += 1
        self.thread = threading.current_thread()


@pytest.fixture(autouse=True)
def _fresh() -> None:
    Model.loaded = 0


def me(model: Model) -> Model:
    return model


async def test_two_users_have_one_model_and_its_thread_ends_with_the_last() -> None:
    first, second = (SharedModel.take("ears", "tiny", Model) for _ in range(2))
    models = await asyncio.gather(first.run(me), second.run(me))
    assert models[0] is models[1]
    assert Model.loaded == 1

    await first.give_back()
    assert await second.run(me) is models[0]
    await second.give_back()
    assert not models[0].thread.is_alive()
    with pytest.raises(RuntimeError, match="shutdown"):
        await second.run(me)


@pytest.mark.slow
async def test_other_models_and_later_ones_are_loaded_anew() -> None:
    tiny, base = (SharedModel.take("ears", source, Model) for source in ("tiny", "base"))
    assert await tiny.run(me) is not await base.run(me)
    await tiny.give_back()
    await base.give_back()
    again = SharedModel.take("ears", "tiny", Model)
    await again.run(me)
    await again.give_back()
    assert Model.loaded == 3


async def test_a_model_that_could_not_be_loaded_is_tried_again() -> None:
    failures = iter([OSError("not there")])

    def load() -> Model:
        for failure in failures:
            raise failure
        return Model()

    model = SharedModel.take("ears", "late", load)
    with pytest.raises(OSError, match="not there"):
        await model.run(me)
    assert isinstance(await model.run(me), Model)
    await model.give_back()
