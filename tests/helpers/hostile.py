"""Texts that nobody means well with, and what must hold for whatever becomes of one."""

from __future__ import annotations

import json
import random
import re
import resource
import sys
import time
from collections.abc import Iterable
from copy import deepcopy
from functools import cache
from pathlib import Path
from typing import Any

from click.testing import CliRunner

from rtpipe import ConfigError
from rtpipe.catalogue.explain import pages
from rtpipe.catalogue.plugins import Registry
from rtpipe.cli.commands.show import draw_text
from rtpipe.cli.root import cli
from rtpipe.language.loading import Loaded, from_text
from rtpipe.language.nodes import Node, plain
from rtpipe.language.reader import read_text
from rtpipe.wording.diagnostics import MOST_FOUND, Diagnostic, Findings, split_lines
from rtpipe.wording.flow import block
from rtpipe.wording.rendering import as_github, render

PIPELINES = Path(__file__).parents[2] / "pipelines"
HERE = PIPELINES / "hostile.yaml"
FILES = sorted(PIPELINES.glob("*.yaml"))

SCALARS = (
    "", "~", "null", "true", "no", "0", "-1", "1e999", ".inf", "-.inf", ".nan", "0x" + "f" * 98,
    "9" * 99, "9" * 5000, "-" + "9" * 90, "1e-9999", "1.", "...", "---", "-", "?", ":", "!", "&",
    "*", "@", "`", "%", "|", ">", "'", '"', "[", "]", "{", "}", ",", "#", "<<", "=", "\t",
    "\u00a0", "\ufeff", "\u2028", "\u0085", "\U0001f600", "a" * 300, "é" * 300, '"\\ud800"',
    '"\\ud83d\\ude00"', '"\\udc00x"', '"\\0"', '"\\u202e"', '"a\\nb"', "|\n    a\n    b",
    "!!python/object:os.system x", "!!binary aGk=", "&a [1]", "*a", "*.done", "${", "${}", "${a}",
    "${a}${a}", "$$", "${env:HOME}", "${env:NO:-x}", "${env:NO:?x}", "${env:NO}",
    "${file:/dev/zero}", "${file:/dev/stdin}", "${file:/proc/self/mem}", "${file:/}",
    "${file:~nobody_there/x}", "${file:" + "a" * 300 + "}", "${file:hostile.yaml}", "${cred:x}",
    "${cred:../x}", "/dev/zero", "/dev/null", "~nobody_there/x", "../../x", "%Y/%", "a/" * 3000,
    "\\x00", '"\\x00"', "rtsp://u:p@h/", "://a:" * 50, "http://[", "tone.flush",
    "gain.set(gain_db=-6)", "gain.set(" + "[" * 60, "x.y(\"'", "a.b(" + "1," * 120 + ")",
    "*a" * 20, "?" * 300, "vad.*", "[a-", "!!str", "2026-01-01", "12:30",
)  # fmt: skip
KEYS = (
    "version", "name", "description", "include", "plugins", "vars", "fuse", "stages", "events",
    "profiles", "control", "match", "where", "from", "do", "id", "enabled", "label", "queue",
    "on_error", "fallback", "max_ms", "when_full", "restart", "backoff_s", "tries", "gain",
    "gain_db", "tone", "file", "path", "mic", "device", "vad", "mute_gate", "mix", "realtime",
    "api_key", "instructions", "tools", "turn_detection", "speaker", "file_sink", "recorder",
    "blackhole", "process", "command", "stream", "url", "log", "jsonl", "exec", "python",
    "webhook", "mqtt", "headers", "transcript", "token", "a", "x", "<<", "tone2", "sample_rate",
    "layout", "chime", "delay", "filter", "resample", "echo_cancel", "level", "duration_s",
)  # fmt: skip
GLUE = (
    " ", "\n", "\n  ", "\n- ", ": ", ", ", "[", "]", "{", "}", '"', "'", "#", "\r", "\t", "- ",
    "&a ", "*a",
)  # fmt: skip


