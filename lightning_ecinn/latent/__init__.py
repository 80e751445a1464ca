"""The latent space as a person sees it: a plane of it, and the directions between classes."""

from lightning_ecinn.latent.atlas import latent_atlas, latent_cosines
from lightning_ecinn.latent.directions import direction_cosines, nearest_pairs
from lightning_ecinn.latent.plane import LatentPlane
from lightning_ecinn.latent.view import latent_view

__all__ = [
    "LatentPlane",
    "direction_cosines",
    "latent_atlas",
    "latent_cosines",
    "latent_view",
    "nearest_pairs",
]
