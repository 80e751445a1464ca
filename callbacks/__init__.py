"""Callbacks: class means, pictures and files of a run."""

from callbacks.checkpoint import RunCheckpoint
from callbacks.class_means import BuildClassMeans
from callbacks.component_means import ComponentMeansFromData
from callbacks.counterfactual_grid import CounterfactualGrid
from callbacks.counterfactual_writer import CounterfactualWriter
from callbacks.heatmap_comparison import HeatmapComparison
from callbacks.metrics_json import MetricsJSON
from callbacks.posterior_writer import PosteriorWriter
from callbacks.samples import ClassSamples
from callbacks.stop_on_nonfinite import NonFiniteLossError, StopOnNonFiniteLoss

__all__ = [
    "BuildClassMeans",
    "ClassSamples",
    "ComponentMeansFromData",
    "CounterfactualGrid",
    "CounterfactualWriter",
    "HeatmapComparison",
    "MetricsJSON",
    "NonFiniteLossError",
    "PosteriorWriter",
    "RunCheckpoint",
    "StopOnNonFiniteLoss",
]
