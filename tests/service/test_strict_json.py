"""strict_json: what RFC 8259 allows is read, and nothing else."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from petsage.service import strict_json
from petsage.service.problems import Problem
from tests.json_corpus import ECHOED, MISFITS, REFUSED, damaged, is_json

ANY_TEXT = st.text(st.characters(exclude_categories=["Cs"]))
ANY_JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | ANY_TEXT,
    lambda inner: st.lists(inner) | st.dictionaries(ANY_TEXT, inner),
    max_leaves=30,
)


@pytest.mark.parametrize(("text", "code"), REFUSED.values(), ids=REFUSED)
def test_what_is_not_strict_json_is_refused_with_its_code(text: bytes, code: str) -> None:
    with pytest.raises(Problem) as refusal:
        strict_json.loads(text)
    assert refusal.value.code == code


@pytest.mark.parametrize("text", MISFITS.values(), ids=MISFITS)
def test_json_that_fits_no_schema_is_json_all_the_same(text: bytes) -> None:
    assert strict_json.loads(text) == json.loads(text)


@pytest.mark.parametrize(("text", "value"), ECHOED.values(), ids=ECHOED)
def test_a_string_is_read_code_point_for_code_point(text: bytes, value: str) -> None:
    assert strict_json.loads(text) == value


@given(ANY_JSON, st.booleans())
def test_every_json_value_is_read_back(value: Any, ascii_only: bool) -> None:
    assert strict_json.loads(json.dumps(value, ensure_ascii=ascii_only).encode()) == value


def refusal(body: bytes) -> Problem | None:
    try:
        strict_json.loads(body)
    except Problem as problem:
        return problem
    return None


def text_of(body: bytes) -> str | None:
    try:
        return body.decode()
    except UnicodeDecodeError:
        return None


@given(st.binary(max_size=200))
@settings(max_examples=300)
def test_no_bytes_raise_anything_but_a_problem(body: bytes) -> None:
    problem = refusal(body)
    assert problem is None or problem.status == 400


def test_damaged_texts_are_read_exactly_when_the_grammar_allows_them() -> None:
    read = refused = 0
    for body in damaged(seed=43, count=20_000):
        problem, text = refusal(body), text_of(body)
        by_grammar = text is not None and is_json(text)
        if problem is None:
            assert by_grammar, body
            read += 1
        else:
            stricter = problem.code in {"duplicate-key", "invalid-unicode"}
            too_large = problem.detail == "A number is too large to be represented."
            assert stricter or too_large or not by_grammar, body
            refused += 1
    assert min(read, refused) > 1_000


def test_one_thousand_characters_of_number_are_read() -> None:
    assert strict_json.loads(b"1" * 1_000) == int("1" * 1_000)


def test_sixty_four_levels_are_read_and_brackets_in_strings_are_no_levels() -> None:
    assert strict_json.loads(b"[" * 64 + b"]" * 64)
    assert strict_json.loads(b'["' + b"[{" * 500 + b'\\"[{"]')
