"""`key` is the name of a kind and of an event's field in `events:`, and a secret's elsewhere."""

from __future__ import annotations

from rtpipe.catalogue.plugins import Registry
from rtpipe.language.loading import from_text

TEXT = """
version: 1
vars: {door_key: sesame-1}
stages: [{tone: {duration_s: 1}}, blackhole]
events:
  - key: /dev/input/pedal
    fallback: {key: {device: /dev/input/switch}}
  - {match: key.pressed, where: {key: space}, log: info}
  - webhook: {url: "https://desk.example/in", headers: {X-Key: sesame-2, key: sesame-3}}
profiles:
  site:
    events:
      - {match: key.pressed, where: {key: enter}, log: info}
"""


def test_what_is_no_secret_is_shown_and_what_is_one_is_not() -> None:
    loaded = from_text(TEXT, registry=Registry.discover(), examine="file")
    assert loaded.spec.secrets >= {"sesame-1", "sesame-2", "sesame-3"}
    shown = {"/dev/input/pedal", "/dev/input/switch", "space", "enter"}
    assert not loaded.spec.secrets & shown
