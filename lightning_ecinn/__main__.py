"""``python -m lightning_ecinn``, and ``lightning-ecinn``, which is the same."""

import os
import signal
import sys
from typing import NoReturn

from lightning_ecinn import __version__
from lightning_ecinn.usage import answer_at_once


def console() -> None:
    """Run the command line as ``python -m`` does: modules in the current folder are found."""
    sys.path.insert(0, "")
    run()


def run() -> None:
    """Run the command line; what goes wrong before it is there is said without its help."""
    if signal.getsignal(signal.SIGINT) == signal.default_int_handler:
        signal.signal(signal.SIGINT, _leave)  # imports take seconds
    try:
        os.getcwd()
    except FileNotFoundError:
        sys.exit("error: the current folder was deleted: change to one that is there.")
    if answer := answer_at_once(sys.argv[1:], __version__):
        said, status = answer
        print(said, file=sys.stderr if status else sys.stdout)
        sys.exit(status)
    from lightning_ecinn.cli.main import main

    main()


def _leave(*_: object) -> NoReturn:
    os.write(2, b"\nStopped by SIGINT: nothing was begun.\n")
    os._exit(130)


if __name__ == "__main__":
    run()
