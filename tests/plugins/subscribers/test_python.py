"""python: each event is given to a function of the user's; and the contract of those in process."""

import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from plugins.subscribers.deliveries import STARTED
from rtpipe import ExitCode, PluginError
from rtpipe.testing import check_stage, run_stage, run_virtual
from rtpipe_plugins.subscribers.jsonl import Jsonl
from rtpipe_plugins.subscribers.log import Log
from rtpipe_plugins.subscribers.python import Python


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    (tmp_path / "light_show.py").write_text(
        """
import threading
seen = []
def note(event):
    seen.append((event.type, threading.current_thread()))
async def note_async(event):
    seen.append((event.type, threading.current_thread()))
def fail(event):
    raise ValueError("no bulb")
class Lamp:
    async def __call__(self, event):
        seen.append((event.type, threading.current_thread()))
lamp = Lamp()
number = 5
""",
        encoding="utf-8",
    )
    monkeypatch.syspath_prepend(tmp_path)
    import light_show

    yield light_show
    del sys.modules["light_show"]


@pytest.mark.parametrize("name", ["note", "note_async", "lamp"])
def test_python_calls_the_function_with_each_event(module: Any, name: str) -> None:
    run_virtual(run_stage(Python, {"target": f"light_show:{name}"}, events=[STARTED] * 2))
    assert [type_ for type_, _ in module.seen] == ["vad.speech_started"] * 2
    in_thread = module.seen[0][1] is not threading.main_thread()
    assert in_thread is (name == "note")


def test_python_tells_what_the_function_raises(module: Any) -> None:
    with pytest.raises(ValueError, match="no bulb"):
        run_virtual(run_stage(Python, {"target": "light_show:fail"}, events=[STARTED]))


@pytest.mark.parametrize(
    ("target", "said"),
    [
        ("no_such_module:note", "No module named 'no_such_module'"),
        ("light_show:nothing", "has no attribute 'nothing'"),
        ("light_show:number", "is not a function"),
    ],
)
def test_python_says_what_it_cannot_find(module: Any, target: str, said: str) -> None:
    with pytest.raises(PluginError, match=said) as caught:
        run_virtual(run_stage(Python, {"target": target}))
    assert caught.value.exit_code is ExitCode.CONFIGURATION


def test_python_refuses_what_is_no_target() -> None:
    for target in ("light_show", "light_show:", ":note", "light show:note"):
        with pytest.raises(ValidationError, match="pattern"):
            run_virtual(run_stage(Python, {"target": target}))


def test_they_keep_the_contract(module: Any, tmp_path: Path) -> None:
    check_stage(Log)
    check_stage(Jsonl, {"path": tmp_path / "x.jsonl"})
    check_stage(Python, {"target": "light_show:note"})
