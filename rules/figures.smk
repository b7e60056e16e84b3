rule figure1:
    input:
        arrays=ancient(plan.files.testset_arrays(plan.files.figure_testsets("figure1"))),
        manifests=plan.files.testset_manifests(plan.files.figure_testsets("figure1")),
    output:
        png=report(
            "results/{dataset}/figures/figure1.png",
            caption="../workflow/report/figure1.rst",
            category="Images",
            labels={"dataset": "{dataset}", "figure": "figure1", "shows": "test sets"},
        ),
        pdf="results/{dataset}/figures/figure1.pdf",
    log:
        "results/{dataset}/logs/figures/figure1.log",
    benchmark:
        "results/{dataset}/benchmarks/figures/figure1.tsv"
    localrule: True
    conda:
        "../envs/plots.yaml"
    threads: 1
    resources:
        gpu=0,
        mem_mb=2000,
        runtime=60,
    params:
        code=plan.code("figure.py"),
        spec=plan.asks.figure("figure1"),
    message:
        "Drawing figure1 of {wildcards.dataset}"
    script:
        "../workflow/scripts/figure.py"


# Whether a rule is local is not inherited.
use rule figure1 as figure2 with:
    input:
        arrays=ancient(plan.files.testset_arrays(plan.files.figure_testsets("figure2"))),
        manifests=plan.files.testset_manifests(plan.files.figure_testsets("figure2")),
        maps=ancient(plan.files.measured("saliency", "npz")),
        map_records=plan.files.measured("saliency", "json"),
    output:
        png=report(
            "results/{dataset}/figures/figure2.png",
            caption="../workflow/report/figure2.rst",
            category="Saliency",
            labels={
                "dataset": "{dataset}",
                "figure": "figure2",
                "shows": "SmoothGrad, three models",
            },
        ),
        pdf="results/{dataset}/figures/figure2.pdf",
    log:
        "results/{dataset}/logs/figures/figure2.log",
    benchmark:
        "results/{dataset}/benchmarks/figures/figure2.tsv"
    localrule: True
    params:
        code=plan.code("figure.py"),
        spec=plan.asks.figure("figure2"),
    message:
        "Drawing figure2 of {wildcards.dataset}"


use rule figure1 as figure3 with:
    input:
        arrays=ancient(plan.files.testset_arrays(plan.files.figure_testsets("figure3"))),
        manifests=plan.files.testset_manifests(plan.files.figure_testsets("figure3")),
        styles=ancient("results/{dataset}/testsets/stylised/styles.npy"),
        style_images=ancient("results/{dataset}/styles/images.npy"),
        style_record="results/{dataset}/styles/manifest.json",
    output:
        png=report(
            "results/{dataset}/figures/figure3.png",
            caption="../workflow/report/figure3.rst",
            category="Images",
            labels={
                "dataset": "{dataset}",
                "figure": "figure3",
                "shows": "stylised images",
            },
        ),
        pdf="results/{dataset}/figures/figure3.pdf",
    log:
        "results/{dataset}/logs/figures/figure3.log",
    benchmark:
        "results/{dataset}/benchmarks/figures/figure3.tsv"
    localrule: True
    params:
        code=plan.code("figure.py"),
        spec=plan.asks.figure("figure3"),
    message:
        "Drawing figure3 of {wildcards.dataset}"


use rule figure1 as figure4 with:
    input:
        arrays=ancient(plan.files.testset_arrays(plan.files.figure_testsets("figure4"))),
        manifests=plan.files.testset_manifests(plan.files.figure_testsets("figure4")),
    output:
        png=report(
            "results/{dataset}/figures/figure4.png",
            caption="../workflow/report/figure4.rst",
            category="Images",
            labels={
                "dataset": "{dataset}",
                "figure": "figure4",
                "shows": "saturation levels",
            },
        ),
        pdf="results/{dataset}/figures/figure4.pdf",
    log:
        "results/{dataset}/logs/figures/figure4.log",
    benchmark:
        "results/{dataset}/benchmarks/figures/figure4.tsv"
    localrule: True
    params:
        code=plan.code("figure.py"),
        spec=plan.asks.figure("figure4"),
    message:
        "Drawing figure4 of {wildcards.dataset}"


use rule figure1 as figure5 with:
    input:
        accuracy="results/{dataset}/tables/accuracy.csv",
    output:
        png=report(
            "results/{dataset}/figures/figure5.png",
            caption="../workflow/report/figure5.rst",
            category="Accuracy",
            labels={
                "dataset": "{dataset}",
                "figure": "figure5",
                "shows": "saturation",
            },
        ),
        pdf="results/{dataset}/figures/figure5.pdf",
    log:
        "results/{dataset}/logs/figures/figure5.log",
    benchmark:
        "results/{dataset}/benchmarks/figures/figure5.tsv"
    localrule: True
    params:
        code=plan.code("figure.py"),
        spec=plan.asks.figure("figure5"),
    message:
        "Drawing figure5 of {wildcards.dataset}"


