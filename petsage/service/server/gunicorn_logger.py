"""gunicorn's own lines, as records of the one log that everything else goes to."""

import logging
from typing import Any

from gunicorn.glogging import Logger


class GunicornLogger(Logger):  # type: ignore[misc]
    """Hands gunicorn's lines on to the root logger; opens no file and no handler of its own."""

    def setup(self, cfg: Any) -> None:
        """Take the level from gunicorn's settings; where records go is the log's own affair."""
        self.cfg = cfg
        self.error_log.setLevel(self.LOG_LEVELS.get(cfg.loglevel.lower(), logging.INFO))
        self.error_log.propagate = True
        self.access_log.disabled = True

    @property
    def access_log_enabled(self) -> bool:
        """Never: the app writes the one line of each request, whatever the platform asks for."""
        return False

    def access(self, resp: Any, req: Any, environ: Any, request_time: Any) -> None:
        """Log nothing: see `access_log_enabled`."""

    def reopen_files(self) -> None:
        """Do nothing on SIGUSR1: there is no file."""
