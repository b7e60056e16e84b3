from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from shapelens.artefacts.files import read_json, write_json, write_text
from shapelens.artefacts.tidy_csv import to_csv
from shapelens.claims.evidence import Evidence
from shapelens.claims.judging import claims_frame, claims_json, claims_markdown, judge_all
from shapelens.claims.spec import ClaimsJob
from shapelens.instruments.runs import read_instruments, run_of
from shapelens.job import job, spec_of
from shapelens.tables.claims import claims_table
from shapelens.tables.formats import to_html

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with job(snakemake):
    spec = spec_of(snakemake, ClaimsJob)
    measured = read_instruments(snakemake.input.rows)
    evidence = Evidence(
        dataset=spec.dataset,
        predictions=measured["predictions"],
        robust=measured.get("robust", {}),
        selection={run_of(path): read_json(path) for path in snakemake.input.selections},
        families={info.name: info.family for info in spec.grid},
        eps={info.name: info.eps for info in spec.grid if info.eps is not None},
        statistics=spec.statistics,
        data_seed=spec.data_seed,
        texts={claim.id: claim.text for claim in spec.claims},
        rows={name: runs for name, runs in measured.items() if name not in ("predictions", "robust")},
        side=spec.side,
        accuracy={
            Path(path).parent.parent.name: pd.read_csv(path, dtype={"seed": str}) for path in snakemake.input.accuracy
        },
        sides=spec.sides,
        expected=spec.expected,
        chosen=read_json(snakemake.input.choice[0])["chosen"] if snakemake.input.choice else None,
    )
    claims = judge_all(evidence, spec.claims)
    write_json(snakemake.output.json, claims_json(claims))
    write_text(snakemake.output.csv, to_csv(claims_frame(claims)))
    write_text(snakemake.output.md, claims_markdown(claims))
    write_text(snakemake.output.html, to_html(claims_table(claims)))
