"""Trainings of two processes, some stopped by a signal to the second; see `forked`.

`python stopped_twice.py plan.json`, where the plan is a list of [words, method, call]: the signal
comes in the so many-th call of IBINN's method, if one is named.
"""

import json
import os
import signal
import sys

import forked

from lightning_ecinn.training import IBINN

command = forked.main


def main(words):
    """Run the command, which is to be stopped where `--stop` says."""
    *words, more, world, strategy = words
    method, _, number = more.removeprefix("--stop=").partition(":")
    if not method:
        return command([*words, world, strategy])
    original, calls = getattr(IBINN, method), []

    def calling(self, *args):
        calls.append(None)
        if len(calls) == int(number) + 1 and self.global_rank == 1:
            os.kill(os.getpid(), signal.SIGTERM)
        return original(self, *args)

    setattr(IBINN, method, calling)
    status = 0
    try:
        command([*words, world, strategy])
    except SystemExit as stop:
        status = stop.code
    finally:
        setattr(IBINN, method, original)
    if status != 143:
        raise AssertionError(f"it ended with {status}")


if __name__ == "__main__":
    forked.main = main
    with open(sys.argv[1]) as file:
        forked.run(2, [[*words, f"--stop={stop}"] for words, stop in json.load(file)])