def mutated(rng: random.Random) -> str:
    """A pipeline that ships, spoilt at some places."""
    text = rng.choice(FILES).read_text("utf-8")
    for _ in range(rng.choice((1, 1, 1, 1, 2, 5))):
        at = rng.randrange(len(text) + 1)
        to = min(len(text), at + rng.choice((0, 1, 1, 3, 40)))
        lines = text.split("\n")
        row = rng.randrange(len(lines))
        match rng.randrange(6):
            case 0:
                text = text[:at] + text[to:]
            case 1:
                text = text[:at] + rng.choice(SCALARS) + text[to:]
            case 2:
                text = text[:at] + rng.choice(GLUE) + text[to:]
            case 3:
                text = "\n".join(
                    [*lines[:row], *[lines[row]] * rng.choice((0, 2, 5)), *lines[row + 1 :]]
                )
            case 4:
                text = text[:at] + rng.choice("\0\a\x85\ud800\ufffe\U0001f600") + text[to:]
            case _:
                key = f"{lines[row].partition(':')[0]}: {rng.choice(SCALARS)}"
                text = "\n".join([*lines[:row], key, *lines[row + 1 :]])
    return text


def _node(rng: random.Random, depth: int) -> str:
    """A value in flow style, keys of the language and hostile scalars in it."""
    size = rng.choice((0, 1, 1, 2, 3))
    match rng.randrange(5) if depth else 4:
        case 0 | 1:
            pairs = (f"{rng.choice(KEYS)}: {_node(rng, depth - 1)}" for _ in range(size))
            return "{" + ", ".join(pairs) + "}"
        case 2:
            return "[" + ", ".join(_node(rng, depth - 1) for _ in range(size)) + "]"
        case 3:
            return rng.choice(KEYS)
        case _:
            scalar = rng.choice(SCALARS).replace("\n", " ")
            plain = scalar.startswith('"') or rng.random() < 0.1
            return scalar if plain else "'" + scalar.replace("'", "''") + "'"


def structured(rng: random.Random) -> str:
    """A mapping with the right keys and anything under them."""
    lines = ["version: 1\n"] if rng.random() < 0.9 else []
    lines += [f"{key}: {_node(rng, 3)}\n" for key in rng.sample(KEYS[1:11], rng.randrange(4))]
    stages = [f"{rng.choice(KEYS[26:])}: {_node(rng, 2)}" for _ in range(rng.randrange(4))]
    items = [f"  - {{{stage}, {rng.choice(KEYS[10:24])}: {_node(rng, 2)}}}\n" for stage in stages]
    lines.append("stages:\n  - tone\n" + "".join(items) + "  - blackhole\n")
    if rng.random() < 0.4:
        routes = (
            f"  - {{{rng.choice(KEYS[11:17])}: {_node(rng, 1)}, log: {_node(rng, 1)}}}\n"
            for _ in "ab"
        )
        lines.append("events:\n" + "".join(routes))
    return "".join(lines)


VALUES: tuple[Any, ...] = (
    None, True, False, 0, -1, 10**98, -(10**98), 1e308, -1e308, 5e-324, float("inf"),
    float("nan"), 2**31, 2**63, "", " ", "a" * 300, "\0", "\0" * 300, "a\nb", "\u202e",
    "\U0001f600", "..", "/", "/dev/zero", "/dev/full", "/proc/self/mem", "~nobody_there", "~",
    "a" * 5000, "/" * 5000, "x/" * 2500, "%", "%Y%", "%n", "{}", "{0}", "{x!r}", "$", "$$", "${",
    "${}", "${a}", "${env:HOME}", "${env:NO}", "${file:/dev/zero}", "${file:.}", "${cred:x}",
    "http://", "http://[", "http://u:p@[::", "rtsp://\0", "ftp://x", "://", "mqtt://x:99999999",
    "a:b", "os:system", "no_such:thing", ":", "::", "module", "tone", "gain", "log", "speaker",
    "mic", "*", "?", "[", "[!", "**.**", "x.y", "x.y(", "gain.set(1e999)", "gain.set(.nan)", "-6",
    "1e3", "0x", "mono", "9.1", "s16", "48000", "1/0", [], {}, [[]], [{}], {"": ""},
    {"a": {"b": {"c": []}}}, [None], {"x": None}, ["a"] * 60, {"from": "tone"},
)  # fmt: skip


def altered(rng: random.Random) -> str:
    """A pipeline that ships, other values in some of its places."""
    tree = plain(_known(rng.choice(FILES)))
    for _ in range(rng.choice((1, 1, 1, 2, 4))):
        node = tree
        while True:
            steps = list(node) if isinstance(node, dict) else range(len(node))
            if not steps:
                break
            step = rng.choice(steps)
            if isinstance(node[step], dict | list) and rng.random() < 0.85:
                node = node[step]
                continue
            value = deepcopy(rng.choice(VALUES))  # the next round may alter it
            match rng.randrange(6):
                case 0:
                    del node[step]
                case 1 if isinstance(node, dict):
                    node[rng.choice(KEYS)] = value
                case 1 | 2 if isinstance(node, list):
                    node.insert(step, {rng.choice(KEYS[26:]): value})
                case _:
                    node[step] = value
            break
    return block(tree)


