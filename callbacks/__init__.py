"""Callbacks: class means, pictures and files of a run."""

from lightning_ecinn.callbacks.checkpoint import RunCheckpoint
from lightning_ecinn.callbacks.class_means import BuildClassMeans
from lightning_ecinn.callbacks.component_means import ComponentMeansFromData
from lightning_ecinn.callbacks.counterfactual_grid import CounterfactualGrid
from lightning_ecinn.callbacks.counterfactual_page import CounterfactualPage
from lightning_ecinn.callbacks.counterfactual_table import CounterfactualTable
from lightning_ecinn.callbacks.counterfactual_writer import CounterfactualWriter
from lightning_ecinn.callbacks.heatmap_comparison import HeatmapComparison
from lightning_ecinn.callbacks.judge import JudgeCounterfactuals
from lightning_ecinn.callbacks.latent_atlas import LatentAtlas
from lightning_ecinn.callbacks.latent_view import LatentView
from lightning_ecinn.callbacks.metrics_json import MetricsJSON
from lightning_ecinn.callbacks.posterior_writer import PosteriorWriter
from lightning_ecinn.callbacks.progress_lines import ProgressLines
from lightning_ecinn.callbacks.run import make_callbacks
from lightning_ecinn.callbacks.samples import ClassSamples
from lightning_ecinn.callbacks.step_curves import StepCurves
from lightning_ecinn.callbacks.stop_on_nonfinite import NonFiniteLossError, StopOnNonFiniteLoss
from lightning_ecinn.callbacks.stop_on_signal import StopOnSignal

__all__ = [
    "BuildClassMeans",
    "ClassSamples",
    "ComponentMeansFromData",
    "CounterfactualGrid",
    "CounterfactualPage",
    "CounterfactualTable",
    "CounterfactualWriter",
    "HeatmapComparison",
    "JudgeCounterfactuals",
    "LatentAtlas",
    "LatentView",
    "MetricsJSON",
    "NonFiniteLossError",
    "PosteriorWriter",
    "ProgressLines",
    "RunCheckpoint",
    "StepCurves",
    "StopOnNonFiniteLoss",
    "StopOnSignal",
    "make_callbacks",
]
