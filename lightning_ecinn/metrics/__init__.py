"""Measures of counterfactuals and heatmaps: pure functions.

`MeanMeasure` makes a torchmetric of any that gives a value per counterfactual, for a `test_step`
of one's own. `__init__.pyi` lists all.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
