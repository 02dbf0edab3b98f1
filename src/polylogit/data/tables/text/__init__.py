"""Text columns: from cells to weighted terms."""
