"""What every table of the benchmarks must be."""

import math


def check_tables(tables):
    for table in tables:
        assert table.rows
        for row in table.rows:
            assert len(row) == len(table.columns)
            numbers = [value for value in row if isinstance(value, float)]
            assert numbers
            assert all(math.isfinite(value) for value in numbers)
