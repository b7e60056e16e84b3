"""What makes Snakemake answer sooner."""

from typing import Any

from snakemake.persistence import PersistenceBase

PLAIN = (type(None), bool, int, float, str)


def spare_pandas() -> None:
    """Let Snakemake compare plain parameters without importing pandas, which takes it longer than all the rest.

    Snakemake 9 imports pandas before it looks at any parameter, in case it is a table. What it computes stays the same,
    for tables too. Where a Snakemake has no such function, nothing is done.
    """
    original = getattr(PersistenceBase, "_serialize_param_pandas", None)
    if original is None or getattr(original, "spares_pandas", False):
        return

    def serialize(self: Any, value: Any) -> Any:
        return self._serialize_param_builtin(value) if isinstance(value, PLAIN) else original(self, value)

    serialize.spares_pandas = True  # type: ignore[attr-defined]
    PersistenceBase._serialize_param_pandas = serialize
