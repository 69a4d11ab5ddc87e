"""The screens that a page must look right on."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Look:
    """A screen, and what its owner prefers."""

    name: str
    color_scheme: Literal["light", "dark"] = "light"
    width: int = 1280
    height: int = 800


LIGHT = Look("light")
DARK = Look("dark", color_scheme="dark")
NARROW = Look("narrow", width=360, height=740)
LOOKS = (LIGHT, DARK, NARROW)
