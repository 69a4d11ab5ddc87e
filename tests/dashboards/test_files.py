"""The files of dashboards/: fresh, and laid out so that every panel can be read."""

import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from tests.dashboards.documents import BOARDS, FILES, ROOT, Board

COLUMNS = 24
FORBIDDEN = {"__inputs", "__requires", "__elements", "id", "version", "iteration", "gnetId", "snapshot", "meta"}
FORBIDDEN_IN_PANELS = {"libraryPanel", "pluginVersion", "repeat", "scopedVars", "alert", "transparent"}


def run(*arguments: str, folder: Path = ROOT) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tools.dashboards", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60, check=False)  # noqa: S603


def test_files_are_as_their_generator_writes_them() -> None:
    done = run("--check")
    assert (done.returncode, done.stderr) == (0, "")


def test_a_file_that_is_missing_or_was_edited_is_stale(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "tools", tmp_path / "tools")
    assert run("--check", folder=tmp_path).returncode == 1
    assert run(folder=tmp_path).returncode == 0
    assert run("--check", folder=tmp_path).returncode == 0
    with (tmp_path / "dashboards" / "slo.json").open("a") as file:
        file.write(" ")
    done = run("--check", folder=tmp_path)
    assert (done.returncode, "slo.json" in done.stderr, "job.json" in done.stderr) == (1, True, False)


def test_the_folder_holds_the_four_and_nothing_else() -> None:
    assert set((ROOT / "dashboards").iterdir()) == set(FILES.values())
    assert {each.name: each.document["uid"] for each in BOARDS} == {name: f"progress-{name}" for name in FILES}


@pytest.mark.parametrize("board", BOARDS, ids=lambda board: board.name)
def test_panels_do_not_overlap_and_leave_no_gap(board: Board) -> None:
    taken = Counter[tuple[int, int]]()
    for panel in board.document["panels"]:
        place = panel["gridPos"]
        assert place["h"] > 0 < place["w"], panel["title"]
        assert 0 <= place["x"] <= COLUMNS - place["w"], panel["title"]
        rows = range(place["y"], place["y"] + place["h"])
        taken.update((x, y) for x in range(place["x"], place["x"] + place["w"]) for y in rows)
    height = max(y for _, y in taken) + 1
    assert set(taken.values()) == {1}
    assert len(taken) == COLUMNS * height


@pytest.mark.parametrize("board", BOARDS, ids=lambda board: board.name)
def test_ids_and_titles_name_one_panel_each(board: Board) -> None:
    for key in ("id", "title"):
        found = Counter(panel[key] for panel in board.document["panels"])
        assert {value for value, count in found.items() if count > 1 or not value} == set()


@pytest.mark.parametrize("board", BOARDS, ids=lambda board: board.name)
def test_nothing_stands_in_a_file_that_belongs_to_one_grafana(board: Board) -> None:
    assert board.document.keys() & FORBIDDEN == set()
    assert [panel["title"] for panel in board.panels if panel.keys() & FORBIDDEN_IN_PANELS] == []
    assert [panel["title"] for panel in board.panels if any("hide" in target for target in panel["targets"])] == []


@pytest.mark.parametrize("board", BOARDS, ids=lambda board: board.name)
def test_every_panel_says_what_to_do_and_what_it_means_to_be_empty(board: Board) -> None:
    for panel in board.panels:
        what, act = panel["description"].split("\n\n")
        assert what.endswith("."), panel["title"]
        assert act.endswith("."), panel["title"]
        assert panel["fieldConfig"]["defaults"]["noValue"], panel["title"]
