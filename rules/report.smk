# Named targets, the report, the record of what made the results, and the list of them.
#
# NEEDS
#   every table, figure and claim of the study; the records of models and measurements (provenance)
# MAKES
#   results/report.html, results/report.zip     the report, in one page and as a site of small files
#   results/config.json                         the config as it was run, from which the report is made
#   results/provenance.json                     versions, config, and the record of every artefact
#   results/ro-crate-metadata.json              the same run for others: every file with its sha256 (RO-Crate)
#   results/Snakefile                           the workflow's main file, as an RO-Crate must hold it
#   results/reports/{names}/                    the report, config and record of these studies, which a run of others leaves as they are


rule tables:
    input:
        plan.files.table_files(),


rule figures:
    input:
        plan.files.figure_files(),


rule claims:
    input:
        plan.files.claim_files(),


rule results:
    input:
        rules.tables.input,
        rules.figures.input,
        rules.claims.input,
        plan.whole_files,


# A rule, and not Snakemake's --report-after-run in the profile, which would also run after a dry-run and fail there, and
# after `snakemake FIGURE`, whose report of one figure would replace the whole one.
rule report:
    input:
        plan.files.result_files(),
        records=plan.record_files(),
    output:
        html="results/report.html",
        zip="results/report.zip",
        config="results/config.json",
    log:
        "results/logs/report.log",
    benchmark:
        "results/benchmarks/report.tsv"
    localrule: True
    conda:
        "../envs/plots.yaml"
    threads: 2
    resources:
        gpu=0,
        mem_mb=2000,
        runtime=60,
    params:
        code=plan.code("report.py"),
        config=plan.studies.raw,
    message:
        "Gathering the report"
    script:
        "../workflow/scripts/report.py"


# Last of all, since the crate names every other file by its sha256. The report is too large for Snakemake to tell by its
# content whether it is a new one: what makes it anew is asked here, too.
rule provenance:
    input:
        plan.files.result_files(),
        ancient(rules.report.output),
        records=plan.record_files(),
    output:
        record="results/provenance.json",
        crate="results/ro-crate-metadata.json",
        workflow="results/Snakefile",
    log:
        "results/logs/provenance.log",
    benchmark:
        "results/benchmarks/provenance.tsv"
    localrule: True
    conda:
        "../envs/plots.yaml"
    threads: 1
    resources:
        gpu=0,
        mem_mb=500,
        runtime=60,
    params:
        code=plan.code("provenance_record.py"),
        report=plan.code("report.py"),
        config=plan.studies.raw,
        studies=list(plan.studies),
        files=sorted({*plan.study_files()}),
    message:
        "Recording what made these results"
    script:
        "../workflow/scripts/provenance_record.py"


# What lies in results/ itself is of the last run: another config in the same folder writes its own there.
rule keep_report:
    input:
        html=ancient("results/report.html"),
        zip=ancient("results/report.zip"),
        config="results/config.json",
        provenance="results/provenance.json",
    output:
        plan.files.kept_files(),
    log:
        "results/logs/keep_report.log",
    benchmark:
        "results/benchmarks/keep_report.tsv"
    localrule: True
    conda:
        "../envs/plots.yaml"
    threads: 1
    resources:
        gpu=0,
        mem_mb=500,
        runtime=10,
    params:
        code=plan.code("keep_report.py"),
        report=plan.code("report.py"),
    message:
        "Keeping the report of these studies beside those of others"
    script:
        "../workflow/scripts/keep_report.py"


# No benchmark: it would count as an output, and a rule whose outputs exist is not run again.
rule list:
    log:
        "results/logs/list.log",
    localrule: True
    conda:
        "../envs/plots.yaml"
    threads: 1
    resources:
        gpu=0,
        mem_mb=500,
        runtime=10,
    params:
        lines=listing(plan.studies, plan.files),
    message:
        "Every table and figure of this study"
    script:
        "../workflow/scripts/list.py"
