"""The doorstep: settings are read from the environment here, or their faults end the process."""

import logging
import sys
import threading
from collections.abc import Mapping
from types import TracebackType

from petsage.service import logs
from petsage.service.settings import Settings, SettingsError

log = logging.getLogger(__name__)


def settings_or_exit(environ: Mapping[str, str]) -> Settings:
    """Return the settings, with the log set up for them.

    Where they have faults, all of them stand in one log line, and the process exits with 1.
    """
    try:
        settings = Settings.from_environ(environ)
    except SettingsError as error:
        logs.install(Settings())
        log.critical(
            "PetSage can't start. Mend the environment, then start it again. %s",
            error,
            extra={"fields": {"faults": error.faults}},
        )
        raise SystemExit(1) from None
    logs.install(settings)
    # Whatever would otherwise be printed in its own form comes as a line like any other.
    logging.raiseExceptions = False
    logging.captureWarnings(True)
    # What no line tells needs no looking up for each record ("Optimization" in the logging HOWTO).
    for fact in ("logThreads", "logProcesses", "logMultiprocessing", "logAsyncioTasks"):
        setattr(logging, fact, False)
    sys.excepthook = _log_uncaught
    sys.unraisablehook = _log_unraisable
    threading.excepthook = _log_uncaught_in_thread
    return settings


def _log_uncaught(
    kind: type[BaseException], error: BaseException, trace: TracebackType | None
) -> None:
    log.critical("An exception was not caught.", exc_info=(kind, error, trace))


def _log_unraisable(unraisable: "sys.UnraisableHookArgs") -> None:
    if unraisable.exc_value is not None:
        log.error(
            "%s.",
            unraisable.err_msg or "An exception could not be raised",
            exc_info=(unraisable.exc_type, unraisable.exc_value, unraisable.exc_traceback),
        )


def _log_uncaught_in_thread(caught: threading.ExceptHookArgs) -> None:
    # A thread may end itself with SystemExit; Python's own hook is silent about that too.
    if caught.exc_value is not None and caught.exc_type is not SystemExit:
        log.critical(
            "An exception was not caught in a thread.",
            exc_info=(caught.exc_type, caught.exc_value, caught.exc_traceback),
        )
