"""A table of results as CSV; apart from the other writers, as pandas takes a second to import."""

from __future__ import annotations

import pandas as pd

from unconfound.evaluation.result_table import Table


def table_frame(table: Table) -> pd.DataFrame:
    """Return the values of a table as they are; shares are in [0, 1]."""
    columns = [table.corner, *(column.title for column in table.columns)]
    rows = [[row.name, *(cell.value for cell in row.cells)] for row in table.rows]
    return pd.DataFrame(rows, columns=columns)


def csv_text(table: Table) -> str:
    """Write the values of a table as CSV; a value that is not known is empty."""
    return table_frame(table).to_csv(index=False)
