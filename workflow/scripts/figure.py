from importlib import import_module
from typing import TYPE_CHECKING

from shapelens.job import job, spec_of
from shapelens.plots.save import SHEET_WIDTH, save_figure
from shapelens.plots.shown import Shown
from shapelens.plots.spec import FigureJob

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with job(snakemake):
    spec = spec_of(snakemake, FigureJob)
    module, _, function = spec.draw.partition(":")
    # By name, so that the code digest of a figure follows the module that draws it and no other.
    draw = getattr(import_module(f"shapelens.plots.{module}"), function)
    figure = draw(Shown(spec, dict(snakemake.input.items())), spec.display)
    max_width = SHEET_WIDTH if spec.sheet else None
    save_figure(figure, snakemake.output.png, snakemake.output.pdf, spec.display.dpi, max_width=max_width)
