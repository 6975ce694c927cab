"""What plugin authors test with: virtual time, signals, one stage on its own, the conformance kit.

```python
from rtpipe.testing import check_stage, run_pipeline, run_stage, run_virtual, tone

def test_tremolo() -> None:
    check_stage(Tremolo, {"hz": 5})
    run = run_virtual(run_stage(Tremolo, {"hz": 5}, tone(seconds=1)))
    assert run.samples == 48_000

def test_the_file() -> None:
    events = run_pipeline(rtpipe.load("kiosk.yaml", sets=["mic={file: {path: a.wav}}"]))
    assert events[-1].type == "pipeline.ended"
```

A name is imported when it is first used: pytest, which finds `pytest_plugin` here, loads no more
than that.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rtpipe.testing.conformance import check_stage
    from rtpipe.testing.installed import stage_types
    from rtpipe.testing.isolation import isolated, moved, swallowed
    from rtpipe.testing.signals import cut, joined, noise, speech_like, tone, write_wav
    from rtpipe.testing.single_stage import Bench, StageRun, run_stage
    from rtpipe.testing.virtual_time import VirtualLoop, run_pipeline, run_virtual

__all__ = [
    "Bench",
    "StageRun",
    "VirtualLoop",
    "check_stage",
    "cut",
    "isolated",
    "joined",
    "moved",
    "noise",
    "run_pipeline",
    "run_stage",
    "run_virtual",
    "speech_like",
    "stage_types",
    "swallowed",
    "tone",
    "write_wav",
]

__provisional__ = frozenset({"Bench", "isolated", "moved", "stage_types", "swallowed", "write_wav"})
"""What may still change at any time."""

_HOMES = {
    "conformance": "check_stage",
    "installed": "stage_types",
    "isolation": "isolated moved swallowed",
    "signals": "cut joined noise speech_like tone write_wav",
    "single_stage": "Bench StageRun run_stage",
    "virtual_time": "VirtualLoop run_pipeline run_virtual",
}
"""In which module of this package each name is defined."""

if not TYPE_CHECKING:
    _HOME = {name: home for home, names in _HOMES.items() for name in names.split()}

    def __getattr__(name: str) -> Any:
        """Return a public name, from now on a name of this module like any other."""
        if name not in _HOME:
            raise AttributeError(f"module 'rtpipe.testing' has no attribute {name!r}")
        found = globals()[name] = getattr(import_module(f"rtpipe.testing.{_HOME[name]}"), name)
        return found

    def __dir__() -> list[str]:
        """Return the public names, whether they were used yet or not."""
        return sorted({*globals(), *__all__})
