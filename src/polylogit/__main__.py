"""`python -m polylogit` is the command line."""

from polylogit.cli.app import main

if __name__ == "__main__":
    main()