use rule figure1 as figure6 with:
    input:
        arrays=ancient(plan.files.testset_arrays(plan.files.figure_testsets("figure6"))),
        manifests=plan.files.testset_manifests(plan.files.figure_testsets("figure6")),
        predictions=ancient(plan.files.measured("predictions", "parquet")),
        prediction_records=plan.files.measured("predictions", "json"),
        data="results/{dataset}/data/manifest.json",
    output:
        png=report(
            "results/{dataset}/figures/figure6.png",
            caption="../workflow/report/figure6.rst",
            category="Accuracy",
            labels={
                "dataset": "{dataset}",
                "figure": "figure6",
                "shows": "shuffled images and probabilities",
            },
        ),
        pdf="results/{dataset}/figures/figure6.pdf",
    log:
        "results/{dataset}/logs/figures/figure6.log",
    benchmark:
        "results/{dataset}/benchmarks/figures/figure6.tsv"
    localrule: True
    params:
        code=plan.code("figure.py"),
        spec=plan.asks.figure("figure6"),
    message:
        "Drawing figure6 of {wildcards.dataset}"


use rule figure1 as figure7 with:
    input:
        accuracy="results/{dataset}/tables/accuracy.csv",
    output:
        png=report(
            "results/{dataset}/figures/figure7.png",
            caption="../workflow/report/figure7.rst",
            category="Accuracy",
            labels={
                "dataset": "{dataset}",
                "figure": "figure7",
                "shows": "patch shuffle",
            },
        ),
        pdf="results/{dataset}/figures/figure7.pdf",
    log:
        "results/{dataset}/logs/figures/figure7.log",
    benchmark:
        "results/{dataset}/benchmarks/figures/figure7.tsv"
    localrule: True
    params:
        code=plan.code("figure.py"),
        spec=plan.asks.figure("figure7"),
    message:
        "Drawing figure7 of {wildcards.dataset}"


use rule figure1 as figure8 with:
    input:
        arrays=ancient(plan.files.testset_arrays(plan.files.figure_testsets("figure8"))),
        manifests=plan.files.testset_manifests(plan.files.figure_testsets("figure8")),
        maps=ancient(plan.files.measured("saliency", "npz")),
        map_records=plan.files.measured("saliency", "json"),
    output:
        png=report(
            "results/{dataset}/figures/figure8.png",
            caption="../workflow/report/figure8.rst",
            category="Saliency",
            labels={
                "dataset": "{dataset}",
                "figure": "figure8",
                "shows": "standard, PGD and spatial",
            },
        ),
        pdf="results/{dataset}/figures/figure8.pdf",
    log:
        "results/{dataset}/logs/figures/figure8.log",
    benchmark:
        "results/{dataset}/benchmarks/figures/figure8.tsv"
    localrule: True
    params:
        code=plan.code("figure.py"),
        spec=plan.asks.figure("figure8"),
    message:
        "Drawing figure8 of {wildcards.dataset}"


use rule figure1 as figure9 with:
    input:
        arrays=ancient(plan.files.testset_arrays(plan.files.figure_testsets("figure9"))),
        manifests=plan.files.testset_manifests(plan.files.figure_testsets("figure9")),
        maps=ancient(plan.files.measured("saliency", "npz")),
        map_records=plan.files.measured("saliency", "json"),
    output:
        png=report(
            "results/{dataset}/figures/figure9.png",
            caption="../workflow/report/figure9.rst",
            category="Saliency",
            labels={
                "dataset": "{dataset}",
                "figure": "figure9",
                "shows": "SmoothGrad, all models",
            },
        ),
        pdf="results/{dataset}/figures/figure9.pdf",
    log:
        "results/{dataset}/logs/figures/figure9.log",
    benchmark:
        "results/{dataset}/benchmarks/figures/figure9.tsv"
    localrule: True
    params:
        code=plan.code("figure.py"),
        spec=plan.asks.figure("figure9"),
    message:
        "Drawing figure9 of {wildcards.dataset}"


use rule figure1 as figure10 with:
    input:
        arrays=ancient(
            plan.files.testset_arrays(plan.files.figure_testsets("figure10"))
        ),
        manifests=plan.files.testset_manifests(plan.files.figure_testsets("figure10")),
        maps=ancient(plan.files.measured("saliency", "npz")),
        map_records=plan.files.measured("saliency", "json"),
    output:
        png=report(
            "results/{dataset}/figures/figure10.png",
            caption="../workflow/report/figure10.rst",
            category="Saliency",
            labels={
                "dataset": "{dataset}",
                "figure": "figure10",
                "shows": "Grad, all models",
            },
        ),
        pdf="results/{dataset}/figures/figure10.pdf",
    log:
        "results/{dataset}/logs/figures/figure10.log",
    benchmark:
        "results/{dataset}/benchmarks/figures/figure10.tsv"
    localrule: True
    params:
        code=plan.code("figure.py"),
        spec=plan.asks.figure("figure10"),
    message:
        "Drawing figure10 of {wildcards.dataset}"


