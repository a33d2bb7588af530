"""`python -m petsage`: the command, where its script is not on the PATH."""

from petsage.client.cli import main

main()
