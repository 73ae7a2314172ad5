"""The `linnet` command, run as its users run it."""
