# Test sets that are made of the test images by arithmetic, mixed of two, drawn with one cue alone or in conflict, or
# read from the user's own files.
#
# NEEDS
#   results/{dataset}/data/                     test/, manifest.json; drawn sets need nothing
#   results/{dataset}/rulers/choice.json        the radius of hybrids, where the study leaves it open
#   results/{dataset}/data/index.csv            digests of the training images, among which own images are sought
#   testsets.own.NAME.path, testsets.own_conflicts.NAME.path of the study: folders or archives
# MAKES
#   results/{dataset}/testsets/{testset}/       images.npy, labels.npy, textures.npy, manifest.json, contact_sheet.png;
#                                               of own sets also index.csv, the file of every image


rule testset:
    input:
        unpack(plan.files.source_images),
    output:
        arrays=multiext(
            "results/{dataset}/testsets/{testset}/",
            "images.npy",
            "labels.npy",
            "textures.npy",
        ),
        manifest="results/{dataset}/testsets/{testset}/manifest.json",
        sheet=report(
            "results/{dataset}/testsets/{testset}/contact_sheet.png",
            caption="../workflow/report/testset.rst",
            category="Images",
            labels={"dataset": "{dataset}", "test set": "{testset}"},
        ),
    log:
        "results/{dataset}/logs/testsets/{testset}.log",
    benchmark:
        "results/{dataset}/benchmarks/testsets/{testset}.tsv"
    wildcard_constraints:
        testset=plan.pattern("transformed"),
    conda:
        "../envs/plots.yaml"
    threads: 1
    resources:
        gpu=0,
        mem_mb=plan.resources.growing(2000),
        runtime=plan.resources.growing(60),
    params:
        code=plan.code("testset.py"),
        spec=plan.asks.testset,
    message:
        "Making the test set {wildcards.testset} of {wildcards.dataset}"
    script:
        "../workflow/scripts/testset.py"


rule own_testset:
    input:
        unpack(plan.files.learnt_images),
        source=ancient(plan.files.own_source),
        data="results/{dataset}/data/manifest.json",
    output:
        arrays=multiext(
            "results/{dataset}/testsets/{testset}/",
            "images.npy",
            "labels.npy",
            "textures.npy",
        ),
        index="results/{dataset}/testsets/{testset}/index.csv",
        manifest="results/{dataset}/testsets/{testset}/manifest.json",
        sheet=report(
            "results/{dataset}/testsets/{testset}/contact_sheet.png",
            caption="../workflow/report/testset.rst",
            category="Images",
            labels={"dataset": "{dataset}", "test set": "{testset}"},
        ),
    log:
        "results/{dataset}/logs/testsets/{testset}.log",
    benchmark:
        "results/{dataset}/benchmarks/testsets/{testset}.tsv"
    wildcard_constraints:
        testset=plan.pattern("own"),
    conda:
        "../envs/plots.yaml"
    threads: 1
    resources:
        gpu=0,
        mem_mb=plan.resources.growing(2000),
        runtime=plan.resources.growing(60),
    params:
        code=plan.code("own_testset.py"),
        spec=plan.asks.own,
        source=plan.studies.own_digest,
    message:
        "Reading the own test set {wildcards.testset} of {wildcards.dataset}"
    script:
        "../workflow/scripts/own_testset.py"


rule cue_testset:
    output:
        arrays=multiext(
            "results/{dataset}/testsets/{testset}/",
            "images.npy",
            "labels.npy",
            "textures.npy",
        ),
        manifest="results/{dataset}/testsets/{testset}/manifest.json",
        sheet=report(
            "results/{dataset}/testsets/{testset}/contact_sheet.png",
            caption="../workflow/report/testset.rst",
            category="Images",
            labels={"dataset": "{dataset}", "test set": "{testset}"},
        ),
    log:
        "results/{dataset}/logs/testsets/{testset}.log",
    benchmark:
        "results/{dataset}/benchmarks/testsets/{testset}.tsv"
    wildcard_constraints:
        dataset=plan.pattern("drawn"),
        testset=plan.pattern("cue"),
    conda:
        "../envs/plots.yaml"
    threads: 1
    resources:
        gpu=0,
        mem_mb=plan.resources.growing(2000),
        runtime=plan.resources.growing(60),
    params:
        code=plan.code("cue_testset.py"),
        spec=plan.asks.cue_set,
    message:
        "Drawing the cue set {wildcards.testset} of {wildcards.dataset}"
    script:
        "../workflow/scripts/cue_testset.py"


rule mixed_testset:
    input:
        unpack(plan.files.radius),
        images=ancient("results/{dataset}/data/test/images.npy"),
        labels=ancient("results/{dataset}/data/test/labels.npy"),
        manifest="results/{dataset}/data/manifest.json",
    output:
        arrays=multiext(
            "results/{dataset}/testsets/{testset}/",
            "images.npy",
            "labels.npy",
            "textures.npy",
        ),
        manifest="results/{dataset}/testsets/{testset}/manifest.json",
        sheet=report(
            "results/{dataset}/testsets/{testset}/contact_sheet.png",
            caption="../workflow/report/testset.rst",
            category="Images",
            labels={"dataset": "{dataset}", "test set": "{testset}"},
        ),
    log:
        "results/{dataset}/logs/testsets/{testset}.log",
    benchmark:
        "results/{dataset}/benchmarks/testsets/{testset}.tsv"
    wildcard_constraints:
        testset=plan.pattern("mixed"),
    conda:
        "../envs/torch.yaml"
    threads: 1
    resources:
        gpu=0,
        mem_mb=plan.resources.growing(2000),
        runtime=plan.resources.growing(60),
    params:
        code=plan.code("mixed_testset.py", "shapelens.stylisation.detail"),
        spec=plan.asks.mixed,
    message:
        "Mixing the test images of {wildcards.dataset} into {wildcards.testset}"
    script:
        "../workflow/scripts/mixed_testset.py"
