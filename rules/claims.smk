# Verdicts on the claims, and the gates that say whether the instrument reads the calibration models right.
#
# NEEDS
#   predictions, robust accuracy and selection of every model and seed, with their records
#   results/{dataset}/tables/                   accuracy.csv of every study, saliency_per_image.csv
# MAKES
#   results/{dataset}/claims/                   claims.json, .csv, .md, .html
#   results/{dataset}/calibration/gates.csv     the scores of the calibration models (drawn images)
#   results/{dataset}/calibration/passed        there if they are right; made last of all


rule judge:
    input:
        predictions=ancient(PREDICTIONS),
        prediction_records=PREDICTION_RECORDS,
        robust=ancient(ROBUST),
        robust_records=ROBUST_RECORDS,
        selections=SELECTIONS,
        accuracy=plan.files.all_accuracy,
        saliency="results/{dataset}/tables/saliency_per_image.csv",
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
        code=plan.code("claims.py"),
        spec=plan.asks.claims,
    message:
        "Judging the claims on {wildcards.dataset}"
    script:
        "../workflow/scripts/claims.py"


rule calibration:
    input:
        predictions=ancient(PREDICTIONS),
        prediction_records=PREDICTION_RECORDS,
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
    # What it finds is no accident, which another attempt could mend.
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
