"""Names of test sets: which kind they are of, and what they are transformations of."""

CLEAN = "clean"
JOINT = "+"
"""Stands between the name of an own test set and that of what was done to it: ``sketch+saturation-1024``."""
OWN_SETS, OWN_CONFLICTS = "@own", "@own-conflicts"
"""Stand for the user's own sets, and for her cue-conflict stimuli, where a table or figure names its test sets."""
UNPAIRED = ("shape-only", "texture-only", "conflict", "cue-conflict", "hybrid", "texture-exchange")
"""Test sets that are not transformed clean images, so their answers are not compared with clean ones."""
SUPPRESSED = ("gaussian-blur", "bilateral", "greyscale", "channel-shuffle", "patch-frame")
"""Sets that take a cue away besides the paper's own, and their control."""
FILTERED = ("low-pass", "high-pass", "random-filter")
KINDS = (CLEAN, "saturation", "patch-shuffle", *FILTERED, *SUPPRESSED, "stylised", *UNPAIRED)
"""How the names of all sets begin that the workflow makes itself, in their usual order; no own set begins so."""


def kind_of(testset: str) -> str | None:
    """Return the kind of a set that the workflow makes itself, None for an own one."""
    return next((kind for kind in KINDS if testset.startswith(kind)), None)


def base_of(testset: str) -> str | None:
    """Return the set that a test set is a transformation of, image by image; None where it is none.

    ``clean`` for the sets that are made of the clean images, ``sketch`` for ``sketch+saturation-1024``.
    """
    own, joint, _ = testset.partition(JOINT)
    if joint:
        return own
    return None if testset == CLEAN or kind_of(testset) in (None, *UNPAIRED) else CLEAN
