"""Tables as people have them: pandas, polars, Arrow and whatever narwhals knows, as one frame.

Only here does anything know that there are other libraries of tables than pandas.
"""

from __future__ import annotations

from typing import Any

import narwhals as nw
import pandas as pd


def as_frame(data: Any) -> pd.DataFrame | None:
    """A pandas frame of an eager table of any library; None where it is no table.

    >>> import pyarrow as pa
    >>> as_frame(pa.table({"a": [1, 2]}))["a"].tolist(), as_frame([[1]])
    ([1, 2], None)
    """
    if isinstance(data, pd.DataFrame):
        return data
    known = nw.from_native(data, eager_only=True, pass_through=True)
    return known.to_pandas() if isinstance(known, nw.DataFrame) else None
