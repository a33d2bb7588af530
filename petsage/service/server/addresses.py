"""Whether the addresses to listen on can be had: told in one line, where gunicorn needs eleven.

It only looks; what listens in the end is made by gunicorn.
"""

import errno
import logging
import socket
import time
from collections.abc import Iterable

log = logging.getLogger(__name__)

# An instance that is just being stopped still has the port for a moment.
PATIENCE_SECONDS = 5.0
_LOOK_SECONDS = 0.1


def require_free(addresses: Iterable[object], *, reuse_port: bool) -> None:
    """Wait until each `(host, port)` can be listened on; whatever else is left to the server.

    Where that is not so in the end, the log says what to do, and the process exits with 1.
    """
    last = time.monotonic() + PATIENCE_SECONDS
    for address in addresses:
        if not isinstance(address, tuple):
            continue
        while (fault := _fault(address, reuse_port=reuse_port)) is not None:
            if fault.errno == errno.EADDRINUSE and time.monotonic() < last:
                time.sleep(_LOOK_SECONDS)
                continue
            log.critical(
                "PetSage can't listen on %s, port %d: %s. %s, then start it again.",
                *address[:2],
                fault.strerror,
                _what_to_do(fault.errno),
            )
            raise SystemExit(1)


def _fault(address: tuple[str, int], *, reuse_port: bool) -> OSError | None:
    family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
    try:
        with socket.socket(family) as probe:
            # As the server does: connections that have just ended are in nobody's way.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if reuse_port:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            probe.bind(address)
    except OSError as fault:
        return fault
    except OverflowError:
        return OSError(errno.ERANGE, "There is no such port")
    return None


def _what_to_do(fault: int | None) -> str:
    if fault == errno.ERANGE:
        return "Set --bind to a port up to 65535"
    if fault == errno.EADDRINUSE:
        return "Stop what listens there, or set PORT (or --bind) to another port"
    if fault == errno.EACCES:
        return "Set PORT (or --bind) to a port from 1024 on"
    return "Set PETSAGE_HOST (or --bind) to an address of this machine"
