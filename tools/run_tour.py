"""Run experiments/tour.ipynb from the top and write what its cells show into it.

python tools/run_tour.py
"""

import os
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest.mock import patch

import nbformat
from nbclient import NotebookClient

from lightning_ecinn.whole_files import write_whole

TOUR = Path(__file__).parents[1] / "experiments" / "tour.ipynb"
KERNEL = {"display_name": "Python 3", "language": "python", "name": "python3"}


def executed(notebook, folder):
    """A notebook's cells run in order, in an empty folder where all that they write lies, too.

    Raises:
        CellExecutionError: a cell failed.
    """
    own = {
        "IPYTHONDIR": "ipython",
        "JUPYTER_RUNTIME_DIR": "jupyter",
        "TMPDIR": "temporary",
        "TORCHINDUCTOR_CACHE_DIR": "torch",  # else a folder of PyTorch's in the temporary one
    }
    places = {name: Path(folder, place) for name, place in own.items()}
    for place in places.values():
        place.mkdir()
    work = Path(folder, "work")
    work.mkdir()
    quiet = {"PYDEVD_DISABLE_FILE_VALIDATION": "1"}  # the kernel's advice to who debugs it
    environment = quiet | {name: str(place) for name, place in places.items()}
    client = NotebookClient(
        notebook,
        timeout=None,
        kernel_name="python3",
        resources={"metadata": {"path": str(work)}},
        record_timing=False,
        coalesce_streams=True,
        extra_arguments=["--log-level=ERROR"],
    )
    with patch.dict(os.environ, environment):  # who looks for kernels makes IPython's folder, too
        return client.execute()


def normalised(notebook):
    """The same without what differs from machine to machine: versions, and cells' own metadata."""
    language = {"name": "python"}
    notebook.metadata = nbformat.from_dict({"kernelspec": KERNEL, "language_info": language})
    for number, cell in enumerate(notebook.cells):
        cell.id, cell.metadata = f"cell-{number}", nbformat.from_dict({})
        for output in cell.get("outputs", []):
            output.get("metadata", {}).clear()
    return notebook


def main():
    """Run it, and write it again if every cell did."""
    notebook = nbformat.read(TOUR, 4)
    with TemporaryDirectory() as folder:
        executed(notebook, folder)
    with write_whole(TOUR) as file:
        file.write((nbformat.writes(normalised(notebook), indent=1) + "\n").encode())
    print(f"{TOUR}: {TOUR.stat().st_size:,} bytes", file=sys.stderr)


if __name__ == "__main__":
    main()
