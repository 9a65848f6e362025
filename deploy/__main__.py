"""`python -m deploy` is the `heartwood` command."""

from deploy.cli import main

main()
