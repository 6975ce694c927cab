"""The grammar of the pipeline file: the keys that rtpipe keeps for itself, and what each takes.

Written here and nowhere else: the loader checks these models, the JSON Schema prints them, and no
kind may be called like what stands beside one. A docstring under a key is its description in an
editor. Kinds, their options and sections are the plugins': `Item`, `Change`, `Fallback`, `Route`
and `with_sections` mark their places.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from types import NoneType
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, TypeAlias, TypeVar, Union

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StrictBool,
    StrictInt,
    StrictStr,
    WithJsonSchema,
    create_model,
)

from rtpipe.field_types import Described, description
from rtpipe.link import WhenFull

if TYPE_CHECKING:
    from pydantic import GetCoreSchemaHandler
    from pydantic.config import JsonDict
    from pydantic.fields import FieldInfo
    from pydantic_core import CoreSchema

    from rtpipe.stage import Options

NAME = r"^[A-Za-z_][A-Za-z0-9_-]*$"
"""An id."""

ACTION = r"^([A-Za-z_][A-Za-z0-9_-]*)\.([A-Za-z_][A-Za-z0-9_]*)\s*(?:\(([\s\S]*)\))?\s*$"
"""`STAGE.ACTION` or `STAGE.ACTION(arguments)`; groups: the stage, the action, the arguments."""

VERBATIM: JsonDict = {"verbatim": True}
"""On a field: read as it is written, without `${...}`."""


@dataclass(frozen=True, slots=True)
class Meant:
    """How a diagnostic speaks of a wrong value.

    Attributes:
        text: What was expected; "": what the type says.
        code: The diagnostic's.
        help: What to do; "": the field's first example.
    """

    text: str = ""
    code: str = "E107"
    help: str = ""


class _Written:
    """Makes `T | None` take a `T` alone: None stands for a key that is not written."""

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        given = tuple(each for each in source.__args__ if each is not NoneType)
        return handler.generate_schema(Union[given])  # noqa: UP007 - of a tuple made here


def _whole(value: Any) -> Any:
    """As in JSON Schema, 3.0 is a whole number, and true is none."""
    if isinstance(value, bool):
        raise ValueError("true and false are no numbers")  # noqa: TRY004 - what pydantic expects
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _rising(value: tuple[float, float]) -> tuple[float, float]:
    if value[0] > value[1]:
        raise ValueError("the shortest wait comes first")
    return value


_MAPPING = Meant("a mapping", "E021")
_LIST = Meant("a list", "E021")
_TEXT = Meant("text")
_WORD = Meant("a word of letters, digits, `_` and `-`", "E108")
_EVENTS = Meant("an event, a glob or a list of them", "E706")

T = TypeVar("T")
Written: TypeAlias = Annotated[T | None, _Written()]
Text: TypeAlias = Annotated[StrictStr, Field(min_length=1)]
Name: TypeAlias = Annotated[StrictStr, Field(pattern=NAME)]
Texts: TypeAlias = Text | Annotated[tuple[Text, ...], Field(min_length=1)]
Action: TypeAlias = Annotated[StrictStr, Field(json_schema_extra={"pattern": ACTION})]
Paths: TypeAlias = StrictStr | tuple[StrictStr, ...]
Scalar: TypeAlias = StrictStr | StrictBool | StrictInt | Annotated[float, Field(strict=True)] | None
Value: TypeAlias = Annotated[Scalar, Meant("a single value", "E706")]
Positive: TypeAlias = Annotated[float, Field(strict=True, gt=0, allow_inf_nan=False)]
Wait: TypeAlias = Annotated[float, Field(strict=True, ge=0, allow_inf_nan=False)]
Item: TypeAlias = Annotated[Any, WithJsonSchema({"part": "item"})]
Change: TypeAlias = Annotated[Any, WithJsonSchema({"part": "change"})]
Fallback: TypeAlias = Annotated[Any, WithJsonSchema({"part": "fallback"})]
Route: TypeAlias = Annotated[Any, WithJsonSchema({"part": "route"})]


class OnError(StrEnum):
    """What a stage that raises sets off."""

    FAIL = "fail"
    """The pipeline ends, in order: recordings are complete."""
    DROP = "drop"
    """The frame is lost and counted; the stage goes on."""
    RESTART = "restart"
    """The stage is closed, and opened again after a wait."""


class Reserved(Described):
    """Keys that stand together. Unknown ones are refused; what was read stays as it is."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    called: ClassVar[str] = ""
    """What a diagnostic calls the mapping itself, where no key leads to it."""
    unknown: ClassVar[str] = "E107"
    """The code of a key that is none of these."""
    strays: ClassVar[Mapping[str, str]] = {}
    """What to do with a kind that stands here as a key: one of `stages`, one of `events`."""


