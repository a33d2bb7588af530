"""JSON texts, good and bad, as bytes: what RFC 8259 allows, and what it or `strict_json` refuses.

The bad ones are in part written by hand, in part made by damaging good ones. Whether a damaged
text is still JSON is decided by a recogniser of our own, written from the RFC's grammar and
independent of the reader under test.
"""

import random
import re
from collections.abc import Iterator

_WHITE = r"[\x20\t\n\r]*"
_STRING = r'"(?:[^"\\\x00-\x1f]|\\(?:["\\/bfnrt]|u[0-9A-Fa-f]{4}))*"'
_NUMBER = r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?"
_TOKEN = re.compile(
    rf"{_WHITE}(?:(?P<punctuation>[\[\]{{}}:,])|(?P<string>{_STRING})"
    rf"|(?P<scalar>(?:true|false|null|{_NUMBER})))"
)


def is_json(text: str) -> bool:
    """Tell whether `text` is a JSON text by the grammar of RFC 8259, and nothing else."""
    position, tokens = 0, []
    while match := _TOKEN.match(text, position):
        tokens.append(match["punctuation"] or ("s" if match["string"] else "v"))
        position = match.end()
    if not re.fullmatch(_WHITE, text[position:]):
        return False
    # Fold values until one is left: strings are kept apart, they may be keys.
    folded = "".join(tokens)
    while True:
        smaller = re.sub(r"\[(?:[sv](?:,[sv])*)?\]|\{(?:s:[sv](?:,s:[sv])*)?\}", "v", folded)
        if smaller == folded:
            return folded in ("s", "v")
        folded = smaller


PING = b'{"ping":%s}'

