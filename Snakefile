from snakemake.utils import min_version

min_version("9.20")


report: "workflow/report/study.rst"


# On a cluster `--resources gpu=…` says how many GPUs one submission may have; as a global resource it would say how
# many all of them may have together. On one machine it limits the machine either way.
resource_scopes:
    gpu="local",


include: "rules/common.smk"
include: "rules/data.smk"
include: "rules/testsets.smk"
include: "rules/stylisation.smk"
include: "rules/models.smk"
include: "rules/rulers.smk"
include: "rules/instruments.smk"
include: "rules/tables.smk"
include: "rules/figures.smk"
include: "rules/claims.smk"
include: "rules/report.smk"


from shapelens.planning.staleness import Compared, accept, compare, keep, notes_of

plan.sources.remember()


# Before Snakemake looks at its notes, and in the process that decides: not in those of single jobs, nor where results
# lie in a storage and their records elsewhere.
if workflow.is_main_process and not plan.files.copies:
    found = compare(plan.all_files(), notes_of(workflow))
    print(*found.lines(), sep="", end="", file=sys.stderr)
else:
    found = Compared()


rule all:
    default_target: True
    input:
        plan.all_files(),


onstart:
    refuse_read_only("results")
    hold("results")
    if not workflow.touch:
        keep(found.changed, workflow.dag.needrun_jobs())
    print(start_banner(plan), file=sys.stderr)


onsuccess:
    if workflow.touch:
        accept(filter(workflow.dag.needrun, workflow.dag.jobs))
    print(success_banner(plan), file=sys.stderr)


onerror:
    print(error_banner(log[0] if isinstance(log, list) else log), file=sys.stderr)
