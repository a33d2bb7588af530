"""What goes in and what comes out. An unknown member is an error: that is marshmallow's default."""

from marshmallow import Schema, fields

from petsage import __version__, contract

EXAMPLE_TIMESTAMP = "2026-11-21T08:42:53.009378Z"


def _text(
    example: str | None, description: str, *, nullable: bool = False, **metadata: object
) -> fields.String:
    metadata |= {"examples": [example], "description": description}
    return fields.String(required=True, allow_none=nullable, metadata=metadata)


def _constant(value: str, description: str) -> fields.String:
    return _text(value, description, enum=[value])


def _message(value: str) -> fields.String:
    return _constant(value, "The same sentence each time.")


def _timestamp(description: str = "When this was sent: RFC 3339, UTC.") -> fields.String:
    return _text(EXAMPLE_TIMESTAMP, description, format="date-time")


class LiveOut(Schema):
    """The process responds."""

    status = _constant(contract.STATUS_OK, "All is well.")


class SmokeTestIn(Schema):
    """A ping."""

    ping = _text(contract.EXAMPLE_PING, "Any string; it comes back as it is.")


class SmokeTestOut(LiveOut):
    """A ping, echoed."""

    message = _message(contract.SMOKE_TEST_MESSAGE)
    pong = _text(contract.EXAMPLE_PING, "The ping, code point for code point.")
    timestamp = _timestamp()


class BackendSmokeTestOut(LiveOut):
    """The backend is there."""

    message = _message(contract.BACKEND_SMOKE_TEST_MESSAGE)
    feature = _constant(contract.BACKEND_SMOKE_TEST_FEATURE, "Which feature responded.")
    timestamp = _timestamp()


class LoggingSmokeTestOut(LiveOut):
    """A log record was written."""

    message = _message(contract.LOGGING_SMOKE_TEST_MESSAGE)


class ApiHealthOut(LiveOut):
    """The API responds."""

    message = _message(contract.API_HEALTH_MESSAGE)


class SystemHealthOut(LiveOut):
    """The system responds."""

    message = _message(contract.SYSTEM_HEALTH_MESSAGE)


class ReadyIn(Schema):
    """Which checks to leave out."""

    excluded = fields.List(
        fields.String(),
        data_key="exclude",
        load_default=(),
        metadata={"description": "The name of a check to leave out; repeatable."},
    )


class CheckOut(Schema):
    """How a readiness check went."""

    status = _text("ok", "How it went.", enum=["ok", "failed", "timeout"])
    duration_ms = fields.Float(
        required=True,
        metadata={"examples": [0.021], "description": "How long it took, or has taken so far."},
    )


class ReadyOut(LiveOut):
    """Every check passed."""

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

    message = _message(contract.WELCOME_MESSAGE)
    docs = _text(contract.DOCS_PATH, "Where the documentation is, on this host.")
