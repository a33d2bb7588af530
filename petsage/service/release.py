"""Which release is this, and is it the one that a caller expects? Never a guess."""

import string
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from petsage.contract import COMMIT_PREFIX_MIN_DIGITS, UNKNOWN_RELEASE

# The first variable that says something is believed: PetSage's own, then those of platforms.
RELEASE_VARIABLES = (
    "PETSAGE_RELEASE",
    "HEROKU_RELEASE_VERSION",
    "KAMAL_VERSION",
    "RENDER_GIT_COMMIT",
)
COMMIT_VARIABLES = (
    "PETSAGE_COMMIT",
    "HEROKU_BUILD_COMMIT",
    "HEROKU_SLUG_COMMIT",
    "RENDER_GIT_COMMIT",
    "SOURCE_VERSION",
)
INSTANCE_VARIABLES = ("PETSAGE_INSTANCE", "DYNO")

MAX_NAME_CHARACTERS = 200


@dataclass(frozen=True)
class Release:
    """A release and its commit, each with the environment variable that told it."""

    name: str | None = None
    commit: str | None = None
    name_source: str | None = None
    commit_source: str | None = None

    def matches(self, expected: str) -> bool:
        """Tell whether `expected` names this release, or its commit by at least seven digits."""
        if expected == UNKNOWN_RELEASE:
            return False
        if expected == self.name:
            return True
        return (
            self.commit is not None
            and len(expected) >= COMMIT_PREFIX_MIN_DIGITS
            and set(expected) <= set(string.hexdigits)
            and self.commit.lower().startswith(expected.lower())
        )


def first_told(environ: Mapping[str, str], variables: Iterable[str]) -> tuple[str, str] | None:
    """Return (value, variable) of the first variable with more than blanks in it."""
    for variable in variables:
        value = environ.get(variable, "").strip()
        if value:
            return value, variable
    return None


def fault_of_name(value: str) -> str | None:
    """Say why `value` can't stand in a header and be expected by a caller, or return None."""
    if len(value) > MAX_NAME_CHARACTERS:
        return f"must have at most {MAX_NAME_CHARACTERS} characters; it has {len(value)}"
    if "," in value or not all("!" <= character <= "~" for character in value):
        return "must be visible ASCII characters without a comma or a blank"
    return None
