"""The HTTP server: a gunicorn worker on an event loop, for the service or any other WSGI app."""