# Each with the code that it must be refused with.
REFUSED: dict[str, tuple[bytes, str]] = {
    "empty": (b"", "malformed-json"),
    "blank": (b" \n", "malformed-json"),
    "cut object": (b'{"ping":"a"', "malformed-json"),
    "cut string": (b'{"ping":"a', "malformed-json"),
    "cut escape": (b'{"ping":"\\', "malformed-json"),
    "cut unicode escape": (b'{"ping":"\\u12"}', "malformed-json"),
    "unicode escape of other digits": ('{"ping":"\\u١٢٣٤"}'.encode(), "malformed-json"),
    "unicode escape with 0x": (b'{"ping":"\\u0x41"}', "malformed-json"),
    "unknown escape": (b'{"ping":"\\a"}', "malformed-json"),
    "escaped line end": (b'{"ping":"\\\n"}', "malformed-json"),
    "single quotes": (b"{'ping':'a'}", "malformed-json"),
    "bare key": (b'{ping:"a"}', "malformed-json"),
    "trailing comma": (b'{"ping":"a",}', "malformed-json"),
    "trailing comma in array": (b'["a",]', "malformed-json"),
    "leading comma": (b'{,"ping":"a"}', "malformed-json"),
    "no colon": (b'{"ping" "a"}', "malformed-json"),
    "two colons": (b'{"ping"::"a"}', "malformed-json"),
    "no comma": (b'{"ping":"a" "b":"c"}', "malformed-json"),
    "trailing data": (b'{"ping":"a"} x', "malformed-json"),
    "two values": (b'{"ping":"a"}{"ping":"b"}', "malformed-json"),
    "closing bracket only": (b"]", "malformed-json"),
    "wrong bracket": (b'["a"}', "malformed-json"),
    "comment": (b'{"ping":"a"} // b', "malformed-json"),
    "block comment": (b'/* b */{"ping":"a"}', "malformed-json"),
    "form": (b"ping=a", "malformed-json"),
    "html": (b"<html>", "malformed-json"),
    "python": (b"{'ping': None}", "malformed-json"),
    "True": (PING % b"True", "malformed-json"),
    "undefined": (PING % b"undefined", "malformed-json"),
    "NaN": (PING % b"NaN", "malformed-json"),
    "Infinity": (PING % b"Infinity", "malformed-json"),
    "-Infinity": (PING % b"-Infinity", "malformed-json"),
    "1e400": (PING % b"1e400", "malformed-json"),
    "-1e400": (PING % b"-1e400", "malformed-json"),
    "hexadecimal": (PING % b"0x10", "malformed-json"),
    "leading zero": (PING % b"01", "malformed-json"),
    "leading plus": (PING % b"+1", "malformed-json"),
    "leading point": (PING % b".5", "malformed-json"),
    "trailing point": (PING % b"5.", "malformed-json"),
    "no exponent": (PING % b"5e", "malformed-json"),
    "underscore in number": (PING % b"1_000", "malformed-json"),
    "other digits": (PING % "١".encode(), "malformed-json"),
    "minus only": (PING % b"-", "malformed-json"),
    "line feed in string": (PING % b'"a\nb"', "malformed-json"),
    "tab in string": (PING % b'"a\tb"', "malformed-json"),
    "NUL in string": (PING % b'"a\x00b"', "malformed-json"),
    "NUL behind": (b'{"ping":"a"}\x00', "malformed-json"),
    "form feed before": (b'\x0c{"ping":"a"}', "malformed-json"),
    "no-break space before": ('\u00a0{"ping":"a"}'.encode(), "malformed-json"),
    "byte order mark": (b'\xef\xbb\xbf{"ping":"a"}', "malformed-json"),
    "byte order mark only": (b"\xef\xbb\xbf", "malformed-json"),
    "UTF-16": ('{"ping":"a"}'.encode("utf-16-le"), "malformed-json"),
    "UTF-16 with mark": ('{"ping":"a"}'.encode("utf-16"), "invalid-unicode"),
    "UTF-32": ('{"ping":"a"}'.encode("utf-32-le"), "malformed-json"),
    "Latin-1": ('{"ping":"é"}'.encode("latin-1"), "invalid-unicode"),
    "lone continuation": (PING % b'"\x80"', "invalid-unicode"),
    "cut sequence": (PING % b'"\xe2\x82"', "invalid-unicode"),
    "overlong": (PING % b'"\xc0\xaf"', "invalid-unicode"),
    "overlong NUL": (PING % b'"\xc0\x80"', "invalid-unicode"),
    "raw high surrogate": (PING % b'"\xed\xa0\x80"', "invalid-unicode"),
    "raw low surrogate": (PING % b'"\xed\xbf\xbf"', "invalid-unicode"),
    "raw surrogate pair (CESU-8)": (PING % b'"\xed\xa0\xbd\xed\xb8\x80"', "invalid-unicode"),
    "past U+10FFFF": (PING % b'"\xf4\x90\x80\x80"', "invalid-unicode"),
    "byte FF": (PING % b'"\xff"', "invalid-unicode"),
    "escaped high surrogate": (PING % b'"\\ud800"', "invalid-unicode"),
    "escaped low surrogate": (PING % b'"\\uDFFF"', "invalid-unicode"),
    "escaped surrogates in the wrong order": (PING % b'"\\ude00\\ud83d"', "invalid-unicode"),
    "escaped surrogate in a key": (b'{"\\ud800":1,"ping":"a"}', "invalid-unicode"),
    "escaped surrogate deep down": (PING % b'[{"a":["\\ud800"]}]', "invalid-unicode"),
    "duplicate key": (b'{"ping":"a","ping":"b"}', "duplicate-key"),
    "duplicate key, same value": (b'{"ping":"a","ping":"a"}', "duplicate-key"),
    "duplicate key, escaped": (b'{"ping":"a","p\\u0069ng":"b"}', "duplicate-key"),
    "duplicate key deep down": (b'{"ping":[{"a":1,"a":2}]}', "duplicate-key"),
    "duplicate empty key": (b'{"":1,"":2}', "duplicate-key"),
    "65 arrays": (b"[" * 65 + b"]" * 65, "too-deep"),
    "65 levels, the object counted": (PING % (b"[" * 64 + b"]" * 64), "too-deep"),
    "65 objects": (b'{"a":' * 65 + b"1" + b"}" * 65, "too-deep"),
    "976 arrays": (b"[" * 976 + b"]" * 976, "too-deep"),
    "30,000 arrays": (b"[" * 30_000 + b"]" * 30_000, "too-deep"),
    "60,000 open brackets": (b"[" * 60_000, "too-deep"),
    "integer of 1,001 characters": (PING % (b"1" * 1_001), "number-too-long"),
    "negative integer of 1,001 characters": (PING % (b"-" + b"1" * 1_000), "number-too-long"),
    "integer of 4,301 digits": (PING % (b"1" * 4_301), "number-too-long"),
    "fraction of 1,001 characters": (PING % (b"0." + b"1" * 999), "number-too-long"),
    "exponent of 1,001 characters": (PING % (b"1e" + b"0" * 998 + b"1"), "number-too-long"),
}

