"""Tokens as an operator writes them, `role:project,project:secret`, into what is kept of them."""

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

EVERY_PROJECT = "*"
SHORTEST_SECRET = 16

PROJECT = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
SECRET = re.compile(r"[!-~]*")
"""What an HTTP header carries unchanged: printable ASCII without spaces."""


class Role(StrEnum):
    """What the holder of a token may do."""

    WORKER = "worker"
    READER = "reader"
    OPERATOR = "operator"
    ADMIN = "admin"


@dataclass(frozen=True, slots=True)
class Token:
    """A role in some projects (`*` is every one) for whoever knows the secret, of which only a digest is kept."""

    role: Role
    projects: frozenset[str]
    digest: str


def digest(secret: str) -> str:
    """Return what is kept of a secret: SHA-256, in hexadecimal."""
    return hashlib.sha256(secret.encode("utf-8", "surrogateescape")).hexdigest()


def check_secret(secret: str) -> str:
    """Return the secret as it is, or raise `ValueError` without repeating it."""
    if len(secret) < SHORTEST_SECRET:
        raise ValueError(f"a secret needs at least {SHORTEST_SECRET} characters")
    if not SECRET.fullmatch(secret):
        raise ValueError("a secret is printable ASCII without spaces")
    return secret


def parse_list(text: str) -> tuple[Token, ...]:
    """Return the tokens of a list joined by `;`. Raises `ValueError` naming each bad entry by its number."""
    return _parse("entry", enumerate(text.split(";"), 1))


def read_file(path: Path) -> tuple[Token, ...]:
    """Return the tokens of a file that has one a line. Raises `ValueError` naming each bad line by its number."""
    try:
        lines = path.read_text("utf-8").splitlines()
    except OSError as error:
        raise ValueError(f"{path} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ValueError(f"{path} is not UTF-8 text") from None
    return _parse("line", ((n, line) for n, line in enumerate(lines, 1) if not line.lstrip().startswith("#")))


def united(*groups: Iterable[Token]) -> tuple[Token, ...]:
    """Return the tokens of all groups once each. Raises `ValueError` if one secret stands for different rights."""
    tokens = tuple(dict.fromkeys(token for group in groups for token in group))
    if len({token.digest for token in tokens}) < len(tokens):
        raise ValueError("the same secret is given twice, with different roles or projects")
    return tokens


def _parse(place: str, numbered: Iterable[tuple[int, str]]) -> tuple[Token, ...]:
    tokens: list[Token] = []
    mistakes: list[str] = []
    for number, text in numbered:
        try:
            if text.strip():
                tokens.append(_token(text.strip()))
        except ValueError as error:
            mistakes.append(f"{place} {number}: {error}")
    if mistakes:
        raise ValueError("; ".join(mistakes))
    return united(tokens)


def _token(text: str) -> Token:
    """Parse one token. What is wrong is told without repeating any of it: a misplaced part may be the secret."""
    parts = text.split(":", 2)
    if len(parts) < 3:  # noqa: PLR2004 - the three that the message names
        raise ValueError("expected role:project,project:secret")
    role, projects, secret = parts
    if role not in set(Role):
        raise ValueError(f"the role must be one of {', '.join(Role)}")
    return Token(Role(role), _projects(projects), digest(check_secret(secret)))


def _projects(text: str) -> frozenset[str]:
    names = frozenset(name.strip() for name in text.split(","))
    if not all(name == EVERY_PROJECT or PROJECT.fullmatch(name) for name in names):
        raise ValueError("a project is 1 to 64 letters, digits, '.', '_' or '-', or * for every one")
    return names
