"""Feed damaged files to everything that reads files, and say what broke.

    python tools/fuzz.py [--minutes 10] [--seed 0] [--only READER ...]

Small valid files are changed: bits flipped, cut off, spliced, numbers in them made extreme. A
reader may return or raise a ValueError or an OSError of one sentence, within two seconds and in
bounded memory; anything else is a fault, whose file is kept. Ends with what was tried, and how
often. Needs Linux, and the tests' folder beside this one.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import multiprocessing
import os
import random
import resource
import shutil
import signal
import sys
import tempfile
import time
import traceback
import warnings
from collections.abc import Callable
from pathlib import Path
from zipfile import ZipFile

ROOT = Path(__file__).resolve().parents[1]
SECONDS = 2.0
MEMORY = 2**30
"""Bytes of addresses that a reader may ask for beyond what the process has."""
SLICE = 20.0
"""Seconds that a reader has at a time."""

Reader = Callable[[Path], object]
Sample = Callable[[Path], Path]
"""Writes a valid file (or folder of files, one of which is changed) below a folder."""


def readers() -> dict[str, tuple[Reader, list[Sample]]]:
    """Every reader with the files that it begins from."""
    import lightning_ecinn  # noqa: F401  before tests/ is looked into: it has a folder of this name

    sys.path += [str(ROOT / "tests"), str(ROOT / "tests" / "datamodules")]  # who make small files
    import fuzz_samples

    return fuzz_samples.READERS


def mutated(content: bytes, chance: random.Random) -> bytes:
    """One to four changes of a file's bytes, or of what is in an archive, whose checksums stay."""
    if content.startswith(b"PK") and chance.random() < 0.6:
        return _repacked(content, chance)
    data = bytearray(content)
    for _ in range(chance.randint(1, 4)):
        _MUTATIONS[chance.randrange(len(_MUTATIONS))](data, chance)
    return bytes(data)


def _repacked(content: bytes, chance: random.Random) -> bytes:
    packed = io.BytesIO()
    with ZipFile(io.BytesIO(content)) as archive, ZipFile(packed, "w") as out:
        entries = archive.infolist()
        chosen = chance.choice(entries)
        for entry in entries:
            inside = archive.read(entry)
            entry.extra = b""
            out.writestr(entry, mutated(inside, chance) if entry is chosen else inside)
    return packed.getvalue()


def _flip(data: bytearray, chance: random.Random) -> None:
    if data:
        data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)


def _cut(data: bytearray, chance: random.Random) -> None:
    del data[chance.randint(0, len(data)) :]


def _splice(data: bytearray, chance: random.Random) -> None:
    start, end = sorted(chance.randint(0, len(data)) for _ in range(2))
    place = chance.randint(0, len(data))
    data[place : place + chance.choice((0, end - start))] = data[start:end]


def _length(data: bytearray, chance: random.Random) -> None:
    """Write an extreme number where there may be one."""
    size = chance.choice((1, 2, 4, 8))
    number = chance.choice((0, 1, -1, 2**31 - 1, 2**40, -(2**31), 255)) % 2 ** (8 * size)
    place = chance.randint(0, len(data))
    data[place : place + size] = number.to_bytes(size, chance.choice(("little", "big")))


def _digits(data: bytearray, chance: random.Random) -> None:
    """Replace a number that is written in digits."""
    places = [i for i, byte in enumerate(data[:4096]) if 48 <= byte <= 57]
    if places:
        place = chance.choice(places)
        words = (
            b"-1",
            b"999999999999",
            b"1e400",
            b"nan",
            b"",
            b"\0",
            b'"',
            b"\xff\xfe",
            b"[" * 500,
        )
        data[place : place + 1] = chance.choice(words)


_MUTATIONS = (_flip, _cut, _splice, _length, _digits, _flip)


