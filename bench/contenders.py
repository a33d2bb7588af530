"""Who takes part: the service and its peers, each with the command that runs it."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from bench.figures import CONFIG
from bench.traffic import PING
from tests.running import Service, running_service

# One core is the server's, the load comes from the other.
SERVER_CORE = 0
LOAD_CORE = 1


@dataclass(frozen=True)
class Contender:
    """A server and an app.

    Attributes:
        name: as the table calls it.
        command: runs it, on the port in the environment.
        loud: what the command needs on top to log its requests, besides PETSAGE_LOG_LEVEL.
        silent: what it needs to log none.

    """

    name: str
    command: str
    loud: str = ""
    silent: str = ""


OURS = Contender("PetSage", f"{CONFIG} wsgi:app")
UVICORN = Contender(
    "FastAPI on uvicorn",
    "uvicorn bench.peers.fastapi_app:app --port $PORT",
    silent="--no-access-log",
)
ASGI = Contender(
    "FastAPI on gunicorn's asgi worker",
    "gunicorn --worker-class asgi --no-control-socket --bind 127.0.0.1:$PORT"
    " bench.peers.fastapi_app:app",
    loud="--access-logfile -",
)
FLASK = Contender("a bare Flask view", f"{CONFIG} bench.peers.flask_view:app")
FAST = Contender("a bare view behind the same shortcuts", f"{CONFIG} bench.peers.fast_view:app")
STRICT = Contender("the same work without Flask", f"{CONFIG} bench.peers.without_flask:app")
WSGI = Contender("a bare WSGI callable", f"{CONFIG} bench.peers.wsgi_callable:app")
ALL = (OURS, UVICORN, ASGI, FLASK, WSGI)


def command_of(contender: Contender, *, logs: bool, cores: str = str(SERVER_CORE)) -> str:
    """Return the command that runs a contender on some cores, with its request log on or off."""
    options = contender.loud if logs else contender.silent
    return f"taskset --cpu-list {cores} {contender.command} {options}"


@contextmanager
def running(
    contender: Contender, *, logs: bool, workers: int = 1, cores: str = str(SERVER_CORE)
) -> Iterator[Service]:
    """Run a contender."""
    with running_service(
        command_of(contender, logs=logs, cores=cores),
        PETSAGE_LOG_LEVEL="INFO" if logs else "WARNING",
        WEB_CONCURRENCY=str(workers),
    ) as service:
        _require_the_answer(service)
        yield service


def _require_the_answer(service: Service) -> None:
    """See that a contender does the job: the answer of the contract, whoever gives it."""
    request = urllib.request.Request(
        f"{service.url}/system/smoke-test",
        data=PING,
        headers={"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=10) as answer:
        told = json.load(answer)
    assert told.pop("timestamp")
    assert told == {
        "status": "ok",
        "message": "PetSage system is operational.",
        "pong": json.loads(PING)["ping"],
    }