@cache
def _known(path: Path) -> Node:
    found = read_text(path.read_text("utf-8"), path, Findings())
    assert found is not None
    return found


def raw(rng: random.Random) -> str:
    """Pieces of YAML without a plan."""
    pieces = (
        rng.choice((rng.choice(SCALARS), rng.choice(KEYS), rng.choice(GLUE)))
        for _ in range(rng.randrange(60))
    )
    return "".join(pieces)


def small(rng: random.Random) -> str:
    """A hostile text of a few lines."""
    return rng.choice((mutated, altered, altered, structured, raw))(rng)


def _many(count: int, text: str, between: str = "") -> str:
    """Return a text again and again, `<i>` counting up in it, `<j>` one ahead."""
    made = (text.replace("<i>", str(i)).replace("<j>", str(i + 1)) for i in range(count))
    return between.join(made)


def _file(stages: str = "  - gain\n", events: str = "", more: str = "") -> str:
    """Return a pipeline with some lines of stages between a tone and a blackhole, and so on."""
    below = f"events:\n{events}" if events else ""
    return f"version: 1\n{more}stages:\n  - tone\n{stages}  - blackhole\n{below}"


def _match(globs: str) -> str:
    return _file(events=f"  - match: [{globs}]\n    log: info\n")


def _do(actions: str) -> str:
    return _file(events=f"  - match: pipeline.started\n    do: [{actions}]\n")


