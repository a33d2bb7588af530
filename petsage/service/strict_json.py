"""JSON as RFC 8259 has it, and nothing that its readers disagree on.

The standard library's reader does the work; its hooks reject what it would let through.
"""

import json
import re
from typing import Any, NoReturn

from petsage.contract import MAX_JSON_DEPTH, MAX_NUMBER_CHARACTERS
from petsage.service.problems import Problem, cut

# A string, closed or not, or one bracket: what is needed to count levels.
_STRING_OR_BRACKET = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"?|[\[\]{}]', re.DOTALL)
_BYTE_ORDER_MARK = "\ufeff"
HALF_A_PAIR = "A string holds half of a surrogate pair."


def loads(body: bytes) -> Any:
    """Return the value of a JSON text in UTF-8.

    Raises:
        Problem: `malformed-json`, `duplicate-key`, `invalid-unicode`, `too-deep` or
            `number-too-long`.

    """
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError:
        raise Problem("invalid-unicode") from None
    if not text:
        raise Problem("malformed-json", "The body is empty. Send a JSON object.")
    if text[0] == _BYTE_ORDER_MARK:
        raise Problem("malformed-json", "The body begins with a byte order mark; leave it out.")
    _reject_depth(text)
    try:
        value = _DECODER.decode(text)
    except json.JSONDecodeError as error:
        # Not its message: that may repeat a character of the body.
        place = f"line {error.lineno}, column {error.colno}"
        raise Problem("malformed-json", f"The body is not valid JSON: see {place}.") from None
    if "\\u" in text:
        _reject_lone_surrogates(value)
    return value


def _reject_depth(text: str) -> None:
    # Counting the brackets alone is quick and never too low.
    if text.count("[") + text.count("{") <= MAX_JSON_DEPTH:
        return
    depth = 0
    for token in _STRING_OR_BRACKET.finditer(text):
        if token[0] in "[{":
            depth += 1
            if depth > MAX_JSON_DEPTH:
                raise Problem("too-deep")
        elif token[0] in "]}":
            depth -= 1


def _reject_lone_surrogates(value: Any) -> None:
    # An escape such as \ud800 without its other half stands for no character: it can't be encoded.
    try:
        json.dumps(value, ensure_ascii=False).encode("utf-8")
    except UnicodeEncodeError:
        raise Problem("invalid-unicode", HALF_A_PAIR) from None


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise _duplicate_key(pairs)
    return members


def _duplicate_key(pairs: list[tuple[str, Any]]) -> Problem:
    seen: set[str] = set()
    for name, _ in pairs:
        if name in seen:
            break
        seen.add(name)
    try:
        name.encode()
    except UnicodeEncodeError:
        return Problem("invalid-unicode", HALF_A_PAIR)
    return Problem("duplicate-key", f'An object names the key "{cut(name)}" twice.')


def _number(digits: str) -> None:
    if len(digits) > MAX_NUMBER_CHARACTERS:
        raise Problem("number-too-long")


def _integer(digits: str) -> int:
    _number(digits)
    return int(digits)


def _float(digits: str) -> float:
    _number(digits)
    value = float(digits)
    if value in (float("inf"), float("-inf")):
        raise Problem("malformed-json", "A number is too large to be represented.")
    return value


def _constant(_name: str) -> NoReturn:
    raise Problem("malformed-json", "NaN and Infinity are not JSON.")


# Made once: json.loads would build a decoder for each call that has hooks.
_DECODER = json.JSONDecoder(
    object_pairs_hook=_object,
    parse_int=_integer,
    parse_float=_float,
    parse_constant=_constant,
)
