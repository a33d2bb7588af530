"""The OpenAPI document: what the routes say of themselves, completed with their errors."""

from typing import Any

from flask import Flask
from flask_smorest import Api

from petsage import __version__


class StrictApi(Api):
    """A flask-smorest Api for an app that has its own handlers of errors."""

    def __init__(self, app: Flask) -> None:
        super().__init__(
            app,
            spec_kwargs={
                "title": "PetSage API",
                "version": __version__,
                "openapi_version": "3.1.0",
            },
        )

    def handle_http_exception(self, error: Any) -> Any:
        """Leave errors to the app."""
        return error
