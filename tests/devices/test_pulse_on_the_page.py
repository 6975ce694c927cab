"""A microphone that is pulled out, as the page shows it, over a real PulseAudio."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from control.page.browser import chromium, opened, silent
from control.page.test_live import running

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from devices.pulse import PulseAudio

pytestmark = pytest.mark.slow
DESK = """\
version: 1
name: desk
stages:
  - mic: {device: "pulse:vmic"}
  - recorder: {path: said.wav}
"""


async def test_it_is_gone_with_its_remedy_another_is_taken_and_it_is_well_again(
    pulse: PulseAudio,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    record_property: Callable[[str, object], None],
) -> None:
    pulse.add_mic(2)
    for name, value in pulse.env.items():
        if name != "HOME":
            monkeypatch.setenv(name, value)
    (tmp_path / "desk.yaml").write_text(DESK)
    async with (
        running(tmp_path, "desk.yaml") as run,
        chromium(silent(tmp_path)) as browser,
        opened(browser, run.url) as tab,
    ):
        await tab.says("Recording.")
        pulse.unplug_mic()
        unplugged_at = time.monotonic()
        await tab.says("Nobody can be heard.")
        record_property("shown after (s)", round(time.monotonic() - unplugged_at, 2))
        alert = "document.querySelector('.alert')"
        await tab.until(f"{alert} && {alert}.innerText.includes('Plug it in again')")
        await tab.until(f"{alert}.querySelector('option[value=\"pulse:vmic2\"]') !== null")
        assert await tab.axe() == []
        await tab.page.select_option(".alert select", "pulse:vmic2")
        await tab.page.click(".alert button")
        await tab.says("Recording.")
        assert await tab.get(f"{alert} === null || {alert}.closest('[hidden]') !== null")
