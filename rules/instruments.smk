# What is measured on a finished model: one rule for each instrument of instruments/registry.py, named after it
# (predictions, robust, saliency, …), and one for the means of those that have metrics.
#
# NEEDS
#   results/{dataset}/models/{model}/seed{seed}/            weights, spec.json, selection.json
#   results/{dataset}/testsets/{testset}/                   the test sets that the instrument reads
#   results/{dataset}/data/train/                           the training images, where its section reads them
# MAKES
#   results/{dataset}/{instrument}/{model}/seed{seed}.*     .parquet: rows; .json: the record of what decided them;
#                                                           .npz: arrays, where there is something to look at
#   results/{dataset}/{instrument}/means.csv                means over images, with intervals

from shapelens.instruments.registry import INSTRUMENTS, module_of

for instrument in INSTRUMENTS.values():

    rule:
        name:
            instrument.name
        input:
            unpack(plan.files.judge_of(instrument.name)),
            **plan.files.training_read_by(instrument.name),
            weights=ancient(
                "results/{dataset}/models/{model}/seed{seed}/model.safetensors"
            ),
            model="results/{dataset}/models/{model}/seed{seed}/spec.json",
            selection="results/{dataset}/models/{model}/seed{seed}/selection.json",
            arrays=ancient(
                plan.files.testset_arrays(plan.files.read_by(instrument.name))
            ),
            manifests=plan.files.testset_manifests(plan.files.read_by(instrument.name)),
        output:
            **plan.files.arrays_of(instrument),
            rows=f"results/{{dataset}}/{instrument.name}/{{model}}/seed{{seed}}.parquet",
            record=f"results/{{dataset}}/{instrument.name}/{{model}}/seed{{seed}}.json",
        log:
            f"results/{{dataset}}/logs/{instrument.name}/{{model}}-seed{{seed}}.log",
        benchmark:
            f"results/{{dataset}}/benchmarks/{instrument.name}/{{model}}-seed{{seed}}.tsv"
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
            code=plan.measuring_code(instrument),
            spec=plan.asks.measurement(instrument.name),
            module=module_of(instrument),
        message:
            f"{instrument.doing} {{wildcards.model}} (seed {{wildcards.seed}}) on {{wildcards.dataset}}"
        script:
            "../workflow/scripts/measure.py"


rule means:
    input:
        rows=ancient(plan.files.rows_of),
        records=plan.files.records_of,
    output:
        "results/{dataset}/{instrument}/means.csv",
    log:
        "results/{dataset}/logs/{instrument}/means.log",
    benchmark:
        "results/{dataset}/benchmarks/{instrument}/means.tsv"
    wildcard_constraints:
        instrument=plan.pattern("instrument"),
    conda:
        "../envs/plots.yaml"
    threads: 1
    resources:
        gpu=0,
        mem_mb=plan.resources.growing(2000),
        runtime=plan.resources.growing(60),
    params:
        code=plan.code("means.py"),
        spec=plan.asks.means,
    message:
        "Averaging what {wildcards.instrument} found on {wildcards.dataset}"
    script:
        "../workflow/scripts/means.py"