class QueueSpec(Reserved):
    """How much audio may wait for a stage; what is left out is decided by what feeds it."""

    max_ms: Written[Positive] = Field(default=None, examples=[80])
    """Milliseconds of audio."""
    when_full: Written[WhenFull] = None
    """What happens to audio beyond that."""


class Restart(Reserved):
    """A new instance after a wait, at most `tries` times in `within_s` seconds."""

    backoff_s: Annotated[
        tuple[Wait, Wait],
        AfterValidator(_rising),
        Meant("two numbers, the shortest and the longest wait"),
    ] = Field(default=(0.5, 30.0), examples=[[0.5, 30]])
    """The shortest and the longest wait (s); it doubles from try to try."""
    tries: Annotated[int, Field(strict=True, gt=0), BeforeValidator(_whole)] = Field(
        default=5, examples=[5]
    )
    """How often."""
    within_s: Positive = Field(default=60.0, examples=[60])
    """In how many seconds."""


class RestartPolicy(Reserved):
    """`on_error: restart` with numbers of its own."""

    restart: Annotated[Restart | None, Meant("a mapping")] = Field(examples=[{"tries": 3}])
    """How often, and after what wait."""


class _Common(Reserved):
    enabled: StrictBool = Field(default=True, examples=[True])
    """false bypasses a transform, and removes any other stage or a route."""
    label: Annotated[StrictStr | None, _TEXT] = Field(default=None, examples=["text"])
    """Its name in a graph."""


class _Failing(Reserved):
    queue: Annotated[Written[QueueSpec], Meant("a mapping")] = Field(
        default=None, examples=[{"max_ms": 80, "when_full": "drop_oldest"}]
    )
    """How much audio may wait for it, and what happens beyond that."""
    on_error: OnError | RestartPolicy = OnError.FAIL
    """What happens when it raises."""
    fallback: Fallback = None
    """Takes its place when it cannot open: no device, no key, no server."""


class BesideFallback(_Failing):
    """What stands beside the kind of a fallback; the rest it shares with the stage."""

    return_after_s: Annotated[
        float | None,
        Field(strict=True, ge=1, allow_inf_nan=False),
        Meant("a number of seconds, at least 1"),
    ] = Field(default=None, examples=[30])
    """After how many seconds what it stands in for is tried again, and so on; never if left out."""


class BesideStage(_Common, _Failing):
    """What stands beside a stage's kind."""

    id: Annotated[Written[Name], _WORD] = Field(
        default=None, examples=["desk_mic"], json_schema_extra=VERBATIM
    )
    """Another name than its kind."""
    from_: Annotated[Written[Texts], Meant("an id or a list of ids")] = Field(
        default=None, alias="from", examples=[["mic", "realtime"]]
    )
    """What it reads; the stage above if left out."""


class BesideRoute(_Common):
    """What stands in every item of `events:`."""

    match: Annotated[Written[Texts], _EVENTS] = Field(default=None, examples=["vad.*"])
    """Events by name or glob (quote a leading `*`); every event if left out."""
    where: Annotated[Written[dict[str, Value]], Meant("a mapping of fields to values", "E706")] = (
        Field(default=None, examples=[{"status": "ok"}])
    )
    """Fields of the event and the values they must have."""
    from_: Annotated[Written[StrictStr], Meant("a stage's id", "E706")] = Field(
        default=None, alias="from", examples=["mic"]
    )
    """Only events of this stage."""


class BesideSubscriber(BesideRoute):
    """What stands beside a subscriber's kind."""

    id: Annotated[Written[Name], _WORD] = Field(
        default=None, examples=["desk_log"], json_schema_extra=VERBATIM
    )
    """Another name than its kind."""
    on_error: OnError | RestartPolicy = OnError.FAIL
    """As beside a stage; a subscriber that raises goes on with the next event, whatever it says."""
    fallback: Fallback = None
    """Takes its place when it cannot open: no such program, no such key."""


