"""Display keys: how results are drawn, never what they are (torch-free)."""

from pydantic import Field

from shapelens.spec import Spec


class Display(Spec):
    """How figures and tables look; no compute rule depends on it."""

    labels: dict[str, str] = Field(default_factory=dict)
    """Names of models as readers should see them; a model without one is named by its family and ε."""
    palette: str = "colorblind"
    """Palette of the families: any name that seaborn's ``color_palette`` knows."""
    dpi: int = Field(default=200, ge=50, le=1200)
    """Resolution of the PNG files; sheets never become wider than 1200 pixels."""
    published: bool = True
    """Draw and print published numbers beside the measured ones where the dataset is the paper's."""
    signed: bool = False
    """Draw signed saliency maps instead of absolute ones."""
