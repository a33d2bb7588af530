"""`Expect-Release`: a request is served by the release that its sender expects, or not at all."""

from __future__ import annotations

from typing import TYPE_CHECKING

from petsage.contract import release_matches
from petsage.service.problems import OTHER_RELEASE, UNCLEAR_EXPECTATION, Problem

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

    from petsage.service.settings import Settings

# Not every blank that Python knows: a no-break space is no blank of HTTP (RFC 9110, section 5.6.3).
_BLANKS = " \t"


def require_release(settings: Settings | None, environ: WSGIEnvironment) -> None:
    """Raise a problem if the request expects another release than this one.

    The problem names this release where that may be disclosed, and never the expected one.

    Args:
        settings: name the release; None where nobody knows it. Then it is never the expected one.
        environ: of the request.

    """
    expected = environ.get("HTTP_EXPECT_RELEASE")
    if expected is None:
        return
    expected = expected.strip(_BLANKS)
    # Servers join a repeated header with a comma (PEP 3333), which no release contains.
    if not expected or "," in expected:
        raise Problem("bad-request", UNCLEAR_EXPECTATION)
    name, commit = (settings.release.name, settings.release.commit) if settings else (None, None)
    if release_matches(expected, name, commit):
        return
    detail = None
    if settings is None or settings.disclose_release:
        known = name or (commit and f"commit {commit}")
        detail = OTHER_RELEASE.format(release=known) if known else UNKNOWN_HERE
    raise Problem("release-mismatch", detail, headers={"Retry-After": "1"})


UNKNOWN_HERE = "This service does not know its release, so it can't be the expected one."
