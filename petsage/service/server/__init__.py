"""How gunicorn runs the service: its settings, and a worker that hostile clients cannot stop."""
