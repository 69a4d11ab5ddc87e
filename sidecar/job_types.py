"""What is declared of types of jobs: their stages, and how long their clocks may run."""

import tomllib
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from sidecar.core.errors import InvalidUpdate
from sidecar.core.job import PlannedStage, Update
from sidecar.core.stalls import Limits

NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"
MOST_STAGES = 100
SHIPPED = "job_types.toml"
"""The file beside this module that declares the types which are known anyway."""

Seconds = Annotated[float, Field(gt=0, le=3_162_240_000)]


class Declared(BaseModel):
    """No unknown fields, so that a typing mistake is noticed."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class DeclaredStage(Declared):
    """A stage of a type."""

    name: Annotated[str, Field(min_length=1, max_length=64)]
    weight: Annotated[float, Field(ge=0)] | None = None
    label: Annotated[str, Field(max_length=128)] | None = None
    no_progress_seconds: Seconds | None = None


class DeclaredType(Declared):
    """A type of jobs; what is left out is as for any other."""

    stages: Annotated[tuple[DeclaredStage, ...], Field(max_length=MOST_STAGES)] = ()
    strict_stages: bool = False
    silent_seconds: Seconds | None = None
    silent_floor_seconds: Seconds | None = None
    no_progress_seconds: Seconds | None = None
    not_started_seconds: Seconds | None = None
    cancel_stuck_seconds: Seconds | None = None
    overdue_factor: Annotated[float, Field(ge=1, le=1_000)] | None = None
    max_runtime_seconds: Seconds | None = None
    expected_success_interval_seconds: Seconds | None = None

    @model_validator(mode="after")
    def _has_different_stages(self) -> "DeclaredType":
        if len({stage.name for stage in self.stages}) < len(self.stages):
            raise ValueError("stages must have different names")
        return self


class File(Declared):
    """The whole file: `[job_types.NAME]` for each."""

    job_types: dict[Annotated[str, Field(pattern=NAME)], DeclaredType] = {}


class JobTypes:
    """What is declared, and what holds for every other type."""

    def __init__(self, declared: Mapping[str, DeclaredType], default: Limits) -> None:
        """Keep the parts; `default` are the limits of what says nothing else."""
        self.declared = declared
        self._default = default
        self._limits = {name: _limits(each, default) for name, each in declared.items()}
        self._plans = {name: _plan(each) for name, each in declared.items() if each.stages}
        self._strict = {
            name: frozenset(stage.name for stage in each.stages)
            for name, each in declared.items()
            if each.strict_stages
        }

    def limits(self, job_type: str) -> Limits:
        """Return how long the clocks of a type may run."""
        return self._limits.get(job_type, self._default)

    def check(self, job_type: str, update: Update) -> None:
        """Raise `InvalidUpdate` if the type takes its declared stages only, and the update names another."""
        known = self._strict.get(job_type)
        if known is None:
            return
        told = f"is none of the stages of {job_type}"
        if update.stage is not None and update.stage not in known:
            raise InvalidUpdate("stage", told)
        for index, stage in enumerate(update.plan or ()):
            if stage.name not in known:
                raise InvalidUpdate(f"stages.{index}.name", told)

    @property
    def expected_intervals(self) -> Mapping[str, float]:
        """How many seconds it may be between two successes of a type, where that is declared."""
        found = ((name, each.expected_success_interval_seconds) for name, each in self.declared.items())
        return {name: seconds for name, seconds in found if seconds is not None}

    @property
    def stages(self) -> Mapping[str, tuple[str, ...]]:
        """The names of the declared stages by type, where there are any."""
        return {name: tuple(stage.name for stage in plan) for name, plan in self._plans.items()}

    def plan(self, job_type: str) -> tuple[PlannedStage, ...] | None:
        """Return the declared stages of a type, None if there are none."""
        return self._plans.get(job_type)

    @property
    def names(self) -> set[str]:
        """The declared types, and the one of jobs that name none."""
        return {"default", *self.declared}

    def is_weighed(self, job_type: str) -> bool:
        """Whether the declared stages of a type have weights; else they weigh as much as they usually take."""
        declared = self.declared.get(job_type)
        return declared is not None and any(stage.weight is not None for stage in declared.stages)


def shipped() -> Mapping[str, DeclaredType]:
    """Return what is known of types that nobody has declared."""
    return File.model_validate(tomllib.loads(files("sidecar").joinpath(SHIPPED).read_text("utf-8"))).job_types


def read(path: Path) -> Mapping[str, DeclaredType]:
    """Return the shipped types and what a TOML file declares, which goes before them field by field.

    Raises `ValueError`, which says what is wrong and where.
    """
    known = shipped()
    try:
        given = File.model_validate(tomllib.loads(path.read_text("utf-8"))).job_types
    except OSError as error:
        raise ValueError(f"{path} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ValueError(f"{path} is not UTF-8 text") from None
    except tomllib.TOMLDecodeError as error:
        raise ValueError(f"{path} is no TOML: {error}") from None
    except ValidationError as error:
        raise ValueError(f"{path}: " + "; ".join(map(_told, error.errors(include_url=False)))) from None
    declared = {**known, **{name: _over(known.get(name), each) for name, each in given.items()}}
    for name, each in declared.items():
        if each.strict_stages and not each.stages:
            raise ValueError(f"{path}: job_types.{name}.strict_stages: needs stages")
    return declared


def _over(known: DeclaredType | None, given: DeclaredType) -> DeclaredType:
    if known is None:
        return given
    return known.model_copy(update={name: getattr(given, name) for name in given.model_fields_set})


def _told(details: Any) -> str:
    where = ".".join(str(part) for part in details["loc"])
    return f"{where}: {details['msg'].removeprefix('Value error, ').replace('Input should be', 'must be')}"


LIMITS = (
    *("silent_seconds", "silent_floor_seconds", "no_progress_seconds", "not_started_seconds", "cancel_stuck_seconds"),
    *("overdue_factor", "max_runtime_seconds"),
)
"""What a type may have limits of its own for; stages may for lack of progress."""


def _limits(declared: DeclaredType, default: Limits) -> Limits:
    given = {name: getattr(declared, name) for name in LIMITS if getattr(declared, name) is not None}
    stages = {each.name: each.no_progress_seconds for each in declared.stages if each.no_progress_seconds is not None}
    return default._replace(**given, stages=stages)


def _plan(declared: DeclaredType) -> tuple[PlannedStage, ...]:
    return tuple(
        PlannedStage(each.name, 1.0 if each.weight is None else each.weight, each.label) for each in declared.stages
    )
