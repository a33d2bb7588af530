"""A plain request log for the peers that have none of their own: one line of text each."""

import logging
import os
import sys


def start_request_log() -> bool:
    """Log to stdout where the service would log its requests too; return whether that is so."""
    if os.environ.get("PETSAGE_LOG_LEVEL", "INFO") != "INFO":
        return False
    log = logging.getLogger("bench.request")
    log.addHandler(logging.StreamHandler(sys.stdout))
    log.propagate = False
    log.setLevel(logging.INFO)
    return True