def growths() -> dict[str, str]:
    """Return texts that are much, or become much, by what they are about."""
    long, longer = "x" * 100_000, "x" * 400_000
    vars_ = _many(1200, "v<i>: '${v<j>}'", ", ")
    disabled = (
        "  - {tone: {}, id: t<j>}\n  - {gain: 1, id: g<j>, enabled: false, from: [t<j>, g<i>]}\n"
    )
    webhook = "  - webhook: {url: 'http://x', headers: {token: "
    loop = "  - {gain: 1, id: g<i>, from: g<j>}\n"
    return {
        "doubling": _file(
            more=f"vars:\n  v0: {'x' * 1000}\n" + _many(40, "  v<j>: '${v<i>}${v<i>}'\n")
        ),
        "a chain of variables": _file(more=f"vars: {{{vars_}, v1200: x}}\n"),
        "a circle of variables": _file(more=f"vars: {{{vars_}, v1200: '${{v0}}'}}\n"),
        "uses of a long variable": _file(
            "  - {gain: 1, label: '${a}'}\n" * 2000, more=f"vars: {{a: {long}}}\n"
        ),
        "uses of an empty file": _file("  - {gain: 1, label: '${file:/dev/null}'}\n" * 2400),
        "aliases of a long text": _file(
            "  - {gain: 1, label: *a}\n" * 1500, more=f"name: &a {long}\n"
        ),
        "doubling aliases": "a0: &a0 [x, x]\n" + _many(40, "a<j>: &a<j> [*a<i>, *a<i>]\n"),
        "nested aliases": "a0: &a0 [x]\n" + _many(130, "a<j>: &a<j> [*a<i>]\n"),
        "stages in a row": f"version: 1\nstages: [tone{', gain' * 9000}, blackhole]\n",
        "stages with an option": _file("  - delay: 10\n" * 4500),
        "stages with much beside": _file(
            "  - {gain: 1, queue: {max_ms: 40}, on_error: {restart: {tries: 2}}, label: a}\n" * 700
        ),
        "commands": _file("  - {process: {command: [cat, x]}, from: tone}\n" * 1100),
        "sources": f"version: 1\nstages: [{', '.join(['tone'] * 9000)}, blackhole]\n",
        "readers of one source": _file("  - {blackhole: {}, from: tone}\n" * 1900 + "  - tone\n"),
        "files that are read": _file("  - file: a.wav\n" * 3000),
        "files that are written": _file("  - {file_sink: a.wav, from: tone}\n" * 1900),
        "unknown kinds": _file(_many(9000, "  - gian<i>\n")),
        "unknown options": _file(_many(2400, "  - tone: {frequency_hx<i>: 1}\n")),
        "unknown options of one stage": _file(f"  - tone: {{{_many(4900, 'x<i>: 1', ', ')}}}\n"),
        "filters of one graph": _file(f"  - filter: '{'volume=1,' * 40_000}volume=1'\n"),
        "ends of one filter": _file("  - filter: asplit=outputs=20000000\n"),
        "options out of range": _file("  - tone: {frequency_hz: -1}\n" * 2400),
        "keys beside a kind": _file(f"  - {{gain: {{}}, {_many(4500, 'k<i>: 1', ', ')}}}\n"),
        "one loop": _file(loop.replace("<i>", "last") + _many(1300, loop), more="")
        .replace("from: g<j>", "from: g0")
        .replace("from: g1300", "from: glast"),
        "many inputs": _file(
            "  - tone\n" * 3000 + f"  - {{mix: {{}}, from: [{_many(2990, 'tone<j>', ', ')}]}}\n"
        ),
        "one input many times": _file(f"  - {{mix: {{}}, from: [{'tone, ' * 9000}tone]}}\n"),
        "disabled inputs": _file("  - {gain: 1, id: g0}\n" + _many(600, disabled)),
        "routes": _file(events="  - log\n" * 9000),
        "routes with actions": _file(
            events="  - {match: pipeline.started, do: gain.set(gain_db=-6)}\n" * 1900
        ),
        "actions": _do(", ".join(["'gain.set(-6, 1)'"] * 9000)),
        "different actions": _do(_many(9000, "'gain.set(<i>)'", ", ")),
        "arguments": _do(f"'gain.set({'1,' * 100_000}1)'"),
        "arguments of each action": _do(f"'gain.set({'1,' * 90}1)', " * 2000),
        "quotes in an action": _do("'gain.set(\"" + '\\"' * 100_000 + ")'"),
        "globs that match nothing": _match(_many(2000, f"'{'*a' * 20}<i>'", ", ")),
        "globs that match": _match(_many(4000, "'*o?p*e*<i>', '*d'", ", ")),
        "globs of stars": _match(_many(4000, "'" + "*" * 50 + "<i>*'", ", ")),
        "globs of questions": _match(_many(2000, f"'{'*?' * 20}*<i>*'", ", ")),
        "long globs": _match(_many(2000, f"'{'?' * 190}<i>'", ", ")),
        "longer globs": _match(f"'{'*?a' * 10_000}', " * 15),
        "globs of others": _match(_many(400, "'realtime.*?*<i>', 'realtime.s*?*" + "d'", ", ")),
        "where": _file(events=f"  - {{where: {{{_many(3000, 'k<i>: [1]', ', ')}}}, log: info}}\n"),
        "secrets": _file(events=f"{webhook}[{_many(5000, 'secret<i>', ', ')}]}}}}\n"),
        "passwords": _file(_many(2300, "  - {gain: 1, label: 'rtsp://u:pass<i>@h/'}\n")),
        "users without passwords": _file(more=f"naem: '{'://a:' * 90_000}'\n"),
        "profiles": _file(more=f"profiles: {{{_many(1600, 'p<i>: {stages: {gain: 1}}', ', ')}}}\n"),
        "changes": _file(
            "  - gain\n" * 2000,
            more=f"profiles: {{p: {{stages: {{{_many(1500, 'gain1<i>: {label: x}', ', ')}}}}}}}\n",
        ),
        "keys again": "name: a\n" * 4900,
        "variables": _file(more=f"vars: {{{_many(4900, 'v<i>: 1', ', ')}}}\n"),
        "unknown variables": _file(more="vars:\n" + _many(3200, "  v<i>: ${w<i>}\n")),
        "long names": _file(more="vars:\n" + _many(1000, f"  {'a' * 300}<i>: ${{b{'a' * 300}}}\n")),
        "alike names": _file(
            more="vars:\n" + _many(400, f"  {'ab' * 28}<i>: ${{{'ba' * 28}<i>}}\n")
        ),
        "one long name": _file(more=f"vars: {{{longer}: '${{{long}}}'}}\n"),
        "one long kind": _file(f"  - {long}\n"),
        "a long value of no use": _file(more=f"naem: {longer}\n"),
        "deep options": _file(events=f"{webhook}{'{a: ' * 40}{long}{'}' * 40}}}}}\n"),
        "wide options": _file(events=f"{webhook}[{_many(9000, '[]', ', ')}]}}}}\n"),
        "labels": _file(f"  - {{gain: 1, label: '{'x ' * 20_000}'}}\n" * 12),
        "brackets": "[" * 500_000,
        "brackets and commas": "a: [" + "[]," * 160_000,
        "braces": "{a: " * 120_000,
        "dashes": "- " * 250_000,
        "depth": _file(more=f"name: {'[' * 49}{']' * 49}\n"),
        "spaces behind a sign": "a: @" + " " * 400_000 + "x\n",
        "spaces behind a colon": "a: b: " + " " * 400_000 + "x\n",
        "spaces": "a:" + " " * 500_000 + "@",
        "a long line below an item": "- tone\n" + " " * 400_000 + "a: b\n",
        "words and no colon": "a\n" + "b" * 400_000 + " : : : \n",
        "a reference in braces": "{a: ${" + longer + "\n",
        "a quote that stays open": 'a: "' + "x\n" * 200_000,
        "lines of a text": 'a: "' + "x\n" * 250_000 + '"',
        "empty lines": "\n" * 500_000,
        "comments": "#\n" * 250_000,
        "escapes": _file(more='name: "' + "\\U0001F600" * 50_000 + '"\n'),
        "words": _file(more="name: " + "x " * 250_000 + "\n"),
        "too much": "#" * 600_000,
    }


