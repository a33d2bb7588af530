"""`Expect-Release`: a request is served by the release that its sender expects, or not at all."""

from collections.abc import Mapping
from typing import Any

from petsage.contract import release_matches
from petsage.service.problems import OTHER_RELEASE, UNCLEAR_EXPECTATION, Problem
from petsage.service.settings import Settings

# Not every blank that Python knows: a no-break space is no blank of HTTP (RFC 9110, section 5.6.3).
_BLANKS = " \t"


def require_release(settings: Settings, environ: Mapping[str, Any]) -> None:
    """Raise a problem if the request expects another release than that of the settings.

    The problem names this release where that may be disclosed, and never the expected one.
    """
    expected = environ.get("HTTP_EXPECT_RELEASE")
    if expected is None:
        return
    expected = expected.strip(_BLANKS)
    # Servers join a repeated header with a comma (PEP 3333), which no release contains.
    if not expected or "," in expected:
        raise Problem("bad-request", UNCLEAR_EXPECTATION)
    release = settings.release
    if release_matches(expected, release.name, release.commit):
        return
    detail = "This service does not know its release, so it can't be the expected one."
    if known := release.name or (release.commit and f"commit {release.commit}"):
        detail = OTHER_RELEASE.format(release=known)
    disclosed = detail if settings.disclose_release else None
    raise Problem("release-mismatch", disclosed, [("Retry-After", "1")])
