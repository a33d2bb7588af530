"""gunicorn's settings, each with its reason. GUNICORN_CMD_ARGS and the command line beat them.

gunicorn reads them in the master, so that errors of the environment are reported once.
"""

import os
from pathlib import Path

from petsage.server.worker import GunicornLogger, PetSageWorker
from petsage.service.settings import load_settings

_settings = load_settings(os.environ)

bind = _settings.address
workers = _settings.workers
worker_class = PetSageWorker.with_settings(_settings)
# Threads for views that may block; of the service's own only readiness and the docs.
threads = 16
# Connections are cheap: an idle one takes some kB. Past this the one that idles longest goes.
worker_connections = 4096
# What waits while a worker boots or is busy; the kernel cuts it to net.core.somaxconn.
backlog = 2048

# Longer than the router in front keeps its end (Heroku: 90 s): then only the router closes,
# and none of its requests meets a connection that is closing.
keepalive = 95
# Heroku kills after 30 s; the master takes up to a second to notice that its time is up.
graceful_timeout = 25
# A worker whose loop is stuck for that long is replaced.
timeout = 30
# The heartbeat is written to a file: on a disk, it could wait for that disk.
worker_tmp_dir = "/dev/shm" if Path("/dev/shm").is_dir() else None  # noqa: S108

# A longer request line gets 414, more or longer header lines 431 (docs/server.md). gunicorn's own
# limit on the line is 4,094.
limit_request_line = 8190
limit_request_fields = 100
limit_request_field_size = 8190

# Each worker loads the app itself: SIGHUP then brings in new code.
preload_app = False
# Nothing here asks gunicorn for it, and it would open a socket under $HOME.
control_socket_disable = True
# PETSAGE_TRUSTED_PROXIES alone says whose X-Forwarded-* count.
forwarded_allow_ips = ""
proc_name = "petsage"

# gunicorn's lines are records like any other, under the one level of the log.
logger_class = GunicornLogger
loglevel = "debug" if _settings.log_level == "DEBUG" else _settings.log_level.lower()
