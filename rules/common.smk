# What all rules share: the library beside the scripts, the plan of the study, the wildcards' patterns.
#
# NEEDS
#   config                  of a study, from config.yaml or --configfile; it is checked here, before any job starts
# MAKES
#   plan                    what the rules ask: specs (.asks), paths (.files, .figures), bookings (.resources), .studies
#   config["captions"]      the live numbers of the report's captions

import os
import sys
from pathlib import Path

SCRIPTS = Path(workflow.current_basedir) / ".." / "workflow" / "scripts"
SCRIPTS = SCRIPTS.resolve()
if str(SCRIPTS) not in sys.path:
    sys.path.insert(0, str(SCRIPTS))

from shapelens.artefacts.writing import refuse_read_only, refuse_unreadable
from shapelens.machine.one_clone import hold
from shapelens.planning.banner import error_banner, start_banner, success_banner
from shapelens.planning.before_jobs import spoken
from shapelens.planning.for_readers import captions, listing
from shapelens.planning.plan import Plan
from shapelens.study.config_files import check_files

# Of a template Snakemake has run the Python before this line; nothing that came of it is used.
with spoken():
    check_files(
        [*workflow.configfiles, *(workflow.overwrite_configfiles or ["config.yaml"])]
    )
# A study given by --configfile stands alone: Snakemake would merge it with the default's models.
if not workflow.overwrite_configfiles:

    configfile: "config.yaml"


# Everything that rules know about the study, checked here, before any job starts.
with spoken():
    plan = Plan(
        config,
        SCRIPTS,
        copies=workflow.storage_settings.default_storage_provider is not None,
    )
    for name in plan.studies:
        refuse_unreadable(f"results/{name}")
    # Jobs of their own read this file again: what lies on the disk is looked at once.
    if workflow.is_main_process:
        plan.studies.check_sources()
# Captions of the report read their live numbers here; jobs never see them.
config["captions"] = captions(plan.studies)


wildcard_constraints:
    dataset=plan.pattern("dataset"),
    model=plan.pattern("model"),
    seed=r"\d+",
    testset=plan.pattern("testset"),
    table=plan.pattern("table"),
