"""What a run says at its end."""

import pytest

from shapelens.planning.banner import error_banner

LOG = """
RuleException:
CalledProcessError in file "/home/me/shapelens/rules/models.smk", line 34:
Command 'set -euo pipefail;  python train.py' {how}
[Wed Nov 25 03:25:43 2026]
Error in rule train:
    jobid: 0
    output: results/cues/models/standard/seed0/model.safetensors
    log: results/cues/logs/train/standard-seed0.log (check log file(s) for error details)
Exiting because a job execution failed. Look above for error messages
"""


@pytest.mark.parametrize(
    ("how", "killed"),
    [
        ("died with <Signals.SIGKILL: 9>.", True),
        ("returned non-zero exit status 137.", True),
        ("failed, SLURM status is: 'OUT_OF_MEMORY'.", True),
        ("returned non-zero exit status 1.", False),
    ],
)
def test_the_error_banner_names_the_rule_its_log_and_unlock_only_after_a_kill(tmp_path, how, killed):
    log = tmp_path / "run.log"
    log.write_text(LOG.format(how=how))
    said = error_banner(str(log))
    assert "failed: train; its log: results/cues/logs/train/standard-seed0.log\n" in said
    assert str(log) in said and "the same command goes on from there" in said
    assert ("`snakemake --unlock`" in said) is killed
    assert ("most likely by the kernel, because no memory was left" in said and "mem_mb" in said) is killed