class BesideDo(BesideRoute):
    """A route that sets off actions."""

    called = "a route with `do`"
    unknown = "E706"
    strays: ClassVar[Mapping[str, str]] = {"events": "a subscriber is a route of its own: `- {}`"}

    match: Annotated[Written[Texts], _EVENTS] = Field(examples=["vad.*"])
    """Events by name or glob; quote a leading `*`."""
    do: Annotated[
        Action | Annotated[tuple[Action, ...], Field(min_length=1)],
        Meant("an action or a list of them", "E706"),
    ] = Field(examples=["speaker.flush"], json_schema_extra=VERBATIM)
    """What they set off: `STAGE.ACTION` or `STAGE.ACTION(arguments)`, by the stage's id."""


Variable: TypeAlias = Annotated[
    Scalar,
    Meant(
        "a single value",
        "E310",
        "a list or a mapping stands where it is used, or comes by `include`",
    ),
]


class Profile(Reserved):
    """Changes that `--profile NAME` applies."""

    unknown = "E019"
    strays: ClassVar[Mapping[str, str]] = {
        "stages": "a stage stands in the list: `stages: [{}]`",
        "events": "it stands in the list of events: `events: [{}]`",
    }

    vars: Annotated[dict[str, Variable] | None, _MAPPING] = Field(default=None, examples=[{}])
    """Variables, for `${name}`."""
    stages: Annotated[Written[list[Item] | dict[str, Change]], _LIST] = Field(
        default=None, examples=[["tone", "speaker"]]
    )
    """A list of stages; in an overlay a mapping of ids to changes."""
    events: Annotated[list[Route] | None, _LIST] = Field(default=None, examples=[["log"]])
    """Subscribers, and what events set off."""


class PipelineFile(Profile):
    """A pipeline: a list of stages, and what events set off."""

    called = "a pipeline file"

    version: Annotated[
        Written[Annotated[Literal[1], BeforeValidator(_whole)]],
        Meant("1", "E020", "this rtpipe reads version 1: write `version: 1`"),
    ] = Field(default=None, json_schema_extra=VERBATIM)
    """Of the grammar; overlays and included files may leave it out."""
    name: Annotated[StrictStr | None, _TEXT] = Field(default=None, examples=["text"])
    """For people; the file's name if left out."""
    description: Annotated[StrictStr | None, _TEXT] = Field(default=None, examples=["text"])
    """For people."""
    include: Annotated[Paths | None, Meant("a path or a list of them", "E021")] = Field(
        default=None, examples=[["base.yaml"]]
    )
    """Files that count less than this one."""
    plugins: Annotated[Paths | None, Meant("a module, a path or a list of them", "E021")] = Field(
        default=None, examples=[["plugins/tremolo.py"]]
    )
    """Modules, or paths of files, with more stages."""
    fuse: StrictBool = Field(default=True, examples=[True])
    """false gives every transform a task of its own."""
    profiles: Annotated[dict[str, Annotated[Profile, _MAPPING]] | None, _MAPPING] = Field(
        default=None, examples=[{}]
    )
    """Named changes."""


def with_sections(sections: Mapping[str, type[Options]]) -> type[PipelineFile]:
    """Return the file's model with the top-level keys of plugins, which a profile may hold, too.

    What stands in one is the plugin's, as options are: it is checked when the files are merged.

    Args:
        sections: Their models by key.
    """
    if not sections:
        return PipelineFile
    more = {f"section_{key}": _section(key, model, "section") for key, model in sections.items()}
    changes = {
        f"section_{key}": _section(key, model, "changes.section") for key, model in sections.items()
    }
    profile: Any = create_model("Profile", __base__=Profile, __doc__=Profile.__doc__, **changes)
    known, told = PipelineFile.model_fields["profiles"], description(PipelineFile, "profiles")
    profiles = Field(default=None, description=told, examples=known.examples)
    more["profiles"] = (
        Annotated[dict[str, Annotated[profile, _MAPPING]] | None, _MAPPING],
        profiles,
    )
    return create_model("PipelineFile", __base__=PipelineFile, __doc__=PipelineFile.__doc__, **more)


def _section(key: str, model: type[Options], part: str) -> Any:
    value: Any = dict[str, Any] | None if model.main is None else Any
    marked: Any = Annotated[value, _MAPPING, WithJsonSchema({"part": f"{part}.{key}"})]
    return marked, Field(default=None, alias=key, examples=[{}])


@lru_cache  # models with sections come and go
def keys(model: type[BaseModel]) -> Mapping[str, FieldInfo]:
    """Return the fields of a model by the key that stands for each in a file."""
    return {field.alias or name: field for name, field in model.model_fields.items()}


RESERVED = frozenset({**keys(BesideStage), **keys(BesideSubscriber), **keys(BesideDo)})
"""What may stand beside a kind and therefore cannot be one."""