# Well-formed JSON that does not fit the schema of a ping: never 400.
MISFITS: dict[str, bytes] = {
    "null": b"null",
    "string": b'"ping"',
    "number": b"1",
    "array": b"[]",
    "empty object": b"{}",
    "ping null": b'{"ping":null}',
    "ping true": b'{"ping":true}',
    "ping number": b'{"ping":1}',
    "ping fraction": b'{"ping":1.5e3}',
    "ping integer of 1,000 digits": PING % (b"1" * 1_000),
    "ping array": b'{"ping":["a"]}',
    "ping object": b'{"ping":{}}',
    "unknown member": b'{"ping":"a","pong":"b"}',
    "unknown empty member": b'{"ping":"a","":1}',
    "other case": b'{"Ping":"a"}',
    "64 levels": PING % (b"[" * 63 + b"]" * 63),
    "brackets in a string": PING % (b'["' + b"[" * 200 + b'\\"[{"]'),
    "tiny number": b'{"ping":1e-400}',
}

# A ping, as a JSON text of it and as the string that must come back.
ECHOED: dict[str, tuple[bytes, str]] = {
    "plain": (b'"Hello, PetSage!"', "Hello, PetSage!"),
    "empty": (b'""', ""),
    "NUL": (b'"\\u0000"', "\x00"),
    "controls": (b'"\\b\\f\\n\\r\\t\\u001b[31m"', "\b\f\n\r\t\x1b[31m"),
    "DEL": (b'"\x7f"', "\x7f"),
    "quotes": (b'"\\"\\\\\\/"', '"\\/'),
    "umlaut": ('"é"'.encode(), "é"),
    "umlaut, decomposed": ('"e\u0301"'.encode(), "e\u0301"),
    "escaped umlaut": (b'"\\u00e9"', "é"),
    "emoji": ('"😀"'.encode(), "😀"),
    "escaped pair": (b'"\\ud83d\\ude00"', "😀"),
    "line separators": ('"\u2028\u2029"'.encode(), "\u2028\u2029"),
    "noncharacters": ('"\ufffe\uffff\U0010ffff"'.encode(), "\ufffe\uffff\U0010ffff"),
    "byte order mark inside": ('"\ufeff"'.encode(), "\ufeff"),
    "right to left": ('"\u202eabc"'.encode(), "\u202eabc"),
    "private use": ('"\ue000\U000f0000"'.encode(), "\ue000\U000f0000"),
    "html": (b'"<script>alert(1)</script>"', "<script>alert(1)</script>"),
    "60,000 bytes": (b'"' + b"x" * 60_000 + b'"', "x" * 60_000),
    "60,000 bytes of emoji": ('"{}"'.format("😀" * 15_000).encode(), "😀" * 15_000),
    "looks like a number": (b'"1e400"', "1e400"),
}


def damaged(seed: int, count: int) -> Iterator[bytes]:
    """Yield `count` texts, made by cutting, doubling, swapping and replacing bytes of good ones."""
    source = random.Random(seed)
    good = [PING % text for text, _ in ECHOED.values() if len(text) < 100]
    good += [text for text in MISFITS.values() if len(text) < 100]
    spice = [b'"', b"\\", b"{", b"}", b"[", b"]", b",", b":", b"\x00", b"\n", b"1", b"e", b"-"]
    spice += [b"\\u", b"\\ud800", b"\xff", b"\xc0", b"\xed\xa0\x80", b"NaN", b" ", b".", b"null"]
    for _ in range(count):
        text = bytearray(source.choice(good))
        for _ in range(source.randint(1, 3)):
            place = source.randrange(len(text) + 1)
            kind = source.randrange(4)
            if kind == 0:
                text[place : place + source.randint(1, 3)] = b""
            elif kind == 1:
                text[place:place] = source.choice(spice)
            elif kind == 2:
                text[place : place + 1] = source.choice(spice)
            else:
                text[place:place] = text[place : place + source.randint(1, 8)]
        yield bytes(text)
