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


rule study_config:
    output:
        "results/config.json",
    log:
        "results/logs/study_config.log",
    benchmark:
        "results/benchmarks/study_config.tsv"
    localrule: True
    conda:
        "../envs/plots.yaml"
    threads: 1
    resources:
        gpu=0,
        mem_mb=500,
        runtime=10,
    params:
        config=plan.studies.raw,
    message:
        "Recording the config"
    script:
        "../workflow/scripts/study_config.py"


rule report:
    input:
        plan.files.result_files(),
        config="results/config.json",
    output:
        html="results/report.html",
        zip="results/report.zip",
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
    message:
        "Gathering the report"
    script:
        "../workflow/scripts/report.py"


rule provenance:
    input:
        plan.files.result_files(),
        records=plan.files.record_files(),
    output:
        "results/provenance.json",
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
        runtime=10,
    params:
        code=plan.code("provenance_record.py"),
        config=plan.studies.raw,
    message:
        "Recording what made these results"
    script:
        "../workflow/scripts/provenance_record.py"


# No benchmark: its file would be a product, and a rule with products that are there does not run.
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
