rule accuracy:
    input:
        predictions=ancient(PREDICTIONS),
        prediction_records=PREDICTION_RECORDS,
        robust=ancient(ROBUST),
        robust_records=ROBUST_RECORDS,
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
        predictions=ancient(PREDICTIONS),
        prediction_records=PREDICTION_RECORDS,
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


rule saliency_measures:
    input:
        maps=ancient(MAPS),
        map_records=MAP_RECORDS,
        arrays=ancient(plan.files.testset_arrays(plan.files.clean_testset)),
        manifest="results/{dataset}/testsets/clean/manifest.json",
    output:
        images="results/{dataset}/tables/saliency_per_image.csv",
        distance="results/{dataset}/tables/saliency_distance.csv",
    log:
        "results/{dataset}/logs/tables/saliency_measures.log",
    benchmark:
        "results/{dataset}/benchmarks/tables/saliency_measures.tsv"
    conda:
        "../envs/plots.yaml"
    threads: 1
    resources:
        gpu=0,
        mem_mb=plan.resources.growing(2000),
        runtime=plan.resources.growing(60),
    params:
        code=plan.code("saliency_measures.py"),
        spec=plan.asks.statistics,
    message:
        "Measuring the saliency maps of {wildcards.dataset}"
    script:
        "../workflow/scripts/saliency_measures.py"


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
