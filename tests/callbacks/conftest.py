"""One trained module that many tests look at."""

import pytest
from bars import PlainBars, network, trainer

from lightning_ecinn.callbacks import BuildClassMeans


@pytest.fixture(scope="session")
def trained(tmp_path_factory):
    """A module that classifies the bars, with class means."""
    folder = tmp_path_factory.mktemp("bars")
    module = network()
    trainer(folder, BuildClassMeans(), max_epochs=12).fit(module, datamodule=PlainBars(240))
    return module
