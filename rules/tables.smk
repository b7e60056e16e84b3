# Statistics of several instruments or models together, and every table.
#
# NEEDS
#   results/{dataset}/{instrument}/{model}/seed{seed}.*     rows, arrays and records
#   results/{dataset}/{instrument}/means.csv
#   results/{dataset}/data/manifest.json                    the classes
# MAKES
#   results/{dataset}/tables/accuracy.csv                   every proportion, beside the published one
#   results/{dataset}/tables/shape_bias_per_class.csv
#   results/{dataset}/tables/order_agreement.csv            the order of the models beside the published order
#   results/{dataset}/tables/predicted_shape_bias.csv       beside the measured one (drawn images of fixed phase)
#   results/{dataset}/tables/saliency_distance.csv          the maps of every two models
#   results/{dataset}/tables/saliency_agreement.csv         the maps of one model with several seeds
#   results/{dataset}/tables/{table}.csv, .md, .tex, .html


rule accuracy:
    input:
        predictions=ancient(plan.files.measured("predictions", "parquet")),
        prediction_records=plan.files.measured("predictions", "json"),
        robust=ancient(plan.files.measured("robust", "parquet")),
        robust_records=plan.files.measured("robust", "json"),
        data="results/{dataset}/data/manifest.json",
    output:
        "results/{dataset}/tables/accuracy.csv",
    log:
        "results/{dataset}/logs/tables/accuracy.log",
    benchmark:
        "results/{dataset}/benchmarks/tables/accuracy.tsv"
    conda:
        "../envs/plots.yaml"
    threads: 1
    resources:
        gpu=0,
        mem_mb=plan.resources.growing(2000),
        runtime=plan.resources.growing(60),
    params:
        code=plan.code("accuracy.py"),
        spec=plan.asks.statistics,
    message:
        "Counting what each model of {wildcards.dataset} gets right"
    script:
        "../workflow/scripts/accuracy.py"


rule shape_bias_per_class:
    input:
        predictions=ancient(plan.files.measured("predictions", "parquet")),
        prediction_records=plan.files.measured("predictions", "json"),
        data="results/{dataset}/data/manifest.json",
    output:
        "results/{dataset}/tables/shape_bias_per_class.csv",
    log:
        "results/{dataset}/logs/tables/shape_bias_per_class.log",
    benchmark:
        "results/{dataset}/benchmarks/tables/shape_bias_per_class.tsv"
    conda:
        "../envs/plots.yaml"
    threads: 1
    resources:
        gpu=0,
        mem_mb=plan.resources.growing(2000),
        runtime=plan.resources.growing(60),
    params:
        code=plan.code("shape_bias.py"),
        spec=plan.asks.statistics,
    message:
        "Counting decisions for shape and texture by class of {wildcards.dataset}"
    script:
        "../workflow/scripts/shape_bias.py"


rule predicted_shape_bias:
    input:
        predictions=ancient(plan.files.measured("predictions", "parquet")),
        prediction_records=plan.files.measured("predictions", "json"),
    output:
        "results/{dataset}/tables/predicted_shape_bias.csv",
    log:
        "results/{dataset}/logs/tables/predicted_shape_bias.log",
    benchmark:
        "results/{dataset}/benchmarks/tables/predicted_shape_bias.tsv"
    localrule: True
    conda:
        "../envs/plots.yaml"
    threads: 1
    resources:
        gpu=0,
        mem_mb=2000,
        runtime=60,
    params:
        code=plan.code("known_answer.py"),
        spec=plan.asks.known_answer,
    message:
        "Comparing the shape bias of the models of {wildcards.dataset} with its prediction"
    script:
        "../workflow/scripts/known_answer.py"


rule order_agreement:
    input:
        accuracy="results/{dataset}/tables/accuracy.csv",
    output:
        "results/{dataset}/tables/order_agreement.csv",
    log:
        "results/{dataset}/logs/tables/order_agreement.log",
    benchmark:
        "results/{dataset}/benchmarks/tables/order_agreement.tsv"
    localrule: True
    conda:
        "../envs/plots.yaml"
    threads: 1
    resources:
        gpu=0,
        mem_mb=2000,
        runtime=60,
    params:
        code=plan.code("agreement.py"),
        spec=plan.asks.statistics,
    message:
        "Comparing the order of the models of {wildcards.dataset} with the published order"
    script:
        "../workflow/scripts/agreement.py"


rule saliency_distance:
    input:
        maps=ancient(plan.files.measured("saliency", "npz")),
        map_records=plan.files.measured("saliency", "json"),
    output:
        "results/{dataset}/tables/saliency_distance.csv",
    log:
        "results/{dataset}/logs/tables/saliency_distance.log",
    benchmark:
        "results/{dataset}/benchmarks/tables/saliency_distance.tsv"
    conda:
        "../envs/plots.yaml"
    threads: 1
    resources:
        gpu=0,
        mem_mb=plan.resources.growing(2000),
        runtime=plan.resources.growing(60),
    params:
        code=plan.code("saliency_distance.py"),
        spec=plan.asks.statistics,
    message:
        "Comparing the saliency maps of every two models of {wildcards.dataset}"
    script:
        "../workflow/scripts/saliency_distance.py"


rule saliency_agreement:
    input:
        maps=ancient(plan.files.measured("saliency", "npz")),
        map_records=plan.files.measured("saliency", "json"),
    output:
        "results/{dataset}/tables/saliency_agreement.csv",
    log:
        "results/{dataset}/logs/tables/saliency_agreement.log",
    benchmark:
        "results/{dataset}/benchmarks/tables/saliency_agreement.tsv"
    conda:
        "../envs/plots.yaml"
    threads: 1
    resources:
        gpu=0,
        mem_mb=plan.resources.growing(2000),
        runtime=plan.resources.growing(60),
    params:
        code=plan.code("saliency_agreement.py"),
        spec=plan.asks.statistics,
    message:
        "Comparing the saliency maps of the training seeds of {wildcards.dataset}"
    script:
        "../workflow/scripts/saliency_agreement.py"


rule table:
    input:
        rows=plan.files.table_input,
    output:
        csv="results/{dataset}/tables/{table}.csv",
        md="results/{dataset}/tables/{table}.md",
        tex="results/{dataset}/tables/{table}.tex",
        html=report(
            "results/{dataset}/tables/{table}.html",
            caption="../workflow/report/table.rst",
            category="Tables",
            labels={"dataset": "{dataset}", "table": "{table}"},
        ),
    log:
        "results/{dataset}/logs/tables/{table}.log",
    benchmark:
        "results/{dataset}/benchmarks/tables/{table}.tsv"
    wildcard_constraints:
        table=plan.pattern("table"),
    localrule: True
    conda:
        "../envs/plots.yaml"
    threads: 1
    resources:
        gpu=0,
        mem_mb=2000,
        runtime=60,
    params:
        code=plan.code("table.py"),
        spec=plan.asks.table,
    message:
        "Writing {wildcards.table} of {wildcards.dataset}"
    script:
        "../workflow/scripts/table.py"