use rule figure1 as robustness with:
    input:
        accuracy="results/{dataset}/tables/accuracy.csv",
    output:
        png=report(
            "results/{dataset}/figures/robustness.png",
            caption="../workflow/report/robustness.rst",
            category="Accuracy",
            labels={
                "dataset": "{dataset}",
                "figure": "robustness",
                "shows": "clean and robust accuracy",
            },
        ),
        pdf="results/{dataset}/figures/robustness.pdf",
    log:
        "results/{dataset}/logs/figures/robustness.log",
    benchmark:
        "results/{dataset}/benchmarks/figures/robustness.tsv"
    localrule: True
    params:
        code=plan.code("figure.py"),
        spec=plan.asks.figure("robustness"),
    message:
        "Drawing robustness of {wildcards.dataset}"


use rule figure1 as fourier with:
    input:
        accuracy="results/{dataset}/tables/accuracy.csv",
    output:
        png=report(
            "results/{dataset}/figures/fourier.png",
            caption="../workflow/report/fourier.rst",
            category="Accuracy",
            labels={
                "dataset": "{dataset}",
                "figure": "fourier",
                "shows": "Fourier filters",
            },
        ),
        pdf="results/{dataset}/figures/fourier.pdf",
    log:
        "results/{dataset}/logs/figures/fourier.log",
    benchmark:
        "results/{dataset}/benchmarks/figures/fourier.tsv"
    localrule: True
    params:
        code=plan.code("figure.py"),
        spec=plan.asks.figure("fourier"),
    message:
        "Drawing fourier of {wildcards.dataset}"


use rule figure1 as shape_bias with:
    input:
        accuracy="results/{dataset}/tables/accuracy.csv",
    output:
        png=report(
            "results/{dataset}/figures/shape_bias.png",
            caption="../workflow/report/shape_bias.rst",
            category="Accuracy",
            labels={
                "dataset": "{dataset}",
                "figure": "shape_bias",
                "shows": "cue conflict",
            },
        ),
        pdf="results/{dataset}/figures/shape_bias.pdf",
    log:
        "results/{dataset}/logs/figures/shape_bias.log",
    benchmark:
        "results/{dataset}/benchmarks/figures/shape_bias.tsv"
    localrule: True
    params:
        code=plan.code("figure.py"),
        spec=plan.asks.figure("shape_bias"),
    message:
        "Drawing shape_bias of {wildcards.dataset}"


use rule figure1 as cue_conflict with:
    input:
        accuracy="results/{dataset}/tables/accuracy.csv",
        per_class="results/{dataset}/tables/shape_bias_per_class.csv",
    output:
        png=report(
            "results/{dataset}/figures/cue_conflict.png",
            caption="../workflow/report/cue_conflict.rst",
            category="Accuracy",
            labels={
                "dataset": "{dataset}",
                "figure": "cue_conflict",
                "shows": "shape bias by class",
            },
        ),
        pdf="results/{dataset}/figures/cue_conflict.pdf",
    log:
        "results/{dataset}/logs/figures/cue_conflict.log",
    benchmark:
        "results/{dataset}/benchmarks/figures/cue_conflict.tsv"
    localrule: True
    params:
        code=plan.code("figure.py"),
        spec=plan.asks.figure("cue_conflict"),
    message:
        "Drawing cue_conflict of {wildcards.dataset}"


use rule figure1 as saliency_sheet with:
    input:
        arrays=ancient(plan.files.testset_arrays(plan.files.sheet_testset)),
        manifests=plan.files.testset_manifests(plan.files.sheet_testset),
        maps=ancient(plan.files.measured("saliency", "npz")),
        map_records=plan.files.measured("saliency", "json"),
    output:
        png=report(
            "results/{dataset}/figures/saliency-{method}-{testset}.png",
            caption="../workflow/report/saliency_sheet.rst",
            category="Saliency",
            labels={
                "dataset": "{dataset}",
                "figure": "saliency-{method}-{testset}",
                "shows": "{method} on {testset}",
            },
        ),
        pdf="results/{dataset}/figures/saliency-{method}-{testset}.pdf",
    log:
        "results/{dataset}/logs/figures/saliency-{method}-{testset}.log",
    benchmark:
        "results/{dataset}/benchmarks/figures/saliency-{method}-{testset}.tsv"
    localrule: True
    params:
        code=plan.code("figure.py"),
        spec=plan.asks.figure("saliency_sheet"),
    message:
        "Drawing saliency-{wildcards.method}-{wildcards.testset} of {wildcards.dataset}"
