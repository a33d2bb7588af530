"""The app for any WSGI server, with settings from the environment."""

import os

from petsage import create_app
from petsage.service.settings import load_settings

app = create_app(load_settings(os.environ))
