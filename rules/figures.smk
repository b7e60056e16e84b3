# Every figure, by one rule; the entries stand in instruments/*/instrument.py and plots/registry.py of the library.
#
# NEEDS
#   what the figure's entry names: images of test sets, tables, rows, arrays or means of an instrument
# MAKES
#   results/{dataset}/figures/{figure}.png, .pdf
#   results/{dataset}/figures/{figure}.gif    of those that are animated


rule figure:
    input:
        unpack(plan.figures.inputs),
    output:
        png=report(
            "results/{dataset}/figures/{figure}.png",
            caption="../workflow/report/figure.rst",
            category=plan.figures.category,
            labels=plan.figures.labels,
        ),
        pdf="results/{dataset}/figures/{figure}.pdf",
    log:
        "results/{dataset}/logs/figures/{figure}.log",
    benchmark:
        "results/{dataset}/benchmarks/figures/{figure}.tsv"
    wildcard_constraints:
        figure=plan.pattern("figure"),
    localrule: True
    conda:
        "../envs/plots.yaml"
    threads: 1
    resources:
        gpu=0,
        mem_mb=2000,
        runtime=60,
    params:
        code=plan.figures.code(),
        spec=plan.asks.figure,
    message:
        "Drawing {wildcards.figure} of {wildcards.dataset}"
    script:
        "../workflow/scripts/figure.py"


rule animation:
    input:
        unpack(plan.figures.inputs),
    output:
        report(
            "results/{dataset}/figures/{figure}.gif",
            caption="../workflow/report/figure.rst",
            category=plan.figures.category,
            labels=plan.figures.labels,
        ),
    log:
        "results/{dataset}/logs/figures/{figure}-gif.log",
    benchmark:
        "results/{dataset}/benchmarks/figures/{figure}-gif.tsv"
    wildcard_constraints:
        figure=plan.pattern("animation"),
    localrule: True
    conda:
        "../envs/plots.yaml"
    threads: 1
    resources:
        gpu=0,
        mem_mb=2000,
        runtime=60,
    params:
        code=plan.figures.code("animation.py"),
        spec=plan.asks.figure,
    message:
        "Animating {wildcards.figure} of {wildcards.dataset}"
    script:
        "../workflow/scripts/animation.py"
