from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

print(snakemake.params.lines)  # noqa: T201
