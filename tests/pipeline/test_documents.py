"""YAML beside the pipeline file: read and refused as the pipeline file is."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import pytest
from pydantic import Field

from rtpipe import ConfigError, InputPath, Options
from rtpipe.documents import read_document, read_document_text
from rtpipe.wording.rendering import render


class Part(Options):
    """A part of a recipe."""

    grams: Annotated[int, Field(ge=1)]


class Recipe(Options):
    """What the tests read."""

    name: str
    parts: list[Part] = Field(default_factory=list)
    picture: InputPath | None = None


def test_a_file_becomes_its_model_and_its_paths_start_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "cake.yaml"
    path.write_text("name: Cake\nparts: [{grams: 5}]\npicture: cake.png\n")
    cake = read_document(path, Recipe, name="recipe")
    assert (cake.name, cake.parts[0].grams) == ("Cake", 5)
    assert cake.picture == tmp_path / "cake.png"


def mistakes(text: str) -> str:
    with pytest.raises(ConfigError) as problem:
        read_document_text(text, Path("cake.yaml"), Recipe, name="recipe")
    return render(problem.value.diagnostics)


@pytest.mark.parametrize(
    ("text", "code", "place", "said"),
    [
        ("nmae: Cake", "E102", "1:1", "did you mean `name`?"),
        ("parts: []", "E104", "1:1", "add it, for example `name: text`"),
        ("name: a\nparts:\n  - grams: 0", "E103", "3:12", "expected a whole number, 1 or more"),
        ("name: a\nparts:\n  - {}", "E104", "3:5", "add it, for example `grams: 1`"),
        ("name: a\nname: b", "E008", "2:1", "stands twice"),
        ("[name]", "E018", "1:1", "it has the keys `[name, parts, picture]`"),
        ("", "E005", "1:1", "= help: it has the keys"),
        ("name: [", "E006", "", "cake.yaml"),
    ],
)
def test_each_mistake_has_its_place_and_its_remedy(
    text: str, code: str, place: str, said: str
) -> None:
    shown = mistakes(text)
    assert f"error[{code}]" in shown
    assert f"cake.yaml:{place}" in shown
    assert said in shown
    assert "rtpipe stages" not in shown


def test_every_mistake_is_told_at_once() -> None:
    shown = mistakes("colour: red\nparts: [{grams: x}]")
    assert [code in shown for code in ("E102", "E103", "E104")] == [True, True, True]


def test_the_message_names_the_first_mistake_and_counts_the_others() -> None:
    with pytest.raises(ConfigError) as problem:
        read_document_text("nmae: 1\nparts: 2\n", Path("cake.yaml"), Recipe, name="recipe")
    first, *others = problem.value.diagnostics
    assert str(problem.value) == f"cake.yaml:1: {first.message} (and {len(others)} more)"
    assert others
