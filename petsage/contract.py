"""The wire: paths, header names, problem codes and messages that both halves hold to.

It imports nothing: the service and the client both know this file, and never each other.
"""

# Routes (each also answers with a trailing slash).
SMOKE_TEST_PATH = "/system/smoke-test"
SMOKE_TEST_V1_PATH = "/api/v1/system/smoke-test"
BACKEND_SMOKE_TEST_PATH = "/api/v1/smoke-test"
LOGGING_SMOKE_TEST_PATH = "/smoke-test"
API_HEALTH_PATH = "/api/v1/health"
SYSTEM_HEALTH_PATH = "/system/health"
LIVE_PATH = "/system/live"
READY_PATH = "/system/ready"
VERSION_PATH = "/system/version"
WELCOME_PATH = "/"
DOCS_PATH = "/docs"
REDOC_PATH = "/redoc"
OPENAPI_PATH = "/openapi.json"

# Headers.
REQUEST_ID_HEADER = "X-Request-ID"
REQUEST_ID_PATTERN = r"[A-Za-z0-9+/=._-]{1,200}"
RELEASE_HEADER = "PetSage-Release"
COMMIT_HEADER = "PetSage-Commit"
INSTANCE_HEADER = "PetSage-Instance"
WORKER_HEADER = "PetSage-Worker"
EXPECT_RELEASE_HEADER = "Expect-Release"
# What the release and commit headers say where no variable tells them.
UNKNOWN_RELEASE = "unknown"
# A commit may be expected by its beginning, of at least so many hex digits.
COMMIT_PREFIX_MIN_DIGITS = 7

# Messages of the 200 answers.
STATUS_OK = "ok"
SMOKE_TEST_MESSAGE = "PetSage system is operational."
BACKEND_SMOKE_TEST_MESSAGE = "PetSage Backend is operational."
BACKEND_SMOKE_TEST_FEATURE = "smoke_test"
LOGGING_SMOKE_TEST_MESSAGE = "PetSage service is running and logging is active."
LOGGING_SMOKE_TEST_RECORD = "PetSage smoke test endpoint executed successfully. Logging verified."
API_HEALTH_MESSAGE = "PetSage API is purring!"
SYSTEM_HEALTH_MESSAGE = "PetSage system is alive and purring!"
WELCOME_MESSAGE = "Welcome to the PetSage API!"
EXAMPLE_PING = "Hello, PetSage!"

JSON_MEDIA_TYPE = "application/json"
PROBLEM_MEDIA_TYPE = "application/problem+json"
PROBLEM_TYPE_PREFIX = "urn:petsage:problem:"

# Every problem by its code: (status, title).
PROBLEMS = {
    "malformed-json": (400, "Malformed JSON"),
    "duplicate-key": (400, "Duplicate key"),
    "invalid-unicode": (400, "Invalid Unicode"),
    "too-deep": (400, "JSON nested too deep"),
    "number-too-long": (400, "Number too long"),
    "incomplete-body": (400, "Incomplete body"),
    "bad-request": (400, "Bad request"),
    "not-found": (404, "Not found"),
    "method-not-allowed": (405, "Method not allowed"),
    "request-timeout": (408, "Request timeout"),
    "release-mismatch": (412, "Release mismatch"),
    "body-too-large": (413, "Body too large"),
    "uri-too-long": (414, "URI too long"),
    "unsupported-media-type": (415, "Unsupported media type"),
    "validation-error": (422, "Validation error"),
    "headers-too-large": (431, "Headers too large"),
    "internal-error": (500, "Internal error"),
    "not-ready": (503, "Not ready"),
    "logging-broken": (503, "Logging broken"),
}

DEFAULT_PORT = 8000

# Limits of what a request may hold.
DEFAULT_MAX_BODY_BYTES = 65_536
MAX_JSON_DEPTH = 64
MAX_NUMBER_CHARACTERS = 1_000
