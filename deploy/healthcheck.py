"""The image's HEALTHCHECK: exits 0 where the service is alive, else 1. Docker knows no other."""

from __future__ import annotations

import http.client
import os
import sys

LIVE_PATH = "/system/live"
TIMEOUT_SECONDS = 2.0


def is_alive() -> bool:
    """Return whether the process responds. No proxy is asked, as urllib would."""
    host = os.environ.get("PETSAGE_HOST") or "127.0.0.1"
    connection = http.client.HTTPConnection(host, int(os.environ["PORT"]), timeout=TIMEOUT_SECONDS)
    try:
        connection.request("GET", LIVE_PATH)
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


if __name__ == "__main__":
    sys.exit(0 if is_alive() else 1)
