"""Write dashboards/*.json; with --check, only say whether they are fresh."""

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tools.dashboards.job import job
from tools.dashboards.overview import overview
from tools.dashboards.sidecar import sidecar
from tools.dashboards.slo import slo

FOLDER = Path(__file__).parents[2] / "dashboards"


def files() -> Mapping[Path, str]:
    """Return every file with what belongs into it."""
    named: Mapping[str, dict[str, Any]] = {"overview": overview(), "job": job(), "sidecar": sidecar(), "slo": slo()}
    return {FOLDER / f"{name}.json": json.dumps(document, indent=2) + "\n" for name, document in named.items()}


def stale(path: Path, text: str) -> bool:
    """Whether a file is not what it should be."""
    return not path.exists() or path.read_text("utf-8") != text


def main() -> int:
    """Write the files, or compare them."""
    if "--check" not in sys.argv:
        FOLDER.mkdir(exist_ok=True)
        for path, text in files().items():
            path.write_text(text, "utf-8")
        return 0
    old = [path.name for path, text in files().items() if stale(path, text)]
    if old:
        print(f"dashboards/ is stale ({', '.join(old)}); `make docs` writes it anew", file=sys.stderr)
    return bool(old)


if __name__ == "__main__":
    sys.exit(main())
