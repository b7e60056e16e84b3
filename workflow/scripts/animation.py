from importlib import import_module
from typing import TYPE_CHECKING

from shapelens.job import job, spec_of
from shapelens.plots.save import save_animation
from shapelens.plots.shown import Shown
from shapelens.plots.spec import FigureJob

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with job(snakemake):
    spec = spec_of(snakemake, FigureJob)
    module, _, function = spec.draw.partition(":")
    # By name, so that the code digest of an animation follows the module that draws it and no other.
    draw = getattr(import_module(f"shapelens.plots.{module}"), f"{function}_frames")
    save_animation(
        draw(Shown(spec, dict(snakemake.input.items())), spec.display), snakemake.output[0], spec.display.dpi
    )
