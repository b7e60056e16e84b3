# Test sets in which each image has the texture of a style image (AdaIN), and the networks that make them.
#
# NEEDS
#   results/{dataset}/data/: training images for the networks, test images for the sets, manifest.json
#   the archive or folder of the style images, if they are not drawn
#   two published networks (resources/, or the paths in the study), if none are trained
# MAKES
#   results/{dataset}/styles/                   images.npy, index.csv, manifest.json
#   results/{dataset}/stylisation/              encoder.safetensors, decoder.safetensors, spec.json, histories, run.json
#   results/{dataset}/testsets/{testset}/       as the other test sets, with styles.npy and quality.csv


rule styles:
    input:
        source=ancient(plan.files.style_source),
    output:
        images="results/{dataset}/styles/images.npy",
        index="results/{dataset}/styles/index.csv",
        manifest="results/{dataset}/styles/manifest.json",
        sheet=report(
            "results/{dataset}/styles/contact_sheet.png",
            caption="../workflow/report/styles.rst",
            category="Images",
            labels={"dataset": "{dataset}", "test set": "styles"},
        ),
    log:
        "results/{dataset}/logs/styles.log",
    benchmark:
        "results/{dataset}/benchmarks/styles.tsv"
    conda:
        "../envs/plots.yaml"
    threads: 1
    resources:
        gpu=0,
        mem_mb=plan.resources.growing(4000),
        runtime=plan.resources.growing(60),
    params:
        code=plan.code("styles.py"),
        spec=plan.asks.styles,
        source=plan.studies.styles_digest,
    message:
        "Making the style images of {wildcards.dataset}"
    script:
        "../workflow/scripts/styles.py"


rule style_networks:
    input:
        unpack(plan.files.style_weights),
        train=ancient(
            multiext("results/{dataset}/data/train/", "images.npy", "labels.npy")
        ),
        validation=ancient(
            multiext("results/{dataset}/data/validation/", "images.npy", "labels.npy")
        ),
        manifest="results/{dataset}/data/manifest.json",
        style_images=ancient("results/{dataset}/styles/images.npy"),
        styles="results/{dataset}/styles/manifest.json",
    output:
        encoder="results/{dataset}/stylisation/encoder.safetensors",
        decoder="results/{dataset}/stylisation/decoder.safetensors",
        spec="results/{dataset}/stylisation/spec.json",
        histories=multiext(
            "results/{dataset}/stylisation/",
            "encoder_history.csv",
            "decoder_history.csv",
        ),
        run="results/{dataset}/stylisation/run.json",
        sheet=report(
            "results/{dataset}/stylisation/contact_sheet.png",
            caption="../workflow/report/style_networks.rst",
            category="Images",
            labels={"dataset": "{dataset}", "test set": "style networks"},
        ),
    log:
        "results/{dataset}/logs/style_networks.log",
    benchmark:
        "results/{dataset}/benchmarks/style_networks.tsv"
    # Trained first: every measurement waits for the sets that these networks make.
    priority: 10
    conda:
        "../envs/torch.yaml"
    threads: plan.resources.threads
    resources:
        gpu=plan.resources.gpu,
        jobs_per_gpu=plan.resources.jobs_per_gpu,
        mem_mb=plan.resources.mem_mb,
        runtime=plan.resources.runtime,
    params:
        code=plan.code("style_networks.py"),
        spec=plan.asks.style_networks,
    message:
        "Training the style networks of {wildcards.dataset}"
    script:
        "../workflow/scripts/style_networks.py"


rule stylised_testset:
    input:
        unpack(plan.files.styles_of),
        images=ancient("results/{dataset}/data/test/images.npy"),
        labels=ancient("results/{dataset}/data/test/labels.npy"),
        manifest="results/{dataset}/data/manifest.json",
        encoder=ancient("results/{dataset}/stylisation/encoder.safetensors"),
        decoder=ancient("results/{dataset}/stylisation/decoder.safetensors"),
        networks="results/{dataset}/stylisation/spec.json",
    output:
        arrays=multiext(
            "results/{dataset}/testsets/{testset}/",
            "images.npy",
            "labels.npy",
            "textures.npy",
            "styles.npy",
        ),
        quality="results/{dataset}/testsets/{testset}/quality.csv",
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
        testset=plan.pattern("stylised"),
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
        code=plan.code("stylised_testset.py"),
        spec=plan.asks.stylised,
    message:
        "Stylising the test set {wildcards.testset} of {wildcards.dataset}"
    script:
        "../workflow/scripts/stylised_testset.py"
