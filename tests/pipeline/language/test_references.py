"""References in a file: variables, the environment, secrets, and what paths start from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import SecretStr

from helpers.specimens import HOME, mistakes, registry, stage, stages, understood
from rtpipe.language.loading import load
from rtpipe.language.nodes import ListNode, MapNode, Node, ScalarNode
from rtpipe.wording.flow import block


def test_a_reference_that_is_the_whole_value_keeps_its_type() -> None:
    loaded = understood(
        "version: 1\nvars: {level: -6, on: true, text: '12', both: '${text}!', self: '${level}'}\n"
        "stages:\n  - mic: ${text}\n  - gain: {gain_db: '${self}', mute: '${on}'}\n"
        "  - realtime: {voice: '${both}', instructions: 'a${level}b$${x}$c'}\n  - blackhole\n"
    )
    assert stage(loaded, "mic").options.device == "12"
    assert stage(loaded, "gain").options.model_dump() == {"gain_db": -6.0, "mute": True}
    realtime = stage(loaded, "realtime").options
    assert (realtime.voice, realtime.instructions) == ("12!", "a-6b${x}$c")


@pytest.mark.parametrize(
    ("reference", "env", "value"),
    [
        ("${env:A}", {"A": "x"}, "x"),
        ("${env:A}", {"A": ""}, ""),
        ("${env:A:-d}", {}, "d"),
        ("${env:A:-d}", {"A": ""}, "d"),
        ("${env:A:-}", {}, ""),
        ("${env:A:-a:b:-c}", {}, "a:b:-c"),
        ("${env:A:?needed}", {"A": "x"}, "x"),
        ("<${env:A}|${env:B}>", {"A": "x", "B": "y"}, "<x|y>"),
        ("${env:A}", {"A": "${env:B}"}, "${env:B}"),
    ],
)
def test_the_environment(reference: str, env: dict[str, str], value: str) -> None:
    text = stages(f"  - tone\n  - realtime:\n      voice: '{reference}'\n  - blackhole\n")
    assert stage(understood(text, env=env), "realtime").options.voice == value


def test_the_authors_own_words_for_a_missing_variable() -> None:
    (found,) = mistakes(stages("  - mic: '${env:MIC:?plug one in}'\n  - blackhole\n"))
    assert (found.code, found.message) == (
        "E302", "the environment variable `MIC` is not set: plug one in",
    )  # fmt: skip


def test_text_from_the_environment_becomes_what_the_option_wants() -> None:
    loaded = understood(
        stages("  - tone\n  - gain: {gain_db: '${env:G}', mute: '${env:M}'}\n  - blackhole\n"),
        env={"G": "-3.5", "M": "true"},
    )
    assert stage(loaded, "gain").options.model_dump() == {"gain_db": -3.5, "mute": True}


SECRET = "sk-canary-5678"


def test_secrets_are_collected_and_printed_masked(tmp_path: Path) -> None:
    (tmp_path / "desk").write_text(SECRET + "2\n")
    loaded = understood(
        "version: 1\nvars: {token: sk-canary-56783}\nstages:\n"
        "  - tone\n"
        "  - realtime:\n      api_key: ${env:WHATEVER}\n      voice: ${env:MY_TOKEN}\n"
        "      instructions: a ${cred:desk} b ${token}\n"
        "      ice_servers: [{urls: 'turn:u', credential: sk-canary-56784}]\n"
        "      session: {password: [sk-canary-56785]}\n"
        "  - blackhole\n",
        env={
            "WHATEVER": SECRET + "0", "MY_TOKEN": SECRET + "1",
            "CREDENTIALS_DIRECTORY": str(tmp_path),
        },
    )  # fmt: skip
    assert loaded.spec.secrets == {SECRET + str(n) for n in range(6)}
    assert "canary" not in block(loaded.resolved)
    assert "a *** b ***" in block(loaded.resolved)
    assert "canary" not in repr(loaded.spec)
    options = stage(loaded, "realtime").options
    assert options.api_key == SecretStr(SECRET + "0")
    assert options.instructions == f"a {SECRET}2 b {SECRET}3"


def test_the_names_that_the_files_read_are_known_wherever_they_stand() -> None:
    loaded = understood(
        "version: 1\n"
        "vars: {used: '${env:A}-${env:B:-b}', unused: '${env:C:-}'}\n"
        "profiles:\n  other: {vars: {used: '${env:D}'}}\n"
        "stages:\n"
        "  - mic\n"
        "  - gain: {gain_db: '${env:E:-1}'}\n    enabled: false\n"
        "  - realtime: {voice: '${used}', instructions: '$${env:NOT} ${file:/dev/null}'}\n"
        "  - blackhole\n"
        "events:\n  - match: vad.speech_started\n    where: {text: '${env:F:?why}'}\n"
        "    do: blackhole.flush\n",
        env={"A": "1", "F": "f", "CREDENTIALS_DIRECTORY": str(HOME.parent)},
        sets=["mic.device=${env:G:-x}"],
    )
    assert loaded.spec.env_names == set("ABCDEFG")


def test_a_credential_is_read_by_way_of_its_folder(tmp_path: Path) -> None:
    (tmp_path / "desk").write_text("x")
    text = stages("  - tone\n  - realtime: {instructions: 'a ${cred:desk}'}\n  - blackhole\n")
    loaded = understood(text, env={"CREDENTIALS_DIRECTORY": str(tmp_path)})
    assert loaded.spec.env_names == {"CREDENTIALS_DIRECTORY"}


NAME = st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,8}", fullmatch=True)


@settings(max_examples=40)
@given(
    names=st.lists(NAME, max_size=4), between=st.sampled_from(["", "a", "$$", "$${env:NOT}", "$ "])
)
def test_every_name_in_a_text_is_known(names: list[str], between: str) -> None:
    text = between.join(["", *(f"${{env:{name}:-}}" for name in names), ""])
    loaded = understood(stages(f"  - tone\n  - realtime: {{voice: 'v{text}'}}\n  - blackhole\n"))
    assert loaded.spec.env_names == set(names)


def test_a_password_in_a_url_is_printed_masked() -> None:
    loaded = understood(stages("  - mic: rtsp://cam:s3cret@10.0.0.1/x\n  - blackhole\n"))
    assert loaded.resolved["stages"][0] == {"mic": {"device": "rtsp://cam:***@10.0.0.1/x"}}


@pytest.mark.parametrize("name", ["../x", "a/b", "..", "."])
def test_a_credential_is_a_name_and_not_a_path(name: str, tmp_path: Path) -> None:
    (tmp_path / "x").write_text("secret")
    env = {"CREDENTIALS_DIRECTORY": str(tmp_path / "credentials")}
    found = mistakes(stages(f"  - mic: '${{cred:{name}}}'\n  - blackhole\n"), env=env)
    assert [each.code for each in found] == ["E305"]


@pytest.mark.parametrize(
    ("path", "value", "allowed"),
    [
        ("out/${v}.wav", "visit-1", True),
        ("out/${v}.wav", "a/b", True),
        ("out/${v}.wav", "..a", True),
        ("out/${v}/x.wav", "..", False),
        ("out/${v}.wav", "../x", False),
        ("out/${v}.wav", "a/../../x", False),
        ("out/.${v}/x.wav", ".", False),
        ("out/${v}.wav", "/etc/x", False),
        ("out${v}.wav", "/x", False),
        ("out/${v}", "~root", False),
        ("${v}", "/srv/out/x.wav", True),
        ("${v}", "../x.wav", True),
        ("${v}/x.wav", "/srv/out", True),
        ("../${v}.wav", "x", True),
    ],
)
def test_a_variable_in_mid_path_cannot_leave_the_folder(
    path: str, value: str, *, allowed: bool
) -> None:
    text = stages(f"  - tone\n  - file_sink: {path}\nvars: {{v: '{value}'}}\n")
    if allowed:
        assert understood(text)
    else:
        assert [each.code for each in mistakes(text)] == ["E113"]


def test_paths_start_from_the_file_they_stand_in(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    (tmp_path / "a" / "text.md").write_text("from a")
    (tmp_path / "b" / "text.md").write_text("from b")
    (tmp_path / "a" / "a.yaml").write_text(
        "version: 1\nstages:\n  - file: x.wav\n  - realtime: {instructions: '${file:text.md}'}\n"
        "  - file_sink: /tmp/y.wav\n  - recorder: z.mka\n    from: realtime\n"
    )
    (tmp_path / "b" / "b.yaml").write_text(
        "stages:\n  file: {file: {path: x.wav}}\n"
        "  realtime: {realtime: {voice: '${file:text.md}'}}\n"
    )
    loaded = load(
        [tmp_path / "a" / "a.yaml", tmp_path / "b" / "b.yaml"],
        sets=["recorder.path=here.mka"],
        registry=registry(),
        env={},
    )
    assert stage(loaded, "file").options.path == tmp_path / "b" / "x.wav"
    realtime = stage(loaded, "realtime").options
    assert (realtime.voice, realtime.instructions) == ("from b", "from a")
    assert stage(loaded, "file_sink").options.path == Path("/tmp/y.wav")
    assert stage(loaded, "recorder").options.path == Path.cwd() / "here.mka"


VALUES = st.text(max_size=12) | st.sampled_from(
    ["]", "}", "- a", "a: b", "\n- mic: x", "${v}", "$$", "#", "*a", "&b", '"', "null", "true"]
)


@settings(deadline=None)  # the machine is shared
@given(value=VALUES)
def test_a_value_cannot_change_the_structure(value: str) -> None:
    text = stages(
        "  - mic: ${env:V}\n  - realtime: {voice: 'a${env:V}b', session: {k: ['${env:V}', 1]}}\n"
        "  - speaker: ${v}\nevents:\n  - {match: playback.started, do: 'realtime.say(${env:V})'}\n"
        "vars: {v: '${env:V}'}\n"
    )
    loaded = understood(text, env={"V": value})
    assert [s.id for s in loaded.spec.stages] == ["mic", "realtime", "speaker"]
    realtime = stage(loaded, "realtime").options
    assert (realtime.voice, realtime.session) == (f"a{value}b", {"k": [value, 1]})
    assert stage(loaded, "mic").options.device == value
    assert stage(loaded, "speaker").options.device == value
    assert loaded.spec.routes[0].actions[0].args == (value,)


def shape(node: Node) -> Any:
    if isinstance(node, ScalarNode):
        return "value"
    if isinstance(node, ListNode):
        return [shape(item) for item in node.items]
    assert isinstance(node, MapNode)
    return {key: shape(entry.value) for key, entry in node.entries.items()}


TREES = st.recursive(
    st.sampled_from(["${a}", "x${a}", "${env:E}", "$$", "plain", "3"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("kl"), inner),
    max_leaves=8,
)


@settings(deadline=None)  # the machine is shared
@given(tree=TREES, value=st.text(max_size=8) | st.integers() | st.booleans() | st.none())
def test_interpolation_keeps_the_shape_of_any_tree(tree: Any, value: Any) -> None:
    from rtpipe.language.interpolate import Interpolator
    from rtpipe.language.nodes import Entry
    from rtpipe.language.reader import read_text
    from rtpipe.wording.diagnostics import Findings, Span

    findings = Findings()
    node = read_text(block(tree), HOME, findings)
    assert node is not None
    span = Span(HOME, 1, 1)
    variables = {"a": Entry("a", span, ScalarNode(value, span))}
    filled = Interpolator(variables, {"E": str(value)}, findings).resolve(node)
    assert not findings.failed or "$" in str(value)
    assert shape(filled) == shape(node)
