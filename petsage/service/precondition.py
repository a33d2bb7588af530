"""`Expect-Release`: a request is served by the release that its sender expects, or not at all."""

from flask.globals import request_ctx

from petsage.contract import EXPECT_RELEASE_HEADER
from petsage.service.problems import Problem
from petsage.service.release import Release

# Not every blank that Python knows: a no-break space is no blank of HTTP (RFC 9110, section 5.6.3).
_BLANKS = " \t"


def require_expected(release: Release) -> None:
    """Raise a problem if the request expects another release than this one.

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
        raise Problem(
            "bad-request", f"{EXPECT_RELEASE_HEADER} must name exactly one release or commit."
        )
    if not release.matches(expected):
        raise Problem(
            "release-mismatch",
            "Another release than the expected one answers here.",
            headers={"Retry-After": "1"},
        )
