"""contract: when a release matches, and one table of problems."""

import pytest

from petsage.contract import PROBLEMS, release_matches
from tests.documents import DOCUMENTS, table

COMMIT = "12E4567890abcdef12e4567890abcdef12e45678"


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
    assert release_matches(expected, "v43", COMMIT) is matches


def test_unknown_matches_nothing_not_even_a_release_of_that_name() -> None:
    assert not release_matches("unknown", None, None)
    assert not release_matches("unknown", "unknown", None)


def test_a_commit_that_is_no_hexadecimal_number_matches_by_no_beginning() -> None:
    assert not release_matches("main-build", None, "main-build-7")


def test_the_table_of_problems_is_in_the_order_of_the_statuses() -> None:
    statuses = [problem.status for problem in PROBLEMS.values()]
    assert statuses == sorted(statuses)
    for problem in PROBLEMS.values():
        assert problem.detail.endswith(".")
        assert problem.when.endswith(".")


def test_the_page_of_errors_is_the_table() -> None:
    rows = [[str(one.status), f"`{code}`", one.when] for code, one in PROBLEMS.items()]
    assert table("Codes", DOCUMENTS["docs/errors.md"]) == rows
