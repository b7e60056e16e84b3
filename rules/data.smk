# Images of the datasets, drawn or read.
#
# NEEDS
#   dataset.path of the study: a folder or an archive; nothing where images are drawn or fetched
# MAKES
#   resources/{archive}                 official archives, checked
#   results/{dataset}/data/             train/, validation/, test/: images.npy, labels.npy; manifest.json, index.csv
#                                       in a study without training images manifest.json alone: the classes
#   results/{dataset}/data-{cue}/       training images with one cue alone, for the shape ruler


rule fetch:
    output:
        "resources/{archive}",
    log:
        "resources/logs/{archive}.log",
    benchmark:
        "resources/benchmarks/{archive}.tsv"
    wildcard_constraints:
        archive=plan.pattern("archive"),
    retries: 2
    localrule: True
    conda:
        "../envs/plots.yaml"
    threads: 1
    resources:
        gpu=0,
        mem_mb=500,
        runtime=120,
    params:
        code=plan.code("fetch.py"),
    message:
        "Fetching {wildcards.archive} from its official source"
    script:
        "../workflow/scripts/fetch.py"


rule dataset:
    input:
        source=ancient(plan.files.source),
    output:
        train=multiext("results/{dataset}/data/train/", "images.npy", "labels.npy"),
        validation=multiext(
            "results/{dataset}/data/validation/", "images.npy", "labels.npy"
        ),
        test=multiext("results/{dataset}/data/test/", "images.npy", "labels.npy"),
        manifest="results/{dataset}/data/manifest.json",
        index="results/{dataset}/data/index.csv",
        sheet=report(
            "results/{dataset}/data/contact_sheet.png",
            caption="../workflow/report/data.rst",
            category="Images",
            labels={"dataset": "{dataset}", "test set": "data"},
        ),
    log:
        "results/{dataset}/logs/dataset.log",
    benchmark:
        "results/{dataset}/benchmarks/dataset.tsv"
    wildcard_constraints:
        dataset=plan.pattern("with images"),
    conda:
        "../envs/plots.yaml"
    threads: 1
    resources:
        gpu=0,
        mem_mb=plan.resources.growing(4000),
        runtime=plan.resources.growing(120),
    params:
        code=plan.code("dataset.py"),
        spec=plan.asks.dataset,
        source=plan.studies.source_digest,
    message:
        "Making the images of {wildcards.dataset}"
    script:
        "../workflow/scripts/dataset.py"


rule classes:
    input:
        source=ancient(plan.files.own_sources),
    output:
        "results/{dataset}/data/manifest.json",
    log:
        "results/{dataset}/logs/classes.log",
    benchmark:
        "results/{dataset}/benchmarks/classes.tsv"
    wildcard_constraints:
        dataset=plan.pattern("test only"),
    conda:
        "../envs/plots.yaml"
    threads: 1
    resources:
        gpu=0,
        mem_mb=plan.resources.growing(1000),
        runtime=plan.resources.growing(60),
    params:
        code=plan.code("classes.py"),
        spec=plan.asks.classes,
        source=plan.studies.own_digests,
    message:
        "Naming the classes of {wildcards.dataset}, which has no training images"
    script:
        "../workflow/scripts/classes.py"


rule single_cue_images:
    output:
        train=multiext(
            "results/{dataset}/data-{cue}/train/", "images.npy", "labels.npy"
        ),
        validation=multiext(
            "results/{dataset}/data-{cue}/validation/", "images.npy", "labels.npy"
        ),
        manifest="results/{dataset}/data-{cue}/manifest.json",
        index="results/{dataset}/data-{cue}/index.csv",
        sheet="results/{dataset}/data-{cue}/contact_sheet.png",
    log:
        "results/{dataset}/logs/data-{cue}.log",
    benchmark:
        "results/{dataset}/benchmarks/data-{cue}.tsv"
    wildcard_constraints:
        dataset=plan.pattern("drawn"),
        cue="shape-only|random-texture",
    conda:
        "../envs/plots.yaml"
    threads: 1
    resources:
        gpu=0,
        mem_mb=plan.resources.growing(2000),
        runtime=plan.resources.growing(60),
    params:
        code=plan.code("single_cue_images.py"),
        spec=plan.asks.single_cue,
    message:
        "Drawing the {wildcards.cue} training images of {wildcards.dataset}"
    script:
        "../workflow/scripts/single_cue_images.py"
