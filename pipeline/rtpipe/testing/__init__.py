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
"""

from rtpipe.testing.conformance import check_stage
from rtpipe.testing.isolation import isolated, moved, swallowed
from rtpipe.testing.signals import cut, joined, noise, speech_like, tone
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
    "swallowed",
    "tone",
]
