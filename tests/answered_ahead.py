"""What is answered from known.json, which counts only beside the versions that it was made with."""

import pytest

from lightning_ecinn.cli.known import known

answered_ahead = pytest.mark.skipif(
    known() is None,
    reason="known.json counts only beside the versions of Lightning and jsonargparse that it was "
    "written with: run python tools/write_known.py",
)
