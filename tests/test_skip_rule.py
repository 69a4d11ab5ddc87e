import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.parametrize(
    "test",
    [
        "@pytest.mark.skip(reason='because')\ndef test_it() -> None: ...",
        "def test_it() -> None:\n    pytest.skip('because')",
        "@pytest.mark.xfail(reason='because')\ndef test_it() -> None:\n    raise AssertionError",
        "pytest.skip('because', allow_module_level=True)",
    ],
)
def test_skipped_test_fails_the_run_and_tells_why(test: str, tmp_path: Path) -> None:
    shutil.copy(Path(__file__).with_name("conftest.py"), tmp_path)
    (tmp_path / "test_it.py").write_text(f"import pytest\n\n{test}\n")
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", str(tmp_path)]
    alone = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    ended = subprocess.run(command, env=alone, capture_output=True, text=True, check=False)  # noqa: S603 - pytest
    assert ended.returncode != 0
    assert "skipped, which counts as failed here: " in ended.stdout
    assert "because" in ended.stdout
