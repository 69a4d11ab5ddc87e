"""Job types as an operator declares them."""

from pathlib import Path

import pytest

from sidecar.core.job import PlannedStage
from sidecar.core.stalls import Limits
from sidecar.demo.kinds import KINDS
from sidecar.environment import load
from sidecar.job_types import JobTypes, read, shipped
from sidecar.settings import BadSettings, Settings, job_types_in

FILE = """
[job_types.timetable]
no_progress_seconds = 900
stages = [
    { name = "prepare", weight = 15, label = "Preparing" },
    { name = "solving", weight = 60, no_progress_seconds = 1800 },
]

[job_types.crawl]
silent_seconds = 30.5
silent_floor_seconds = 5
overdue_factor = 4
max_runtime_seconds = 7200
expected_success_interval_seconds = 3600
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "job_types.toml"
    path.write_text(FILE)
    return path


def test_declared_stages_and_limits_hold_for_their_type_alone(file: Path) -> None:
    types = JobTypes(read(file), Limits(silent_seconds=100.0))
    assert types.plan("timetable") == (PlannedStage("prepare", 15, "Preparing"), PlannedStage("solving", 60))
    assert types.limits("timetable") == Limits(100.0, no_progress_seconds=900.0, stages={"solving": 1800.0})
    crawl = Limits(30.5, silent_floor_seconds=5.0, overdue_factor=4.0, max_runtime_seconds=7200.0)
    assert types.limits("crawl") == crawl
    assert types.expected_intervals == {"crawl": 3600.0}
    assert (types.plan("other"), types.limits("other")) == (None, Limits(silent_seconds=100.0))


def test_seven_types_are_known_without_being_declared() -> None:
    types = job_types_in(Settings())
    assert sorted(types.names) == [
        *("crawl", "default", "github-ingest", "local-ingest", "proposal", "snapshot", "timetable", "tree")
    ]
    for each in types.declared.values():
        assert sum(stage.weight or 0 for stage in each.stages) == 100
    plan = types.plan("timetable") or ()
    assert [(stage.name, stage.weight) for stage in plan] == [
        *(("loading", 5), ("clustering", 10), ("cpsat_solving", 60), ("ga_optimization", 15), ("rl_refinement", 10))
    ]
    assert [stage.label for stage in types.plan("snapshot") or ()][1:3] == ["browsing", "browsing"]


def test_what_is_played_are_the_stages_that_are_known() -> None:
    played = {kind.job_type: [stage.name for stage in kind.stages] for kind in KINDS}
    assert played == {name: [stage.name for stage in each.stages] for name, each in shipped().items()}


def test_file_goes_before_what_is_known_field_by_field(file: Path) -> None:
    declared = read(file)
    assert declared.keys() == shipped().keys()
    assert [stage.name for stage in declared["timetable"].stages] == ["prepare", "solving"]
    assert declared["crawl"].stages == shipped()["crawl"].stages
    assert declared["crawl"].expected_success_interval_seconds == 3600
    file.write_text("[job_types.crawl]\nstages = []")
    assert JobTypes(read(file), Limits()).plan("crawl") is None


def test_settings_are_the_limits_of_what_declares_none(file: Path) -> None:
    settings = Settings(
        job_types_file=file, silent_seconds=7, not_started_seconds=8, cancel_stuck_seconds=9, overdue_factor=2
    )
    types = job_types_in(settings)
    limits = types.limits("timetable")
    assert (limits.overdue_factor, types.limits("crawl").overdue_factor) == (2, 4)
    assert (limits.silent_seconds, limits.no_progress_seconds, limits.not_started_seconds) == (7, 900, 8)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[job_types.a]\nsilent = 3", "job_types.a.silent"),
        ("[job_types.a]\nsilent_seconds = 0", "job_types.a.silent_seconds"),
        ("[job_types.a]\noverdue_factor = 0.5", "job_types.a.overdue_factor"),
        ("[job_types.a]\nmax_runtime_seconds = 0", "job_types.a.max_runtime_seconds"),
        ("[job_types.'a b']", "job_types.a b"),
        ("[other]", "other"),
        ("[job_types.a]\nstages = [{ name = 'x' }, { name = 'x' }]", "different names"),
        ("[job_types.a]\nstages = [{ weight = 3 }]", "job_types.a.stages.0.name"),
        ("[job_types.a]\nstrict_stages = true", "job_types.a.strict_stages: needs stages"),
        ("[job_types.crawl]\nstages = []\nstrict_stages = true", "job_types.crawl.strict_stages: needs stages"),
        ("nonsense", "no TOML"),
    ],
)
def test_mistake_is_named(tmp_path: Path, text: str, told: str) -> None:
    path = tmp_path / "job_types.toml"
    path.write_text(text)
    with pytest.raises(BadSettings) as error:
        load({"SIDECAR_JOB_TYPES_FILE": str(path)})
    [problem] = error.value.problems
    assert problem.startswith("SIDECAR_JOB_TYPES_FILE: ")
    assert told in problem


def test_file_that_is_not_there_or_not_text_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="cannot be read"):
        read(tmp_path / "nowhere")
    (tmp_path / "bytes").write_bytes(b"\xff\xfe")
    with pytest.raises(ValueError, match="not UTF-8"):
        read(tmp_path / "bytes")
