"""What goes in and what comes out. What goes in is strict: an unknown member is an error."""

from marshmallow import RAISE, Schema, fields

from petsage import __version__
from petsage.contract import (
    API_HEALTH_MESSAGE,
    BACKEND_SMOKE_TEST_FEATURE,
    BACKEND_SMOKE_TEST_MESSAGE,
    DOCS_PATH,
    EXAMPLE_PING,
    LOGGING_SMOKE_TEST_MESSAGE,
    SMOKE_TEST_MESSAGE,
    STATUS_OK,
    SYSTEM_HEALTH_MESSAGE,
    WELCOME_MESSAGE,
)

EXAMPLE_TIMESTAMP = "2026-11-21T08:42:53.009378Z"


def _text(example: str | None, description: str, *, nullable: bool = False) -> fields.String:
    return fields.String(
        required=True,
        allow_none=nullable,
        metadata={"examples": [example], "description": description},
    )


def _constant(value: str, description: str) -> fields.String:
    return fields.String(
        required=True,
        metadata={"enum": [value], "examples": [value], "description": description},
    )


def _message(value: str) -> fields.String:
    return _constant(value, "The same sentence each time.")


def _status() -> fields.String:
    return _constant(STATUS_OK, "All is well.")


def _timestamp(description: str = "When this was sent: RFC 3339, UTC.") -> fields.String:
    return fields.String(
        required=True,
        metadata={
            "format": "date-time",
            "examples": [EXAMPLE_TIMESTAMP],
            "description": description,
        },
    )


class SmokeTestIn(Schema):
    """A ping."""

    class Meta:
        """Strict."""

        unknown = RAISE

    ping = _text(EXAMPLE_PING, "Any string; it comes back as it is.")


class SmokeTestOut(Schema):
    """A ping, echoed."""

    status = _status()
    message = _message(SMOKE_TEST_MESSAGE)
    pong = _text(EXAMPLE_PING, "The ping, code point for code point.")
    timestamp = _timestamp()


class BackendSmokeTestOut(Schema):
    """The backend is there."""

    status = _status()
    message = _message(BACKEND_SMOKE_TEST_MESSAGE)
    feature = _constant(BACKEND_SMOKE_TEST_FEATURE, "Which feature responded.")
    timestamp = _timestamp()


class LoggingSmokeTestOut(Schema):
    """A log record was written."""

    status = _status()
    message = _message(LOGGING_SMOKE_TEST_MESSAGE)


class ApiHealthOut(Schema):
    """The API responds."""

    status = _status()
    message = _message(API_HEALTH_MESSAGE)


class SystemHealthOut(Schema):
    """The system responds."""

    status = _status()
    message = _message(SYSTEM_HEALTH_MESSAGE)


class LiveOut(Schema):
    """The process responds."""

    status = _status()


class ReadyIn(Schema):
    """Which checks to leave out."""

    class Meta:
        """Strict."""

        unknown = RAISE

    excluded = fields.List(
        fields.String(),
        data_key="exclude",
        load_default=(),
        metadata={"description": "The name of a check to leave out; repeatable."},
    )


class CheckOut(Schema):
    """How a readiness check went."""

    status = fields.String(
        required=True,
        metadata={
            "enum": ["ok", "failed", "timeout"],
            "examples": ["ok"],
            "description": "How it went.",
        },
    )
    duration_ms = fields.Float(
        required=True,
        metadata={"examples": [0.021], "description": "How long it took, or has taken so far."},
    )


class ReadyOut(Schema):
    """Every check passed."""

    status = _status()
    checks = fields.Dict(
        required=True,
        keys=fields.String(),
        values=fields.Nested(CheckOut),
        metadata={
            "description": "Each registered check by its name.",
            "examples": [{"logging": {"status": "ok", "duration_ms": 0.021}}],
        },
    )


class VersionSourceOut(Schema):
    """Which environment variables named the release and the commit."""

    release = _text("PETSAGE_RELEASE", "The variable, or null.", nullable=True)
    commit = _text("PETSAGE_COMMIT", "The variable, or null.", nullable=True)


class VersionOut(Schema):
    """Which release responds. What is not disclosed, or not known, is null."""

    name = _constant("petsage", "The name of the service.")
    version = _text(__version__, "The version of the petsage package.")
    release = _text("v43", "The release that responds.", nullable=True)
    commit = _text(
        "8c5a1f0e2d3b4c5d6e7f8091a2b3c4d5e6f70819", "The commit of the release.", nullable=True
    )
    source = fields.Nested(
        VersionSourceOut,
        required=True,
        allow_none=True,
        metadata={"description": "Which variables named them."},
    )
    instance = _text("web.1", "Which instance responds.", nullable=True)
    worker = _text("9f86d081884c", "Which worker process responds; random.")
    started_at = _timestamp("When the worker began.")


class WelcomeOut(Schema):
    """A welcome."""

    message = _message(WELCOME_MESSAGE)
    docs = _text(DOCS_PATH, "Where the documentation is, on this host.")
