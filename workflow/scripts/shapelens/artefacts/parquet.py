"""Per-image rows as Parquet."""

from pathlib import Path
from typing import TYPE_CHECKING

from shapelens.artefacts.writing import atomic_path

if TYPE_CHECKING:
    import pandas as pd


def write_parquet(path: str | Path, table: "pd.DataFrame") -> None:
    """Write a table as Parquet, atomically; equal tables give equal bytes with the same pyarrow.

    Column types are kept; pandas' own metadata, which names its version, is left out.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    arrow = pa.Table.from_pandas(table, preserve_index=False).replace_schema_metadata(None)
    with atomic_path(path) as temporary:
        pq.write_table(arrow, temporary, compression="zstd")
