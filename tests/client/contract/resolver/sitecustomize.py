"""Names come from the file `TEST_HOSTS`, in the form of /etc/hosts, which may change at any time.

Python loads this module by itself where its folder is in PYTHONPATH.
"""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import Any

_real = socket.getaddrinfo


def _getaddrinfo(
    host: Any,
    port: Any,
    family: int = 0,
    type: int = 0,  # noqa: A002 - callers name it so
    proto: int = 0,
    flags: int = 0,
) -> list[Any]:
    try:
        return _real(host, port, family, type, proto, flags | socket.AI_NUMERICHOST)
    except socket.gaierror as no_address:
        if flags & socket.AI_NUMERICHOST:
            raise
        found: list[Any] = []
        for line in Path(os.environ["TEST_HOSTS"]).read_text().splitlines():
            address, name = line.split()
            wanted = socket.AF_INET6 if ":" in address else socket.AF_INET
            if name == host and family in (0, wanted):
                found += _real(address, port, wanted, type, proto, socket.AI_NUMERICHOST)
        if not found:
            raise socket.gaierror(socket.EAI_NONAME, "Name not known") from no_address
        return found


socket.getaddrinfo = _getaddrinfo