def fault_of(read: Reader, path: Path) -> str | None:
    """Read a file; what is wrong with the way that the reader took it, or None."""
    start = time.perf_counter()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            read(path)
    except (ValueError, OSError) as error:
        text = str(error)
        if len(text.strip().splitlines()) != 1 or len(text) > 1000:
            return f"{type(error).__name__} of {len(text)} characters: {text[:200]!r}"
        if isinstance(error, UnicodeError):  # a ValueError that no one worded
            return f"{type(error).__name__}: {text[:200]}"
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt):
            raise
        where = traceback.extract_tb(error.__traceback__)[-1]
        return f"{type(error).__name__} at {Path(where.filename).name}:{where.lineno}: {error}"[
            :300
        ]
    seconds = time.perf_counter() - start
    return f"took {seconds:.1f} s" if seconds > SECONDS else None


def work(name: str, seed: int, folder: Path, seconds: float, report: object) -> None:
    """One process: a reader, until its time is over; each trial is announced before it begins."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    read, samples = readers()[name]
    chance = random.Random(seed)
    valid = folder / "valid"
    shutil.rmtree(valid, ignore_errors=True)  # of an earlier turn
    originals = [sample(valid / str(i)) for i, sample in enumerate(samples)]
    contents = [path.read_bytes() for path in originals]
    for path in originals:  # and imports what there is to import
        if fault := _valid_fault(read, path):
            report.send(("fault", f"a valid file: {fault}", path.name))  # type: ignore[attr-defined]
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limit = pages * resource.getpagesize() + MEMORY
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        i = chance.randrange(len(originals))
        content = mutated(contents[i], chance)
        originals[i].write_bytes(content)
        report.send(("try", str(originals[i]), ""))  # type: ignore[attr-defined]
        if fault := fault_of(read, originals[i]):
            kept = folder / f"{hashlib.sha256(content).hexdigest()[:12]}-{originals[i].name}"
            kept.write_bytes(content)
            report.send(("fault", fault, kept.name))  # type: ignore[attr-defined]
        originals[i].write_bytes(contents[i])
    report.send(("end", "", ""))  # type: ignore[attr-defined]


def _valid_fault(read: Reader, path: Path) -> str | None:
    try:
        read(path)
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return fault_of(read, path)


def run(name: str, seed: int, folder: Path, seconds: float) -> tuple[int, dict[str, str]]:
    """Try a reader in a process of its own, which may crash or hang.

    Returns:
        How many files were tried, and each kind of fault with one of its files.
    """
    folder.mkdir(parents=True, exist_ok=True)
    ours, theirs = multiprocessing.Pipe(duplex=False)
    context = multiprocessing.get_context("fork")  # what is imported stays so
    process = context.Process(target=work, args=(name, seed, folder, seconds, theirs), daemon=True)
    process.start()
    theirs.close()
    tried, faults, last, patience = 0, {}, "", 60.0  # valid files first
    while ours.poll(patience):
        try:
            kind, text, file = ours.recv()
        except EOFError:
            process.join()
            faults[f"ended by signal or exit {process.exitcode}"] = _keep(last, folder)
            break
        if kind == "end":
            break
        if kind == "try":
            tried, last, patience = tried + 1, text, 10 * SECONDS
        else:
            faults.setdefault(text, file)
    else:
        faults["hangs"] = _keep(last, folder)
    process.kill()
    process.join()
    return tried, faults


def _keep(path: str, folder: Path) -> str:
    if not path:
        return "none"
    kept = folder / f"killed-{Path(path).name}"
    shutil.copyfile(path, kept)
    return kept.name


def main() -> int:
    """Take turns until the time is over; print what happened."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", nargs="*", metavar="READER", help="some of the readers")
    arguments = parser.parse_args()
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    folder = Path(tempfile.mkdtemp(prefix="fuzz-"))
    names = arguments.only or list(readers())
    tried, faults = dict.fromkeys(names, 0), {name: {} for name in names}
    end, turn = time.monotonic() + 60 * arguments.minutes, 0
    while (left := end - time.monotonic()) > 1:
        name = names[turn % len(names)]
        count, found = run(name, arguments.seed + turn, folder / name, min(SLICE, left))
        tried[name] += count
        faults[name] |= found
        turn += 1
    for name in names:
        print(f"{name}: {tried[name]:,} files, {len(faults[name])} kinds of faults")
        for fault, file in faults[name].items():
            print(f"    {fault} ({folder / name / file})")
    if not any(faults.values()):
        shutil.rmtree(folder)
    return int(any(faults.values()))


if __name__ == "__main__":
    sys.exit(main())
