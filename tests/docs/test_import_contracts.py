"""Each import contract of pyproject.toml is broken by one import that it must not let through."""

from __future__ import annotations

from copy import deepcopy
from functools import cache
from typing import TYPE_CHECKING, Any

import pytest
from grimp import build_graph
from importlinter.api import read_configuration
from importlinter.contracts.acyclic_siblings import AcyclicSiblingsContract
from importlinter.contracts.forbidden import ForbiddenContract
from importlinter.contracts.independence import IndependenceContract
from importlinter.contracts.layers import LayersContract
from importlinter.contracts.protected import ProtectedContract

from helpers.command import ROOT

if TYPE_CHECKING:
    from grimp import ImportGraph

TYPES = {
    "acyclic_siblings": AcyclicSiblingsContract,
    "forbidden": ForbiddenContract,
    "independence": IndependenceContract,
    "layers": LayersContract,
    "protected": ProtectedContract,
}
CONFIGURATION = read_configuration(str(ROOT / "pyproject.toml"))
CONTRACTS: dict[str, dict[str, Any]] = {
    contract["name"]: contract for contract in CONFIGURATION["contracts_options"]
}
PEER = "rtpipe_plugins.peers.realtime"
BROKEN = {
    "The framework's imports point down this list": (
        "rtpipe.language.loading",
        "rtpipe.running.plan",
    ),
    "No circle, neither between rooms nor within them": (
        "rtpipe_plugins.sound.limiter",
        "rtpipe_plugins.sinks.blackhole",
    ),
    "The framework knows no plugin": ("rtpipe.cli.commands.run", "rtpipe_plugins.commands.devices"),
    "Plugins go through the public door: what is not named here is closed to them": (
        "rtpipe_plugins.transforms.gain",
        "rtpipe.language.loading",
    ),
    "Plugins do not import each other; libraries import no plugin": (
        "rtpipe_realtime_server.server",
        "rtpipe_plugins.sinks.blackhole",
    ),
    "The control surface stands alone": ("rtpipe_control.surface", "rtpipe_webrtc.opus"),
    "The service stands alone": ("rtpipe_service.checks", "rtpipe_control.sockets"),
    "Nobody needs to be a service": ("rtpipe_control.surface", "rtpipe_service.notify"),
    "The rooms of the service: imports point down this list": (
        "rtpipe_service.notify",
        "rtpipe_service.unit",
    ),
    "The MQTT library stands alone": ("rtpipe_mqtt.presence", "rtpipe_homeassistant.discovery"),
    "Home Assistant is reached by MQTT alone": (
        "rtpipe_homeassistant.discovery",
        "rtpipe_webrtc.opus",
    ),
    "Nobody needs Home Assistant": (
        "rtpipe_plugins.subscribers.mqtt",
        "rtpipe_homeassistant.discovery",
    ),
    "The rooms of the MQTT library: imports point down this list": (
        "rtpipe_mqtt.broker",
        "rtpipe_mqtt.presence",
    ),
    "The tests in files stand alone": ("rtpipe_test.staging", "rtpipe_realtime_server.server"),
    "Nobody needs the tests in files": ("rtpipe_control.surface", "rtpipe_test.section"),
    "The rooms of the tests in files: imports point down this list": (
        "rtpipe_test.section",
        "rtpipe_test.running",
    ),
    "What begins things stands alone": ("rtpipe_new.folders", "rtpipe_test.section"),
    "Nobody needs what begins things": ("rtpipe_test.section", "rtpipe_new.folders"),
    "Record and replay stand alone": ("rtpipe_replay.record", "rtpipe_test.section"),
    "Nobody needs record and replay": ("rtpipe_test.section", "rtpipe_replay.record"),
    "The rooms of record and replay: imports point down this list": (
        "rtpipe_replay.record",
        "rtpipe_replay.stages",
    ),
    "Tracing stands alone": ("rtpipe_otel.tracing", "rtpipe_mqtt.broker"),
    "Nobody needs tracing": ("rtpipe_mqtt.broker", "rtpipe_otel.tracing"),
    "The rooms of tracing: imports point down this list": (
        "rtpipe_otel.spans",
        "rtpipe_otel.turn",
    ),
    "The language server stands alone": ("rtpipe_lsp.server", "rtpipe_control.sockets"),
    "Nobody needs the language server": ("rtpipe_service.checks", "rtpipe_lsp.cursor"),
    "The rooms of the language server: imports point down this list": (
        "rtpipe_lsp.cursor",
        "rtpipe_lsp.server",
    ),
    "Nobody needs the control surface": (
        "rtpipe_plugins.transforms.gain",
        "rtpipe_control.surface",
    ),
    "The rooms of the control surface: imports point down this list": (
        "rtpipe_control.view.feed",
        "rtpipe_control.surface",
    ),
    "The WebRTC library knows neither client nor server": (
        "rtpipe_webrtc.opus",
        "rtpipe_realtime_server.server",
    ),
    "The client imports the server in `embedded` alone": (
        f"{PEER}.stage",
        "rtpipe_realtime_server.server",
    ),
    "The rooms of what ships: imports point down this list": (
        "rtpipe_plugins.media.encoding",
        "rtpipe_plugins.disk.output_file",
    ),
    "`sound` does arithmetic, no input or output": ("rtpipe_plugins.sound.limiter", "asyncio"),
    "The parts of a kind or of a command serve it alone": (
        "rtpipe_plugins.sinks.blackhole",
        "rtpipe_plugins.sinks.recorder.stage",
    ),
    "The rooms of the Realtime peer: imports point down this list": (
        f"{PEER}.tools.toolbox",
        f"{PEER}.call.manager",
    ),
    "The transports know nothing of each other": (
        f"{PEER}.transports.websocket.transport",
        f"{PEER}.transports.webrtc.transport",
    ),
    "A dialect is a folder; what they share knows none of them": (
        f"{PEER}.dialects.conversation",
        f"{PEER}.dialects.openai.protocol",
    ),
    "Nobody but the choice of a dialect imports one": (
        f"{PEER}.call.manager",
        f"{PEER}.dialects.openai.protocol",
    ),
    "The rooms of the server: imports point down this list": (
        "rtpipe_realtime_server.session.session",
        "rtpipe_realtime_server.talk.responses",
    ),
}
"""A contract: who may not import, and what."""


@cache
def imports() -> ImportGraph:
    options = CONFIGURATION["session_options"]
    return build_graph(
        *options["root_packages"],
        include_external_packages=True,
        exclude_type_checking_imports=True,
        cache_dir=None,
    )


def kept(name: str, graph: ImportGraph) -> bool:
    options = CONTRACTS[name]
    contract = TYPES[options["type"]](
        name=name, session_options=CONFIGURATION["session_options"], contract_options=options
    )
    return bool(contract.check(deepcopy(graph), verbose=False).kept)


def test_no_room_is_forgotten() -> None:
    layers = [each for each in CONTRACTS.values() if each["type"] == "layers"]
    assert {each["name"] for each in layers if not each.get("exhaustive")} == set()


def test_each_contract_has_an_import_that_must_break_it() -> None:
    assert set(BROKEN) == set(CONTRACTS)


@pytest.mark.parametrize("name", CONTRACTS)
def test_a_contract_fails_when_it_is_broken(name: str) -> None:
    importer, imported = BROKEN[name]
    assert {importer, imported} <= imports().modules
    assert kept(name, imports())
    graph = deepcopy(imports())
    graph.add_import(importer=importer, imported=imported)
    assert not kept(name, graph)
