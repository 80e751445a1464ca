"""``python -m lightning_ecinn``, and ``lightning-ecinn``, which is the same."""

import sys

from lightning_ecinn.cli import main


def console() -> None:
    """Run the command line as ``python -m`` does: modules in the current folder are found."""
    sys.path.insert(0, "")
    main()


if __name__ == "__main__":
    main()
