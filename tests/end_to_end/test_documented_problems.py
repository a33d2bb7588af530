"""The problems that the server itself finds are answered as the document shows them."""

import http.client
import json
from collections.abc import Iterator
from typing import Any

import pytest
from petsage.service.docs.catalogue import CATALOGUE, EXAMPLE_REQUEST_ID, example_of

from petsage.contract import PROBLEMS
from tests.running import Service, running_service
from tests.service.test_openapi import PROVOKED as PROVOKED_IN_THE_APP

HOST = b"Host: petsage\r\n"
POST = b"POST /system/smoke-test HTTP/1.1\r\n" + HOST + b"Content-Type: application/json\r\n"
# What to send, and whether to say that nothing more comes.
PROVOKED = {
    "incomplete-body": (POST + b"Content-Length: 10\r\n\r\n{", True),
    "request-timeout": (POST + b"Content-Length: 10\r\n\r\n{", False),
    "uri-too-long": (b"GET /" + b"a" * 9_000 + b" HTTP/1.1\r\n" + HOST + b"\r\n", False),
    "headers-too-large": (
        b"GET / HTTP/1.1\r\n" + HOST + b"X-Long: " + b"a" * 9_000 + b"\r\n\r\n",
        False,
    ),
}


@pytest.fixture(scope="module")
def service() -> Iterator[Service]:
    with running_service() as service:
        yield service


def answer_to(service: Service, sent: bytes, *, ended: bool) -> tuple[int, str, dict[str, Any]]:
    with service.connect() as connection:
        connection.sendall(sent)
        if ended:
            connection.shutdown(1)
        answer = http.client.HTTPResponse(connection)
        answer.begin()
        return answer.status, answer.headers["Content-Type"], json.loads(answer.read())


@pytest.mark.parametrize("code", PROVOKED)
def test_each_example_of_a_problem_is_what_the_server_answers(service: Service, code: str) -> None:
    sent, ended = PROVOKED[code]
    status, content_type, body = answer_to(service, sent, ended=ended)
    problem = CATALOGUE[code].problem
    assert (status, content_type) == (problem.status, "application/problem+json")
    assert body | {"request_id": EXAMPLE_REQUEST_ID} == example_of(problem)


def test_no_example_of_a_problem_goes_untried() -> None:
    assert PROVOKED.keys() | PROVOKED_IN_THE_APP.keys() == PROBLEMS.keys()
