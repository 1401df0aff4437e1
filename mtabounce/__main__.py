"""Lets ``python -m mtabounce`` be the command."""

from mtabounce.cli import main

main()
