"""Write lightning_ecinn/cli/known.json again, after an option, a type or a docstring has changed.

python tools/write_known.py
"""

import json

from lightning_ecinn.cli.known import FILE
from lightning_ecinn.cli.schema import make_schema

if __name__ == "__main__":
    FILE.write_text(json.dumps(make_schema(), indent=1) + "\n")
    print(f"{FILE}: {FILE.stat().st_size:,} bytes")
