"""What a run says of itself at its start and end."""

import os
import re
from pathlib import Path

from shapelens.machine.gpus import visible_gpus
from shapelens.planning.plan import Plan

KILLED = re.compile(r"<Signals\.SIGKILL: 9>|exit status 137\b|OUT_OF_MEMORY|OOMKilled")
"""How Snakemake, a shell, Slurm and Kubernetes say that a job was killed."""


def start_banner(plan: Plan) -> str:
    """Return what is about to be made, of what, on which devices, and where it will lie."""
    lines = []
    for name, study in plan.studies.items():
        finished = len(study.finished())
        lines.append(
            f"study {name}: {_count(len(study.trained()), 'model')} × {_count(len(study.seeds), 'seed')}"
            + (f", {finished} finished" if finished else "")
            + f", {_count(len(study.testset_names()), 'test set')}; results/{name}/"
        )
    return _frame(["Shapelens", *lines, f"devices: {devices()}", "one job's progress: its log, results/*/logs/"])


def success_banner(plan: Plan) -> str:
    """Return where the results lie."""
    lines = ["Shapelens: done"]
    for name in plan.studies:
        lines.append(f"results/{name}/: tables/, figures/, claims/claims.md")
    if Path("results/report.html").exists():
        lines.append("open results/report.html in a browser")
    return _frame(lines)


def error_banner(log: str) -> str:
    """Return what failed and where its log is, read from Snakemake's own log of the run."""
    text = Path(log).read_text(encoding="utf-8", errors="replace") if Path(log).exists() else ""
    failed = re.findall(r"Error in rule (\w+):.*?(?=\n\S|\Z)", text, flags=re.DOTALL)
    blocks = re.findall(r"Error in rule \w+:.*?(?=\n\S|\Z)", text, flags=re.DOTALL)
    lines = ["Shapelens: stopped"]
    for rule, block in zip(failed, blocks, strict=True):
        where = re.search(r"log: (\S+)", block)
        lines.append(f"failed: {rule}" + (f"; its log: {where[1]}" if where else ""))
    lines.append(f"the whole run's log: {log}")
    lines.append("what is finished is kept; the same command goes on from there")
    if KILLED.search(text):
        lines.append("a job was killed: most likely by the kernel, because no memory was left; else by kill -9")
        lines.append("fewer jobs at once need less: --cores 1, or --resources mem_mb=… (each job books its mem_mb)")
        lines.append("if Snakemake is killed so too, its lock stays: `snakemake --unlock`, then the same command")
    return _frame(list(dict.fromkeys(lines)))


def devices() -> str:
    """Name the GPUs that jobs may lease, without importing torch, and the processor's cores."""
    gpus = [gpu.label for gpu in visible_gpus()] or ["no GPU"]
    return ", ".join([*gpus, f"{os.cpu_count()} cores"])


def _frame(lines: list[str]) -> str:
    width = max(map(len, lines))
    return "\n".join(["", "─" * width, *lines, "─" * width])


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
