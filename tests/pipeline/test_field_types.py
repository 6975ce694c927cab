"""The docstrings that describe options: those of the class, read when they are asked for."""

from __future__ import annotations

import linecache
from pathlib import Path

import pytest
from pydantic import BaseModel, Field

from rtpipe import Options, import_file
from rtpipe.field_types import description


class Loud(Options):
    gain_db: float = 0.0
    """How loud
    it is."""
    quiet: bool = False
    from_: str = Field(default="", alias="from")
    """Where it comes from."""
    told: int = Field(default=1, description="Said with the field.")
    """Said below it."""

    def silence(self) -> str:
        """Say nothing."""
        return ""


class Louder(Loud):
    told: int = 2
    quiet: bool = True
    """Declared again, and described."""
    inner: Loud = Loud()
    """What is nested."""


class Plain(BaseModel):
    gain_db: float = 0.0
    """As pydantic has it, this is nobody's description."""


def described(model: type[BaseModel]) -> dict[str, str]:
    return {name: description(model, name) for name in model.model_fields}


def test_a_docstring_under_an_attribute_describes_it() -> None:
    assert described(Loud) == {
        "gain_db": "How loud\nit is.",
        "quiet": "",
        "from_": "Where it comes from.",
        "told": "Said with the field.",
    }
    assert described(Plain) == {"gain_db": ""}
    assert Loud.model_fields["gain_db"].description is None  # nothing was read to make the class


def test_a_docstring_is_inherited_until_the_attribute_is_declared_again() -> None:
    assert described(Louder) == {
        **described(Loud),
        "told": "",
        "quiet": "Declared again, and described.",
        "inner": "What is nested.",
    }


def test_the_schema_says_what_is_under_the_attributes_of_the_nested_too() -> None:
    class Here(Options):
        far: Louder | None = None
        """Where it is made in a function."""

    schema = Here.model_json_schema()
    assert schema["properties"]["far"]["description"] == "Where it is made in a function."
    louder, loud = (schema["$defs"][name]["properties"] for name in ("Louder", "Loud"))
    assert louder["inner"] == {
        "$ref": "#/$defs/Loud",
        "default": Loud().model_dump(by_alias=True),
        "description": "What is nested.",
    }
    assert loud["from"]["description"] == "Where it comes from."
    assert loud["told"]["description"] == "Said with the field."
    assert "description" not in loud["quiet"]
    assert "far" in Here.model_json_schema(mode="serialization")["properties"]
    by_name = Loud.model_json_schema(by_alias=False)["properties"]
    assert by_name["from_"]["description"] == "Where it comes from."


def test_a_plugin_that_is_edited_and_imported_again_says_what_it_says_now(tmp_path: Path) -> None:
    file = tmp_path / "edited.py"
    text = "from rtpipe import Options\nclass Edited(Options):\n    level: int = 0\n    '''{}'''\n"
    for said in ("Before.", "After it was edited."):
        file.write_text(text.format(said))
        module = import_file(file, again=True)
        assert described(module.Edited) == {"level": said}
    file.write_text("class Edited(:\n")
    assert described(module.Edited) == {"level": ""}


def test_where_there_is_no_source_there_is_no_description(monkeypatch: pytest.MonkeyPatch) -> None:
    made: dict[str, type[Options]] = {}
    text = (
        "from rtpipe import Options\nclass Typed(Options):\n    level: int = 0\n    'Of a shell.'\n"
    )
    exec(text, made | {"__name__": "nowhere"}, made)
    assert described(made["Typed"]) == {"level": ""}
    monkeypatch.setattr(linecache, "getlines", lambda *_: [])
    assert set(described(Loud).values()) == {"", "Said with the field."}
