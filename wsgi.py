"""The doorstep of any WSGI server: the app, with settings from the environment."""

import os

from petsage import create_app
from petsage.service.doorstep import settings_or_exit

app = create_app(settings_or_exit(os.environ))