def judge(
    text: str, registry: Registry, *, path: Path = HERE, examine: Any = "file"
) -> Loaded | None:
    """Read a text; None where it is refused. Raises whatever must not be.

    Whatever was found has a page, stands inside the text, and can be told in every way.
    """
    loaded: Loaded | None = None
    try:
        loaded = from_text(text, path=path, registry=registry, env=ENV, examine=examine)
        found = loaded.warnings
    except ConfigError as error:
        found = error.diagnostics
        assert found
    assert len(found) <= MOST_FOUND + 1
    lines = split_lines(text)
    for each in found:
        _check(each, lines, path)
    render(found, colour=True).encode("utf-8")
    json.dumps([each.as_dict() for each in found])
    for each in found:
        as_github(each).encode("utf-8")
    return loaded


ENV = {"HOME": "/root", "EMPTY": "", "API_KEY": "sk-hostile"}


def _check(found: Diagnostic, lines: list[str], path: Path) -> None:
    assert found.code in pages(), found
    assert found.message.strip(), found
    for span in [found.span, *(other.span for other in found.related)]:
        if span is not None and span.path == path:
            assert 1 <= span.line <= len(lines), found
            assert 1 <= span.column <= len(lines[span.line - 1]) + 1, found
            assert span.length >= 1, found


def shown(path: Path, *commands: str) -> list[str]:
    """Return what some commands print of a file; each ends with 0, or with 78 and a diagnostic."""
    said: list[str] = []
    for command in commands:
        result = CliRunner().invoke(cli, [*command.split(), str(path)])
        assert result.exit_code in {0, 78}, (command, result.output[-2000:], result.exception)
        assert "internal error" not in result.output
        assert not result.exit_code or re.search(r"\bE\d{3}\b", result.output), command
        said.append(result.output)
    return said


def measured(named: Iterable[tuple[str, str]]) -> dict[str, Any]:
    """Read texts, print and draw what is read; return what the worst of them took.

    Returns:
        `read`: how many were not refused; `cpu_s` and `slowest`; `peak_mb`: by how much the peak of
        this process's memory grew, `largest` the text that made it grow the most.
    """
    registry = Registry.discover()
    judge("version: 1\nstages: [tone, {gain: x}, blackhole]\n", registry, examine="machine")
    first = peak = _peak_mb()
    worst: dict[str, Any] = {"read": 0, "cpu_s": 0.0, "slowest": "", "grown_mb": 0.0, "largest": ""}
    for name, text in named:
        began = time.process_time()
        loaded = judge(text, registry, examine="machine")
        if loaded is not None:
            worst["read"] += 1
            block(loaded.resolved)
            draw_text(loaded)
        took, grown = time.process_time() - began, _peak_mb() - peak
        peak += grown
        if took > worst["cpu_s"]:
            worst |= {"cpu_s": took, "slowest": name}
        if grown > worst["grown_mb"]:
            worst |= {"grown_mb": grown, "largest": name}
    return {**worst, "peak_mb": peak - first}


def _peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    first, last = map(int, sys.argv[1:])
    texts = ((f"seed {seed}", small(random.Random(seed))) for seed in range(first, last))
    sys.stdout.write(json.dumps(measured(texts if last else growths().items())))
