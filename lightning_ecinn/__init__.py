"""Counterfactual explanations in closed form from invertible classifiers (ECINN).

Every name below is imported when it is first used, so that ``import lightning_ecinn`` costs
nothing; ``__init__.pyi`` is the one list of them. They live in these packages:

======================  ==========================================================================
ecinn                   the paper: class means, steps, counterfactuals, certificates, `Explainer`
models                  classifiers and autoencoders, and how they are read from files
flows                   the invertible network
attribution             heatmaps
latent                  a plane of the latent space, and the directions between classes
exported                models as files of torch.export and ONNX, which run without this package
page                    an HTML file to look at counterfactuals
training, callbacks     LightningModules, and what they do beside training
datamodules             data sets as LightningDataModules
======================  ==========================================================================

Measures are in `lightning_ecinn.metrics`, pictures in `lightning_ecinn.figures`.
"""

from importlib.util import find_spec
from pathlib import Path

import lazy_loader

# In a checkout that is not installed in place the other three folders lie beside this one.
if find_spec(f"{__name__}.datamodules") is None:
    __path__.append(str(Path(__file__).parents[1]))

from lightning_ecinn import torchvision_guard

torchvision_guard.install()

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
__version__ = "0.1.0"
