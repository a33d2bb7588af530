"""Names that resolve as a test wants, for a `petsage` in a process of its own."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from tests.client.runs import ROOT

RESOLVER = Path(__file__).parent / "resolver"


class Names:
    """A file of names and addresses; `environment` makes a run read it instead of asking DNS."""

    def __init__(self, path: Path) -> None:
        self._path = path
        path.touch()

    @property
    def environment(self) -> dict[str, str]:
        return {
            "PYTHONPATH": os.pathsep.join([str(RESOLVER), str(ROOT)]),
            "TEST_HOSTS": str(self._path),
        }

    def set(self, name: str, addresses: Iterable[str]) -> None:
        """Let this be the only name, in one step: a run may read at any moment."""
        fresh = self._path.with_suffix(".new")
        fresh.write_text("".join(f"{address} {name}\n" for address in addresses))
        fresh.replace(self._path)
