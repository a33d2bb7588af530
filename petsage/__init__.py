"""PetSage: deploy diagnostics, a service that names its release and a client that proves it.

Importing this package loads no Flask; `create_app` does, when it is first asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from petsage.service.app import create_app as create_app

__version__ = "2.0.0"
__all__ = ["__version__", "create_app"]


def __getattr__(name: str) -> Any:
    if name == "create_app":
        from petsage.service.app import create_app

        return create_app
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
