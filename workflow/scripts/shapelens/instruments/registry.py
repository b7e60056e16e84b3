"""Every instrument, one line each, in the order of the report."""

from shapelens.instruments.declare import Instrument, Table
from shapelens.instruments.predictions import instrument as predictions
from shapelens.instruments.robust import instrument as robust
from shapelens.instruments.saliency import instrument as saliency

INSTRUMENTS: dict[str, Instrument] = {
    instrument.name: instrument
    for instrument in (
        predictions.INSTRUMENT,
        robust.INSTRUMENT,
        saliency.INSTRUMENT,
    )
}
"""Every instrument by name."""

TABLES: dict[str, Table] = {table.id: table for one in INSTRUMENTS.values() for table in one.tables}
"""Every table by id."""
