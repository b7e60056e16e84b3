"""Spec of class-specific image generation (torch-free)."""

from pydantic import Field

from shapelens.instruments.ways import Way
from shapelens.spec import Number


class ClassImages(Way):
    """Class-specific image generation (Santurkar et al. 2019, Boychev 2022): a class's logit is raised.

    Draws are of a Gaussian that is fitted to the class's training images, averaged over blocks of pixels. Boychev fits
    it to test images, and takes on CIFAR-10 60 steps of 0.5 within ε = 30, on ImageNet of 1 within 40.
    """

    count: int = Field(default=20, ge=1)
    """Images made for each class."""
    grain: int = Field(default=4, ge=1)
    """Side of the blocks, in pixels of the network's input; it must divide the images' side."""
    fitted: int = Field(default=1000, ge=2)
    """Most training images of a class that its Gaussian is fitted to, the first ones."""
    step: Number = Field(default=0.5, gt=0)
    """Length of a step in ℓ2."""
    iterations: int = Field(default=60, ge=0)
    """Number of steps."""

    def reads_training(self) -> bool:
        """Return that training images are read: of test images the draws would be part of what they are judged by."""
        return True
