"""docs/any-service.md: each of its lines runs against a server that responds as the doc shows.

A block of the doc that is marked `shell` has the response in a comment, and then the line. (Blocks
marked `sh` are run against PetSage's own service.)
"""

from __future__ import annotations

import re
import shlex
import socket
from urllib.parse import urlsplit

import pytest

from tests.client.runs import petsage
from tests.client.servers import Received, Respond, http, serving
from tests.documents import DOCUMENTS, blocks

pytestmark = pytest.mark.contract

HOST = "https://shop.example"
RELEASE = "v43"
COMMIT = "0f9a3b7c5d1e2f4a6b8c0d9e7f5a3b1c2d4e6f80"
PAGE = DOCUMENTS["docs/any-service.md"]
SHAPES = re.findall(r"^```shell\n# (.+)\n(petsage .+)\n```$", PAGE, re.MULTILINE)
each_shape = pytest.mark.parametrize(("shown", "line"), SHAPES, ids=[line for _, line in SHAPES])


def run(line: str, respond: Respond, *more: str) -> tuple[int, str, set[str]]:
    """Run a line of the doc against this server; return exit code, report and paths asked for."""
    line = line.replace('"$(git rev-parse HEAD)"', COMMIT)
    with serving(respond) as server:
        _, *arguments = shlex.split(line.replace(HOST, server.url))
        done = petsage(*arguments, *more)
        return done.code, done.out + done.err, {request.path for request in server.requests}


def responding(shown: str) -> Respond:
    """Return a server that responds with the JSON, the HTML or the header that the doc shows."""
    if shown[0] in "{<":
        response = http(200, shown.encode())
    else:
        name, _, value = shown.partition(": ")
        response = http(200, b"Welcome!", **{name: value})

    def respond(_request: Received, _connection: socket.socket) -> bytes:
        return response

    return respond


def test_the_doc_has_the_shapes_of_the_field() -> None:
    assert len(SHAPES) == 12
    options = [option for _, line in SHAPES for option in re.findall(r"--release-\w+", line)]
    assert set(options) == {"--release-json", "--release-header", "--release-text"}
    assert len(options) == len(SHAPES)
    # So every line of the pages is run here.
    pages = blocks("shell", PAGE) + blocks("shell", DOCUMENTS["docs/expect-release.md"])
    lines = {line for block in pages for line in block.splitlines() if line.startswith("petsage")}
    assert lines == {line for _, line in SHAPES}


@each_shape
def test_a_line_passes_where_the_release_responds(shown: str, line: str) -> None:
    code, report, paths = run(line, responding(shown))
    assert code == 0, report
    assert paths == {urlsplit(line.split()[2]).path}


@each_shape
def test_a_line_does_not_pass_where_another_release_responds(shown: str, line: str) -> None:
    other = shown.replace("v43", "v42").replace("0f9a3b7", "a11c0de")
    assert other != shown
    code, report, _ = run(line, responding(other), "--wait", "0.5")
    assert code == 4, report


@each_shape
def test_a_line_says_what_is_there_where_no_release_is(shown: str, line: str) -> None:
    code, report, _ = run(line, responding('{"shop": "open"}'), "--wait", "0.5")
    assert code == 9, report
    expected = "content-length" if "--release-header" in line else "shop"
    assert expected in report.lower()
