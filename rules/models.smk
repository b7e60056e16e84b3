# Models: trained here, or finished ones that are converted.
#
# NEEDS
#   results/{dataset}/data/                         train/, validation/, manifest.json; data-{cue}/ with one cue
#   selection.json of the model that a matched one stops at
#   weights that the study names: of finished models, and those that a training starts from
# MAKES
#   results/{dataset}/models/{model}/seed{seed}/    model.safetensors, spec.json, selection.json, history.csv, run.json
#                                                   snapshots.safetensors where the study keeps some
#   results/.state/                                 states of interrupted trainings, which no rule declares


rule train:
    input:
        unpack(plan.files.training_images),
        match=plan.files.matched_selection,
    output:
        weights="results/{dataset}/models/{model}/seed{seed}/model.safetensors",
        spec="results/{dataset}/models/{model}/seed{seed}/spec.json",
        selection="results/{dataset}/models/{model}/seed{seed}/selection.json",
        history="results/{dataset}/models/{model}/seed{seed}/history.csv",
        run="results/{dataset}/models/{model}/seed{seed}/run.json",
    log:
        "results/{dataset}/logs/train/{model}-seed{seed}.log",
    benchmark:
        "results/{dataset}/benchmarks/train/{model}-seed{seed}.tsv"
    wildcard_constraints:
        dataset=plan.dataset_of("trained"),
    # Trained before anything is measured: a matched model waits for another and would otherwise finish last.
    priority: 5
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
        code=plan.training_code(),
        spec=plan.asks.training,
    message:
        "Training {wildcards.model} on {wildcards.dataset}, seed {wildcards.seed}"
    script:
        "../workflow/scripts/train.py"


# The outputs of a rule are the same for all its wildcards, so models that keep snapshots have a rule with one more:
# asked for the snapshots of another model, Snakemake says that no rule makes them, where an empty file would lie.
use rule train as train_with_snapshots with:
    output:
        weights="results/{dataset}/models/{model}/seed{seed}/model.safetensors",
        spec="results/{dataset}/models/{model}/seed{seed}/spec.json",
        selection="results/{dataset}/models/{model}/seed{seed}/selection.json",
        history="results/{dataset}/models/{model}/seed{seed}/history.csv",
        run="results/{dataset}/models/{model}/seed{seed}/run.json",
        snapshots="results/{dataset}/models/{model}/seed{seed}/snapshots.safetensors",
    wildcard_constraints:
        dataset=plan.dataset_of("trained with snapshots"),


rule import_model:
    input:
        unpack(plan.files.validation_images),
        manifest="results/{dataset}/data/manifest.json",
    output:
        weights="results/{dataset}/models/{model}/seed{seed}/model.safetensors",
        spec="results/{dataset}/models/{model}/seed{seed}/spec.json",
        selection="results/{dataset}/models/{model}/seed{seed}/selection.json",
        history="results/{dataset}/models/{model}/seed{seed}/history.csv",
        run="results/{dataset}/models/{model}/seed{seed}/run.json",
    log:
        "results/{dataset}/logs/train/{model}-seed{seed}.log",
    benchmark:
        "results/{dataset}/benchmarks/train/{model}-seed{seed}.tsv"
    wildcard_constraints:
        dataset=plan.dataset_of("finished"),
    conda:
        "../envs/torch.yaml"
    threads: plan.resources.threads
    resources:
        gpu=0,
        mem_mb=plan.resources.mem_mb,
        runtime=plan.resources.runtime,
        batch=plan.resources.batch,
    params:
        code=plan.code("import_model.py"),
        spec=plan.asks.finished,
    message:
        "Converting the finished model {wildcards.model} of {wildcards.dataset}"
    script:
        "../workflow/scripts/import_model.py"
