"""The doorstep of any WSGI server: the one place where the app meets the environment."""

import os

from petsage import create_app
from petsage.service.settings import Settings

app = create_app(Settings.from_environ_or_exit(os.environ))
