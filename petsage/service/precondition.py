"""`Expect-Release`: a request is served by the release that its sender expects, or not at all."""

from flask.globals import request_ctx

from petsage.service.problems import OTHER_RELEASE, UNCLEAR_EXPECTATION, Problem
from petsage.service.settings import Settings

# Not every blank that Python knows: a no-break space is no blank of HTTP (RFC 9110, section 5.6.3).
_BLANKS = " \t"


def require_expected(settings: Settings) -> None:
    """Raise a problem if the request expects another release than this one.

    It names this one where that may be disclosed, and never the one that was expected.
    An unknown path or a wrong method comes first: it is wrong whichever release answers.
    """
    request = request_ctx.request
    if request.routing_exception is not None:
        return
    expected = request.environ.get("HTTP_EXPECT_RELEASE")
    if expected is None:
        return
    expected = expected.strip(_BLANKS)
    # Servers join a repeated header with a comma (PEP 3333), which no release contains.
    if not expected or "," in expected:
        raise Problem("bad-request", UNCLEAR_EXPECTATION)
    if not settings.release.matches(expected):
        raise Problem("release-mismatch", _which(settings), headers={"Retry-After": "1"})


def _which(settings: Settings) -> str | None:
    release = settings.release
    if not settings.disclose_release:
        return None
    if release.name is None and release.commit is None:
        return "This service was not told its release, so it can't be the expected one."
    return OTHER_RELEASE.format(release=release.name or f"commit {release.commit}")
