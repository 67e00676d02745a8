"""The config of style transfer with sampled Gram matrices."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator, model_validator

from companion.gmm_basis.gram import Target
from companion.gmm_basis.vgg import Padding, Pooling, WeightsName, check_layers
from companion.runs.config import Config

# Style 1 and style 2.
STYLES = {"paintings": ("starry_night", "sunflowers"), "photos": ("flower", "china")}


class Style(Config):
    """Images of one seed: every share of style 2, some variations of each."""

    styles: Literal["paintings", "photos"] = Field(
        "paintings", description="style 1 and 2: Starry Night and Sunflowers, or two photographs"
    )
    weights: WeightsName = Field(
        "vgg", description="of VGG-19: blocks 1 to 3, all (downloaded), or random"
    )
    layers: tuple[str, ...] = Field(
        ("conv1_1", "conv2_1", "conv3_1", "conv3_2", "conv3_4"),
        description="feature maps with a Gram matrix",
    )
    pooling: Pooling = "average"
    padding: Padding = "reflect"
    target: Target = Field("basis", description="where an image's Gram matrices come from")
    shares: tuple[float, ...] = Field((0.0,), min_length=1, description="of crops of style 2")
    n_variations: int = Field(1, ge=1, description="images of each share")
    size: int = Field(128, ge=16, description="pixels of a side of the images")
    picture_size: int = Field(205, ge=16, description="pixels of a picture's shorter side")
    crop_size: int = Field(128, ge=16, description="pixels of a side of the random crops")
    n_crops: int = Field(100, ge=2, description="random crops of each style")
    n_components: int = Field(200, ge=2, description="n, Gaussians of each entry's density")
    sigma: float = Field(2.0, gt=0, description="their sd in units of r")
    content: Literal["china", "flower", "none"] = "china"
    content_layer: str = "conv2_2"
    content_weight: float = Field(0.01, ge=0, description="of relative squared error")
    start: Literal["content", "noise"] = "content"
    steps: int = Field(60, ge=1, description="evaluations of L-BFGS for an image")
    examples: bool = Field(False, description="store crops, Gram matrices and their spectra")

    @property
    def dataset(self) -> list[str]:
        """Names in the registry: where provenance finds the checksums of what was read."""
        return [self.styles, self.weights]

    @field_validator("layers")
    @classmethod
    def _known(cls, layers: tuple[str, ...]) -> tuple[str, ...]:
        check_layers(layers)
        return layers

    @field_validator("shares")
    @classmethod
    def _are_shares(cls, shares: tuple[float, ...]) -> tuple[float, ...]:
        if any(not 0 <= share <= 1 for share in shares) or len(set(shares)) < len(shares):
            raise ValueError("shares must be different numbers from 0 to 1")
        return shares

    @model_validator(mode="after")
    def _fits_together(self) -> Style:
        check_layers([self.content_layer])
        if self.crop_size > self.picture_size:
            raise ValueError("crop_size must be at most picture_size: crops are cut out of it")
        if self.content == "none" and (self.content_weight or self.start == "content"):
            raise ValueError("content='none' needs content_weight=0 and start='noise'")
        return self
