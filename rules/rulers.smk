# What the models whose answer is known say of the test sets: which conflict to read, and what is left of each cue.
#
# NEEDS
#   results/{dataset}/models/calibration-*/     the rulers, trained like every other model
#   results/{dataset}/data/                     validation images, for the choice
#   results/{dataset}/predictions/              the rulers' answers to every test set
# MAKES
#   results/{dataset}/rulers/choice.json        the radius of hybrids, and the conflict set that claims use
#   results/{dataset}/rulers/readings.csv       what is left of each cue; the ends of every scale of shape bias


rule ruler_choice:
    input:
        unpack(plan.files.ruler_models),
        images=ancient("results/{dataset}/data/validation/images.npy"),
        labels=ancient("results/{dataset}/data/validation/labels.npy"),
        manifest="results/{dataset}/data/manifest.json",
    output:
        "results/{dataset}/rulers/choice.json",
    log:
        "results/{dataset}/logs/rulers/choice.log",
    benchmark:
        "results/{dataset}/benchmarks/rulers/choice.tsv"
    # Every measurement waits for the hybrids that this decides.
    priority: 10
    conda:
        "../envs/torch.yaml"
    threads: plan.resources.threads
    resources:
        gpu=plan.resources.gpu,
        jobs_per_gpu=plan.resources.jobs_per_gpu,
        mem_mb=plan.resources.mem_mb,
        runtime=plan.resources.runtime,
        batch=plan.resources.batch,
    params:
        code=plan.code("ruler_choice.py"),
        spec=plan.asks.ruler_choice,
    message:
        "Choosing a conflict set of {wildcards.dataset} by its rulers, on validation images"
    script:
        "../workflow/scripts/ruler_choice.py"


rule ruler_readings:
    input:
        predictions=ancient(plan.files.ruler_predictions("parquet")),
        prediction_records=plan.files.ruler_predictions("json"),
    output:
        "results/{dataset}/rulers/readings.csv",
    log:
        "results/{dataset}/logs/rulers/readings.log",
    benchmark:
        "results/{dataset}/benchmarks/rulers/readings.tsv"
    conda:
        "../envs/plots.yaml"
    threads: 1
    resources:
        gpu=0,
        mem_mb=plan.resources.growing(2000),
        runtime=plan.resources.growing(60),
    params:
        code=plan.code("ruler_readings.py"),
        spec=plan.asks.ruler_readings,
    message:
        "Reading what is left of each cue on the test sets of {wildcards.dataset}"
    script:
        "../workflow/scripts/ruler_readings.py"
