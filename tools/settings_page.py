"""Write docs/settings.md from the settings themselves; with --check, only say whether it is fresh."""

import sys
from pathlib import Path
from typing import Literal, get_args, get_origin

from pydantic.fields import FieldInfo

from sidecar.environment import VARIABLES
from sidecar.settings import Said, Settings

PAGE = Path(__file__).parent.parent / "docs" / "settings.md"

HEAD = """\
# Settings

<!-- Written by `make docs` from sidecar/settings.py. -->

Settings are environment variables. An empty one counts as unset. `sidecar check-config` prints what is in force;
`sidecar serve` with a bad setting names each and what is wrong with it, and ends with exit code 2. A variable that
begins with `SIDECAR_` and is not listed here is an error, except those that Kubernetes sets for a service called
`sidecar`.

| variable | default | allowed | what it does |
|---|---|---|---|
"""

UNITS = ("seconds", "bytes")
BOUNDS = {"ge": "at least", "gt": "more than", "le": "at most"}


def render() -> str:
    """Return the page."""
    return HEAD + "".join(row(variable, Settings.model_fields[field]) for variable, field in VARIABLES.items())


def row(variable: str, field: FieldInfo) -> str:
    """Return the line of one setting."""
    said = next((item for item in field.metadata if isinstance(item, Said)), Said())
    unit = next((f" {unit}" for unit in UNITS if variable.endswith(f"_{unit.upper()}")), "")
    default = said.default or f"`{field.default}`{unit}"
    return f"| `{variable}` | {default} | {said.allowed or allowed(field)} | {field.description} |\n"


def allowed(field: FieldInfo) -> str:
    """Return what the type and the bounds of a setting allow."""
    if choices := literals(field.annotation):
        return ", ".join(f"`{choice}`" for choice in choices)
    kind = "whole number" if field.annotation is int else "number"
    bounds = [(word, getattr(item, key, None)) for item in field.metadata for key, word in BOUNDS.items()]
    return ", ".join([kind, *(f"{word} {bound}" for word, bound in bounds if bound is not None)])


def literals(annotation: object) -> list[str]:
    """Return the words of a Literal, also of one that may be None."""
    if get_origin(annotation) is Literal:
        return list(get_args(annotation))
    return [word for part in get_args(annotation) for word in literals(part)]


def main() -> int:
    """Write the page, or compare it."""
    if "--check" not in sys.argv:
        PAGE.write_text(render(), "utf-8")
    elif not PAGE.exists() or PAGE.read_text("utf-8") != render():
        print("docs/settings.md is stale; `make docs` writes it anew", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
