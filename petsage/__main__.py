"""`python -m petsage`, and the start of petsage.pyz; says so where the command can't run.

Every Python compiles this file, however old it is.
"""

import sys

PROBLEM = ""
if sys.version_info < (3, 11):  # noqa: UP036 - no installer has checked it for petsage.pyz
    PROBLEM = "Python 3.11 or newer is needed, and this is " + sys.version.split()[0] + "."
elif sys.platform == "win32":
    PROBLEM = "this command runs on Linux and macOS, not on Windows; WSL will do."
if PROBLEM:
    sys.stderr.write("petsage: " + PROBLEM + "\n")
    # That of a usage error. 1, which sys.exit has for a sentence, is a verdict.
    sys.exit(2)

from petsage.client.cli import main  # noqa: E402 - what it imports may not compile before

main()
