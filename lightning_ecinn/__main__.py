"""``python -m lightning_ecinn``."""

from lightning_ecinn.cli import main

if __name__ == "__main__":
    main()
