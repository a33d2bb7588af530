"""release: which it is, and whether it is the expected one."""

import pytest

from petsage.service.settings import Release, Settings

COMMIT = "12E4567890abcdef12e4567890abcdef12e45678"


@pytest.mark.parametrize(
    ("environ", "release", "commit"),
    [
        ({}, (None, None), (None, None)),
        ({"PETSAGE_RELEASE": "a", "HEROKU_RELEASE_VERSION": "b"}, ("a", "PETSAGE_RELEASE"), None),
        ({"PETSAGE_RELEASE": " ", "KAMAL_VERSION": "c"}, ("c", "KAMAL_VERSION"), None),
        ({"HEROKU_RELEASE_VERSION": "v1"}, ("v1", "HEROKU_RELEASE_VERSION"), None),
        (
            {"RENDER_GIT_COMMIT": "abc"},
            ("abc", "RENDER_GIT_COMMIT"),
            ("abc", "RENDER_GIT_COMMIT"),
        ),
        (
            {"HEROKU_SLUG_COMMIT": "s", "HEROKU_BUILD_COMMIT": "b", "SOURCE_VERSION": "v"},
            None,
            ("b", "HEROKU_BUILD_COMMIT"),
        ),
        ({"HEROKU_SLUG_COMMIT": "s", "SOURCE_VERSION": "v"}, None, ("s", "HEROKU_SLUG_COMMIT")),
        ({"SOURCE_VERSION": "v"}, None, ("v", "SOURCE_VERSION")),
    ],
)
def test_the_first_variable_that_says_something_tells(
    environ: dict[str, str],
    release: tuple[str | None, str | None] | None,
    commit: tuple[str | None, str | None] | None,
) -> None:
    found = Settings.from_environ(environ).release
    assert (found.name, found.name_source) == (release or (None, None))
    assert (found.commit, found.commit_source) == (commit or (None, None))


@pytest.mark.parametrize(
    ("expected", "matches"),
    [
        ("v43", True),
        ("V43", False),
        ("v4", False),
        ("v430", False),
        (COMMIT, True),
        (COMMIT.lower(), True),
        (COMMIT[:7], True),
        (COMMIT[:7].lower(), True),
        (COMMIT[:6], False),
        (COMMIT[1:9], False),
        (COMMIT + "0", False),
        ("unknown", False),
        ("*", False),
    ],
)
def test_a_release_matches_its_name_or_seven_digits_of_its_commit(
    expected: str, matches: bool
) -> None:
    assert Release("v43", COMMIT).matches(expected) is matches


def test_unknown_matches_nothing_not_even_a_release_of_that_name() -> None:
    assert not Release().matches("unknown")
    assert not Release("unknown").matches("unknown")


def test_a_commit_that_is_no_hexadecimal_number_matches_by_no_beginning() -> None:
    assert not Release(None, "main-build-7").matches("main-build")
