"""The smoke test as flask-smorest's quickstart has it: schema classes, a session, no shortcuts."""

from datetime import UTC, datetime
from typing import Any

import marshmallow as ma
from flask import Flask
from flask_smorest import Api, Blueprint

app = Flask(__name__)
app.config |= {"API_TITLE": "Naive", "API_VERSION": "1", "OPENAPI_VERSION": "3.1.0"}
blueprint = Blueprint("smoke_test", __name__)


class SmokeTestIn(ma.Schema):
    ping = ma.fields.String(required=True)


class SmokeTestOut(ma.Schema):
    status = ma.fields.String()
    message = ma.fields.String()
    pong = ma.fields.String()
    timestamp = ma.fields.DateTime()


@blueprint.route("/system/smoke-test", methods=["POST"])
@blueprint.arguments(SmokeTestIn)
@blueprint.response(200, SmokeTestOut)
def smoke_test(body: dict[str, str]) -> dict[str, Any]:
    return {
        "status": "ok",
        "message": "PetSage system is operational.",
        "pong": body["ping"],
        "timestamp": datetime.now(UTC),
    }


Api(app).register_blueprint(blueprint)
