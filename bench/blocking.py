"""The service with two features that block: a readiness check for ever, a view for five seconds."""

import os
import threading
import time

from petsage import create_app
from petsage.service.settings import load_settings

app = create_app(load_settings(os.environ))
app.extensions["petsage"].readiness.add("hung", threading.Event().wait, timeout=1)


@app.route("/block")
def block() -> str:
    """Block, as a slow database does."""
    time.sleep(5)
    return "done"
