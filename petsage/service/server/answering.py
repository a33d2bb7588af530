"""How an app is called for one connection: right away on the event loop, or in a thread.

A thread never touches the connection: what it sends and says goes through the loop.
"""

from __future__ import annotations

import logging
from io import BytesIO
from threading import Event
from typing import TYPE_CHECKING

from werkzeug.exceptions import RequestEntityTooLarge

from petsage.contract import PROBLEMS
from petsage.service.json_logs import RequestContext, current_request
from petsage.service.middleware import REQUEST_ID_KEY, request_id_of, trace_id_of
from petsage.service.server.answer import Answer

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

    from _typeshed.wsgi import WSGIApplication

    from petsage.service.server.connections import Service
    from petsage.service.server.head import Environ, RefusedError

log = logging.getLogger(__name__)


def answer_at_once(
    service: Service,
    app: WSGIApplication,
    environ: Environ,
    transport: asyncio.WriteTransport,
    *,
    date: str,
    keep_alive: bool,
) -> bool:
    """Call an app that never waits; return whether the connection may go on."""
    answer = Answer(transport.write, date=date, keep_alive=keep_alive, at_once=True)
    try:
        answer.run(app, environ)
    # Not Exception alone: a view may also end its thread, or be cancelled.
    except BaseException as fault:
        app = _problem_of(fault, service, environ)
        if answer.begun:
            return False
        answer = Answer(transport.write, date=date, keep_alive=keep_alive, at_once=True)
        answer.run(app, environ)
    return answer.keep_alive


def answer_refusal(
    service: Service,
    refusal: RefusedError,
    base: Environ,
    transport: asyncio.WriteTransport,
    *,
    date: str,
) -> None:
    """Answer what the app never sees. What is not known of the request is a dash in the log.

    `base` holds what is known of a request that can't be read, its method too.
    """
    environ = refusal.environ or base | {
        "REQUEST_URI": "-",
        "PATH_INFO": "",
        "QUERY_STRING": "",
        "SERVER_PROTOCOL": "HTTP/1.1",
    }
    environ["wsgi.input"] = BytesIO()
    app = service.problem(refusal.code, refusal.detail)
    answer_at_once(service, app, environ, transport, date=date, keep_alive=False)


def _problem_of(fault: BaseException, service: Service, environ: Environ) -> WSGIApplication:
    """Return what answers in the stead of an app that has failed."""
    if isinstance(fault, RequestEntityTooLarge):
        # An app that knows nothing of werkzeug has read what was not received.
        return service.problem("body-too-large", str(fault.description))
    # The app may have been past the point where the request's id is known to its log.
    request_id = environ.setdefault(REQUEST_ID_KEY, request_id_of(environ))
    token = current_request.set(RequestContext(request_id, trace_id_of(environ)))
    log.error("The app failed.", exc_info=fault)
    current_request.reset(token)
    return service.problem("internal-error", PROBLEMS["internal-error"].detail)


class ThreadedAnswer:
    """One answer that is made in a thread, and how it gets to the client from there.

    Args:
        done: told on the loop whether the connection may go on. Never told where it is gone.

    """

    def __init__(
        self,
        service: Service,
        loop: asyncio.AbstractEventLoop,
        transport: asyncio.WriteTransport,
        done: Callable[[bool], None],
    ) -> None:
        self._service = service
        self._loop = loop
        self._transport = transport
        self._done = done
        self._writable = True
        self._room = Event()
        self._room.set()

    def pause(self) -> None:
        """Have the thread wait before what it sends next, until `resume`.

        Not after what it has sent last: with its work done, no slow client keeps a thread.
        """
        self._writable = False

    def resume(self) -> None:
        """Have the thread go on, be it because there is room again or nobody to send to."""
        self._writable = True
        self._room.set()

    def run(self, environ: Environ, date: str, keep_alive: bool) -> None:
        """Make the answer, in a thread."""
        if self._transport.is_closing():
            return
        answer = Answer(self._send, date=date, keep_alive=keep_alive, at_once=False)
        try:
            answer.run(self._service.app, environ)
        except _ClientGoneError:
            return
        except BaseException as fault:
            app = _problem_of(fault, self._service, environ)
            if not answer.begun:
                self._loop.call_soon_threadsafe(self._fail, app, environ, date, keep_alive)
                return
            # An answer that was cut short must not look whole, nor be followed by another.
            self._loop.call_soon_threadsafe(self._transport.abort)
        else:
            self._loop.call_soon_threadsafe(self._done, answer.keep_alive)

    def _send(self, data: bytes) -> None:
        self._room.wait()
        if self._transport.is_closing():
            raise _ClientGoneError
        self._room.clear()
        self._loop.call_soon_threadsafe(self._write, data)

    def _write(self, data: bytes) -> None:
        if not self._transport.is_closing():
            self._transport.write(data)
        if self._writable or self._transport.is_closing():
            self._room.set()

    def _fail(self, app: WSGIApplication, environ: Environ, date: str, keep_alive: bool) -> None:
        if not self._transport.is_closing():
            self._done(
                answer_at_once(
                    *(self._service, app, environ, self._transport),
                    date=date,
                    keep_alive=keep_alive,
                )
            )


class _ClientGoneError(Exception):
    """Nobody is there to take the rest of an answer."""
