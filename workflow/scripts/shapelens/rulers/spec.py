"""Specs of what the rulers are asked (torch-free)."""

from shapelens.datasets.spec import Cues
from shapelens.spec import Spec
from shapelens.stylisation.spec import CueConflict
from shapelens.transforms.spec import Hybrid, TextureExchange


class ChoiceJob(Spec):
    """What the job that chooses a conflict set on validation images is given."""

    cues: Cues | None = None
    """The drawn images, where the study has these: their conflict is drawn."""
    cue_conflict: CueConflict | None = None
    """The stylised conflict, where the study has it."""
    hybrid: Hybrid | None = None
    """The hybrids, where the study has them."""
    texture_exchange: TextureExchange | None = None
    """The exchanged textures, where the study has them."""
    data_seed: int
