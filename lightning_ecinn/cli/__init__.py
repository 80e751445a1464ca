"""The command line: `main.main` runs it; what a command does not need is not imported."""
