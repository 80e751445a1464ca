"""Check the types of what is installed, under its installed names, and of the benchmarks.

    python tools/check_types.py [--strict or another argument of mypy]

mypy does not follow setup.cfg's package_dir. So the folders are laid out in build/types as an
installation would lay them, by links, and mypy is run over that; it names the files linked to.
"""

import os
import re
import shutil
import subprocess
import sys
from configparser import ConfigParser
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
TREE = ROOT / "build" / "types"


def installed() -> dict[str, str]:
    """Every folder of the checkout by the package that it is installed as."""
    config = ConfigParser()
    config.read(ROOT / "setup.cfg")
    pairs = config["options"]["package_dir"].strip().splitlines()
    return {name.strip(): folder.strip() for name, folder in (pair.split("=") for pair in pairs)}


def lay_out() -> None:
    """Make the links anew: files come and go."""
    shutil.rmtree(TREE, ignore_errors=True)
    for name, folder in sorted(installed().items()):
        package = TREE.joinpath(*name.split("."))
        package.mkdir(parents=True)
        for path in (ROOT / folder).iterdir():
            (package / path.name).symlink_to(os.path.relpath(path, package))


def original(link: re.Match[str]) -> str:
    """The file that a link leads to, from the root."""
    return str((ROOT / link[0]).resolve().relative_to(ROOT))


def main() -> int:
    """Lay out, check, print."""
    lay_out()
    command = [sys.executable, "-m", "mypy", *sys.argv[1:]]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    prefix = TREE.relative_to(ROOT).as_posix()
    print(re.sub(rf"^{prefix}/[^:]+", original, done.stdout, flags=re.MULTILINE), end="")
    return done.returncode


if __name__ == "__main__":
    sys.exit(main())
