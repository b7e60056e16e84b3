"""What Snakemake hands to a script, for adapters that tests run without it."""

from types import SimpleNamespace


class Paths(SimpleNamespace):
    """Inputs or outputs by name; looped over, every path, as Snakemake's own are."""

    def __iter__(self):
        for value in vars(self).values():
            yield from [value] if isinstance(value, str) else value

    def __getitem__(self, name):
        return getattr(self, name)

    def get(self, name, default=None):
        return getattr(self, name, default)

    def keys(self):
        return vars(self).keys()

    def items(self):
        return vars(self).items()


class Params(Paths):
    """Parameters by name."""
