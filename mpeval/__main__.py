"""`python -m mpeval`."""

from mpeval.cli import main

main()
