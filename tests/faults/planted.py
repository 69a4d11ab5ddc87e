"""Bugs that are planted into a copy of the source: each must be found by the check that is to keep it out."""

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.faults.program import CHECKOUT

PACKAGE = "sidecar"


@dataclass(frozen=True, slots=True)
class Bug:
    """What stands in a module of the package, and what takes its place; it must stand there once."""

    module: str
    changes: Mapping[str, str]


POSITION_OUTSIDE_THE_TRANSACTION = Bug(
    "adapters/sql/archive.py",
    {
        """\
            last = await _write_lines(connection, project, batch.lines)
""": """\
            async with self._database.writing(RECORD_SECONDS) as another:
                place = {"position": after.position, "epoch": after.cursor.epoch, "rev": after.cursor.rev}
                await upsert(another, RECORDED, [{"project": project, **place}])
            last = await _write_lines(connection, project, batch.lines)
"""
    },
)
"""Where the recorder has come to is kept before what it recorded is."""

OVERWRITING_RECORDER = Bug(
    "adapters/sql/archive.py",
    {"            if row is None or _is_copy(row, change):\n": "            if True:\n"},
)
"""What Redis has takes the place of what SQL has, where it should be joined in."""


def planted(home: Path, bug: Bug) -> Path:
    """Return a checkout of its own in which the package has the bug; fails if the text to replace is not there."""
    shutil.copytree(CHECKOUT / PACKAGE, home / PACKAGE, ignore=shutil.ignore_patterns("__pycache__"))
    module = home / PACKAGE / bug.module
    source = module.read_text()
    for right, wrong in bug.changes.items():
        assert source.count(right) == 1, f"{bug.module} no longer has, once: {right}"
        source = source.replace(right, wrong)
    compile(source, module, "exec")
    module.write_text(source)
    return home
