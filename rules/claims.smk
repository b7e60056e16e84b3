# Verdicts on the claims, and the gates that say whether the instrument reads the calibration models right.
#
# NEEDS
#   results/{dataset}/{instrument}/             rows and records of every instrument of the study
#   results/{dataset}/models/                   selection.json of every model and seed
#   results/{dataset}/tables/accuracy.csv       of every study of the run
# MAKES
#   results/{dataset}/claims/                   claims.json, .csv, .md, .html
#   results/{dataset}/calibration/gates.csv     the scores of the calibration models (drawn images)
#   results/{dataset}/calibration/passed        there if they are right; made last of all


rule judge:
    input:
        rows=ancient(plan.files.all_measured("parquet")),
        records=plan.files.all_measured("json"),
        selections=plan.files.selections,
        accuracy=plan.files.all_accuracy,
    output:
        json="results/{dataset}/claims/claims.json",
        csv="results/{dataset}/claims/claims.csv",
        md="results/{dataset}/claims/claims.md",
        html=report(
            "results/{dataset}/claims/claims.html",
            caption="../workflow/report/claims.rst",
            category="Claims",
            labels={"dataset": "{dataset}", "table": "claims"},
        ),
    log:
        "results/{dataset}/logs/claims.log",
    benchmark:
        "results/{dataset}/benchmarks/claims.tsv"
    conda:
        "../envs/plots.yaml"
    threads: 1
    resources:
        gpu=0,
        mem_mb=plan.resources.growing(2000),
        runtime=plan.resources.growing(60),
    params:
        code=plan.claims_code(),
        spec=plan.asks.claims,
    message:
        "Judging the claims on {wildcards.dataset}"
    script:
        "../workflow/scripts/claims.py"


rule calibration:
    input:
        predictions=ancient(plan.files.measured("predictions", "parquet")),
        prediction_records=plan.files.measured("predictions", "json"),
    output:
        "results/{dataset}/calibration/gates.csv",
    log:
        "results/{dataset}/logs/calibration.log",
    benchmark:
        "results/{dataset}/benchmarks/calibration.tsv"
    wildcard_constraints:
        dataset=plan.pattern("drawn"),
    localrule: True
    conda:
        "../envs/plots.yaml"
    threads: 1
    resources:
        gpu=0,
        mem_mb=2000,
        runtime=60,
    params:
        code=plan.code("calibration.py"),
        spec=plan.asks.calibration,
    message:
        "Scoring the calibration models of {wildcards.dataset}"
    script:
        "../workflow/scripts/calibration.py"


rule calibration_gate:
    input:
        gates="results/{dataset}/calibration/gates.csv",
        after=plan.files.result_files(),
    output:
        "results/{dataset}/calibration/passed",
    log:
        "results/{dataset}/logs/calibration_gate.log",
    benchmark:
        "results/{dataset}/benchmarks/calibration_gate.tsv"
    wildcard_constraints:
        dataset=plan.pattern("drawn"),
    # A failed gate is deterministic: a retry cannot help.
    retries: 0
    localrule: True
    conda:
        "../envs/plots.yaml"
    threads: 1
    resources:
        gpu=0,
        mem_mb=2000,
        runtime=60,
    params:
        code=plan.code("calibration_gate.py"),
    message:
        "Checking the gates of the calibration models of {wildcards.dataset}"
    script:
        "../workflow/scripts/calibration_gate.py"
