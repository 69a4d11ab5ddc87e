import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import sidecar.core

CORE = Path(sidecar.core.__file__).parent


def imported(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or "."


def test_core_needs_nothing_but_itself_and_the_standard_library() -> None:
    modules = {module for path in CORE.glob("*.py") for module in imported(path)}
    assert "sidecar.core.job" in modules
    strangers = {
        module
        for module in modules
        if not module.startswith("sidecar.core") and module.partition(".")[0] not in sys.stdlib_module_names
    }
    assert strangers == set()
