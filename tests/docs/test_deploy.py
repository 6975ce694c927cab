"""What `deploy/` asks Prometheus for is told by a kiosk, and each alarm has its remedy."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest
from ruamel.yaml import YAML

from helpers.documentation import ROOT
from rtpipe_control.view.metric_list import METRICS

DEPLOY = ROOT / "deploy"
RULES = DEPLOY / "prometheus" / "alerts.yml"
FROM_PROMETHEUS = {"instance", "job", "le"}
"""Labels that a kiosk does not tell itself."""


def alerts() -> list[dict[str, Any]]:
    [group] = YAML(typ="safe").load(RULES.read_text("utf-8"))["groups"]
    return list(group["rules"])


def dashboard() -> dict[str, Any]:
    told = json.loads((DEPLOY / "grafana" / "rtpipe.json").read_text("utf-8"))
    assert isinstance(told, dict)
    return told


def expressions() -> Iterator[tuple[str, str]]:
    for alert in alerts():
        yield alert["alert"], alert["expr"]
    for panel in dashboard()["panels"]:
        for target in panel["targets"]:
            yield panel["title"], target["expr"]
    for annotation in dashboard()["annotations"]["list"]:
        yield annotation["name"], annotation["expr"]


def asked(expression: str) -> set[str]:
    """Return the metrics of a kiosk in an expression, without what a histogram's series add."""
    return {
        re.sub(r"_(bucket|sum|count)$", "", name) if name not in METRICS else name
        for name in re.findall(r"\brtpipe_\w+", expression)
    }


def labels(expression: str) -> set[str]:
    inside = re.findall(r"[{,]\s*(\w+)\s*=~?", expression)
    grouped = re.findall(r"\b(?:by|ignoring|on)\s*\(([^)]*)\)", expression)
    return {*inside, *(name.strip() for group in grouped for name in group.split(","))}


@pytest.mark.parametrize(("place", "expression"), [*expressions()])
def test_what_is_asked_for_is_told(place: str, expression: str) -> None:
    metrics = asked(expression)
    assert metrics <= METRICS.keys(), place
    assert metrics or "up{" in expression
    known = {label for name in metrics for label in METRICS[name].labels}
    assert labels(expression) <= known | FROM_PROMETHEUS, place
    assert expression.count("(") == expression.count(")")
    for counter in metrics:
        if METRICS[counter].kind == "counter" and counter != "rtpipe_calls_total":
            assert re.search(rf"(rate|increase)\({counter}\b", expression), (
                "a count alone says little"
            )


@pytest.mark.parametrize("alert", alerts(), ids=lambda alert: alert["alert"])
def test_an_alarm_says_where_and_what_to_do(alert: dict[str, Any]) -> None:
    summary = alert["annotations"]["summary"]
    known = {label for name in asked(alert["expr"]) for label in METRICS[name].labels}
    assert set(re.findall(r"\$labels\.(\w+)", summary)) <= known | FROM_PROMETHEUS
    assert "$labels.instance" in summary
    assert alert["annotations"]["remedy"]
    assert alert["labels"]["severity"] in {"page", "ticket"}
    page = (ROOT / "docs" / "how-to" / "alarms.md").read_text("utf-8")
    assert f"| `{alert['alert']}` |" in page


def test_the_page_has_no_alarm_that_is_not_there() -> None:
    page = (ROOT / "docs" / "how-to" / "alarms.md").read_text("utf-8")
    assert re.findall(r"^\| `(\w+)` \|", page, re.MULTILINE) == [
        alert["alert"] for alert in alerts()
    ]


def test_a_test_would_find_a_metric_that_is_gone() -> None:
    assert asked("rate(rtpipe_turn_latency_seconds_bucket[1m])") == {"rtpipe_turn_latency_seconds"}
    assert asked("rtpipe_no_such_total > 0") - METRICS.keys() == {"rtpipe_no_such_total"}
    assert labels('a{reason=~"x", to="y"} / ignoring(part) sum by (who, le) (b)') == {
        *("reason", "to", "part", "who", "le"),
    }


def test_the_dashboard_can_be_imported() -> None:
    told = dashboard()
    ids = [panel["id"] for panel in told["panels"]]
    assert len(set(ids)) == len(ids)
    for panel in told["panels"]:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24
        assert panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}


def test_prometheus_itself_takes_the_rules() -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("no promtool: apt-get install prometheus")
    checked = subprocess.run(
        [promtool, "check", "rules", RULES],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ,
    )
    assert checked.returncode == 0, checked.stderr
