"""Tidy tables as CSV text: equal tables give equal bytes."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

DECIMALS = 6


def to_csv(frame: "pd.DataFrame") -> str:
    """Return a frame as CSV: floats with six decimals, counts without, undefined empty, Unix line ends."""
    import pandas as pd

    columns = {}
    for name in frame.columns:
        column = frame[name]
        if name == "n":
            columns[name] = ["" if pd.isna(value) else str(round(value)) for value in column]
        elif pd.api.types.is_float_dtype(column):
            columns[name] = ["" if pd.isna(value) else _fixed(float(value)) for value in column]
        else:
            columns[name] = ["" if pd.isna(value) else str(value) for value in column]
    return str(pd.DataFrame(columns).to_csv(index=False, lineterminator="\n"))


def _fixed(value: float) -> str:
    text = f"{value:.{DECIMALS}f}"
    return text.removeprefix("-") if float(text) == 0 else text
