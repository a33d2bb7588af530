"""The smoke test by FastAPI and pydantic: the same route, the same strictness, the same answer."""

from datetime import UTC, datetime
from typing import Literal

from fastapi import FastAPI
from pydantic import BaseModel, ConfigDict, Field, StrictStr

app = FastAPI()


class SmokeTestIn(BaseModel):
    model_config = ConfigDict(extra="forbid")

    ping: StrictStr


class SmokeTestOut(BaseModel):
    status: Literal["ok"] = "ok"
    message: str = "PetSage system is operational."
    pong: str
    timestamp: datetime = Field(default_factory=lambda: datetime.now(UTC))


@app.post("/system/smoke-test")
async def smoke_test(body: SmokeTestIn) -> SmokeTestOut:
    return SmokeTestOut(pong=body.ping)
