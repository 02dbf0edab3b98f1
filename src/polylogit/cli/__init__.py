"""The command line: one file per command, and the options that they share."""

from polylogit.cli.app import app, main

__all__ = ["app", "main"]
