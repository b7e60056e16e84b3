# Verdicts on the claims.
#
# NEEDS
#   results/{dataset}/{instrument}/             rows and records of every instrument of the study
#   results/{dataset}/models/                   selection.json of every model and seed
#   results/{dataset}/tables/accuracy.csv       of every study of the run
# MAKES
#   results/{dataset}/claims/                   claims.json, .csv, .md, .html


rule judge:
    input:
        rows=ancient(plan.files.all_measured("parquet")),
        records=plan.files.all_measured("json"),
        selections=plan.files.selections,
        accuracy=plan.files.all_accuracy,
        choice=plan.files.choice,
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
