rule predict:
    input:
        weights=ancient("results/{dataset}/models/{model}/seed{seed}/model.safetensors"),
        model="results/{dataset}/models/{model}/seed{seed}/spec.json",
        selection="results/{dataset}/models/{model}/seed{seed}/selection.json",
        arrays=ancient(plan.files.testset_arrays(plan.files.testsets)),
        manifests=plan.files.testset_manifests(plan.files.testsets),
    output:
        table="results/{dataset}/predictions/{model}/seed{seed}.parquet",
        record="results/{dataset}/predictions/{model}/seed{seed}.json",
    log:
        "results/{dataset}/logs/predict/{model}-seed{seed}.log",
    benchmark:
        "results/{dataset}/benchmarks/predict/{model}-seed{seed}.tsv"
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
        code=plan.code("predict.py"),
        spec=plan.asks.predictions,
    message:
        "Measuring {wildcards.model} (seed {wildcards.seed}) on every test set of {wildcards.dataset}"
    script:
        "../workflow/scripts/predict.py"


rule robust:
    input:
        weights=ancient("results/{dataset}/models/{model}/seed{seed}/model.safetensors"),
        model="results/{dataset}/models/{model}/seed{seed}/spec.json",
        selection="results/{dataset}/models/{model}/seed{seed}/selection.json",
        arrays=ancient(plan.files.testset_arrays(plan.files.clean_testset)),
        manifests=["results/{dataset}/testsets/clean/manifest.json"],
        # Only the order: the predictions' process makes this too, if it is stale.
        after=ancient("results/{dataset}/predictions/{model}/seed{seed}.json"),
    output:
        table="results/{dataset}/robust/{model}/seed{seed}.parquet",
        record="results/{dataset}/robust/{model}/seed{seed}.json",
    log:
        "results/{dataset}/logs/robust/{model}-seed{seed}.log",
    benchmark:
        "results/{dataset}/benchmarks/robust/{model}-seed{seed}.tsv"
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
        code=plan.code("robust.py"),
        spec=plan.asks.robust,
    message:
        "Attacking {wildcards.model} (seed {wildcards.seed}) on {wildcards.dataset}"
    script:
        "../workflow/scripts/robust.py"


rule saliency:
    input:
        weights=ancient("results/{dataset}/models/{model}/seed{seed}/model.safetensors"),
        model="results/{dataset}/models/{model}/seed{seed}/spec.json",
        selection="results/{dataset}/models/{model}/seed{seed}/selection.json",
        arrays=ancient(plan.files.testset_arrays(plan.files.saliency_testsets)),
        manifests=plan.files.testset_manifests(plan.files.saliency_testsets),
        after=ancient("results/{dataset}/predictions/{model}/seed{seed}.json"),
    output:
        maps="results/{dataset}/maps/{model}/seed{seed}.npz",
        record="results/{dataset}/maps/{model}/seed{seed}.json",
    log:
        "results/{dataset}/logs/saliency/{model}-seed{seed}.log",
    benchmark:
        "results/{dataset}/benchmarks/saliency/{model}-seed{seed}.tsv"
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
        code=plan.code("saliency.py"),
        spec=plan.asks.saliency,
    message:
        "Mapping {wildcards.model} (seed {wildcards.seed}) on {wildcards.dataset}: what it is sensitive to"
    script:
        "../workflow/scripts/saliency.py"
