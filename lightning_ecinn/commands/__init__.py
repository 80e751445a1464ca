"""Subcommands of the command line, one file each: its settings and its function."""
