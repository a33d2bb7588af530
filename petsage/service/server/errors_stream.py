"""`wsgi.errors`: the text stream that PEP 3333 gives to apps, each line of it a log record."""

import logging

log = logging.getLogger("wsgi.errors")


class ErrorsStream:
    """Logs what is written to it, line by line."""

    def __init__(self) -> None:
        self._line = ""

    def write(self, text: str) -> int:
        """Log the lines that `text` ends."""
        *lines, self._line = (self._line + text).split("\n")
        for line in lines:
            if line:
                log.error("%s", line)
        return len(text)

    def writelines(self, lines: list[str]) -> None:
        """Log each of `lines`."""
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        """Log what has been written of a line."""
        if self._line:
            line, self._line = self._line, ""
            log.error("%s", line)
