"""`python -m cli`: the `desireline` command where it is not on the path."""

from cli.main import main

main()
