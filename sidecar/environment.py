"""How the environment becomes checked settings: each variable that is wrong, or is none of ours, is named."""

import difflib
import re
from collections.abc import Mapping

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from sidecar.settings import BadSettings, Said, Settings, job_types_in, tokens_in_force

PREFIX = "SIDECAR_"

OF_CLIENTS = frozenset({"SIDECAR_URL", "SIDECAR_TOKEN"})
"""What workers read, which may share an environment with the sidecar."""

INJECTED = re.compile(r"SIDECAR_(PORT_\d+_(TCP|UDP|SCTP)(_\w+)?|SERVICE_HOST|SERVICE_PORT(_\w+)?)")
"""What Kubernetes sets in every pod beside a service called `sidecar`; SIDECAR_PORT, which it makes a URL, is apart."""

VARIABLES = {PREFIX + field.upper(): field for field in Settings.model_fields}
"""Every variable, and the field that it sets."""


def load(environ: Mapping[str, str]) -> Settings:
    """Return the settings of an environment; an empty variable counts as unset. Raises `BadSettings`."""
    given = {name: text for name, text in sorted(environ.items()) if name.startswith(PREFIX) and text}
    known = {VARIABLES[name]: text for name, text in given.items() if name in VARIABLES}
    problems = [_unknown(name) for name, text in given.items() if not _is_expected(name, text)]
    try:
        settings = Settings.model_validate(known)
        tokens_in_force(settings)
        job_types_in(settings)
    except ValidationError as error:
        problems += [_told(details, given) for details in error.errors()]
    except BadSettings as error:
        problems += error.problems
    else:
        if not problems:
            return settings
    raise BadSettings(*problems)


def _is_expected(name: str, text: str) -> bool:
    return (
        name in VARIABLES
        or name in OF_CLIENTS
        or bool(INJECTED.fullmatch(name))
        or (name == "SIDECAR_PORT" and "://" in text)
    )


def _unknown(name: str) -> str:
    field = name.removeprefix(PREFIX).lower()
    longer = [known for known in Settings.model_fields if field in known]
    nearest = longer or difflib.get_close_matches(field, Settings.model_fields)
    return f"{name}: is no setting" + (f"; did you mean {PREFIX}{nearest[0].upper()}?" if nearest else "")


def _told(details: ErrorDetails, given: Mapping[str, str]) -> str:
    field = str(details["loc"][0])
    variable = PREFIX + field.upper()
    said = [item for item in Settings.model_fields[field].metadata if isinstance(item, Said)]
    value = "" if any(item.is_secret for item in said) else f" (it is {given[variable]!r})"
    message = details["msg"].removeprefix("Value error, ").replace("Input should be", "must be")
    return f"{variable}: {message}{value}"
