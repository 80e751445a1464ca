"""Install a built wheel (or sdist) as a user would, in a clean environment, and use it.

    python tools/try_wheel.py dist/NAME.whl [--python python3.13]

The environment is deleted afterwards: about 6 GB, and several minutes.
"""

from __future__ import annotations

import argparse
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

_EXPLAIN = """
from lightning_ecinn import MNIST, Explainer
images, labels, _ = MNIST(source="sample").dataset("test")[[0]]
cf = Explainer.from_checkpoint("pretrained:mnist").explain(images, target=3)
print("explained", int(labels), "as", int(cf.target), bool(cf.certificate.holds))
"""


def run(*command: str | Path, cwd: Path) -> str:
    """Run a command away from this checkout; what it printed, or an end with that."""
    words = list(map(str, command))
    print(f"==> {shlex.join(words)}", flush=True)
    cleared = ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV")
    environment = {name: value for name, value in os.environ.items() if name not in cleared}
    environment |= {"WANDB_MODE": "offline", "MPLBACKEND": "agg"}
    done = subprocess.run(
        words,
        cwd=cwd,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    if done.returncode:
        sys.exit(f"{done.stdout}\nerror: this ended with {done.returncode}: {shlex.join(words)}")
    return done.stdout


def install(archive: Path, python: str, folder: Path, pip_args: list[str]) -> Path:
    """Make an environment in a folder and install the archive into it; where its programs are."""
    run(python, "-m", "venv", folder / "env", cwd=folder)
    binaries = folder / "env" / "bin"
    run(binaries / "python", "-m", "pip", "install", *pip_args, archive, cwd=folder)
    print(run(binaries / "python", "-m", "pip", "check", cwd=folder), end="")
    return binaries


def use(binaries: Path, version: str, folder: Path) -> None:
    """Ask for the version, train, explain one image: in a folder where nothing is."""
    folder.mkdir()
    said = run(binaries / "lightning-ecinn", "--version", cwd=folder).strip()
    if said != f"lightning_ecinn {version}":
        sys.exit(f"error: the version is {said!r}: {version} was expected.")
    run(binaries / "python", "-m", "lightning_ecinn", "fit", "--config", "smoke.yaml", cwd=folder)
    if not list(folder.glob("runs/**/best.ckpt")):
        sys.exit(f"error: fit left no best.ckpt below {folder / 'runs'}.")
    said = run(binaries / "python", "-c", _EXPLAIN, cwd=folder)
    if "explained 7 as 3 True" not in said:
        sys.exit(f"error: a certified counterfactual was expected, not this:\n{said}")


def archive_version(path: Path) -> str:
    """The version in the name of an archive: NAME-VERSION-TAGS.whl or NAME-VERSION.tar.gz."""
    return path.name.removesuffix(".tar.gz").split("-")[1]


def main() -> None:
    """Read the words, install, use, say how it went."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("archive", type=Path, help="the wheel or sdist")
    parser.add_argument("--python", default=sys.executable, help="the interpreter (this one)")
    parser.add_argument("--pip_args", default="", help='more for pip install: "-c FILE"')
    words = parser.parse_args()
    if not words.archive.is_file():
        parser.error(f"there is no file {words.archive}: `make dist` builds one.")
    if (python := shutil.which(words.python)) is None:
        parser.error(f"there is no interpreter {words.python}: name one with --python path.")
    archive, python = words.archive.resolve(), os.path.abspath(python)
    with tempfile.TemporaryDirectory(prefix="try_wheel-") as name:
        folder = Path(name)
        binaries = install(archive, python, folder, shlex.split(words.pip_args))
        use(binaries, archive_version(archive), folder / "empty")
    print(f"{archive.name}: installs, trains and explains with {python}")


if __name__ == "__main__":
    main()
