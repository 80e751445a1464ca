"""Commands in several processes that torchrun seems to have started, forked from one interpreter.

The script starts five of them in the time of one: `python forked.py plan.json`, where the plan is a
list of [number of processes, [words of a command, ...]]. Nothing that fails is passed over.
"""

import json
import os
import signal
import socket
import sys
import time
import traceback

from pytorch_lightning.utilities import rank_zero_only

from lightning_ecinn.cli.main import main

PATIENCE = 300
"""Seconds that the commands of one entry may take, on a machine that does much else."""


def run(world, commands):
    """Fork, and wait for all; a SystemExit says what failed or hung."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    left = {}
    for rank in range(world):
        if (process := os.fork()) == 0:
            os._exit(work(rank, world, port, commands))
        left[process] = rank
    end, failed = time.monotonic() + PATIENCE, []
    try:
        while left and not failed and time.monotonic() < end:
            process, status = os.waitpid(-1, os.WNOHANG)
            if process:
                failed += [left[process]] if status else []
                del left[process]
            time.sleep(0.02)
    finally:  # also where this process is told to end
        for process in left:
            os.kill(process, signal.SIGKILL)
    if left or failed:
        raise SystemExit(f"of {world} processes {failed} failed, {[*left.values()]} did not end")


def work(rank, world, port, commands):
    """What one process does, one command after the other in one process group."""
    more = []
    if world > 1:
        values = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": world, "LOCAL_WORLD_SIZE": world}
        values |= {"GROUP_RANK": 0, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
        values["TORCHELASTIC_RUN_ID"] = "forked"
        os.environ.update({name: str(value) for name, value in values.items()})
        rank_zero_only.rank = rank  # it is found out when Lightning is imported
        more = [f"--trainer.devices={world}", "--trainer.strategy=ddp"]
    try:
        for words in commands:
            main([*words, *more])
    except BaseException:
        traceback.print_exc()
        return 1
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
    return 0


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    with open(sys.argv[1]) as file:
        for world, commands in json.load(file):
            run(world, commands)
