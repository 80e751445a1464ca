"""A loader that can go on in the middle of an epoch."""

from collections.abc import Iterator
from typing import Any

from torch.utils.data import DataLoader

from lightning_ecinn.datamodules.batches.samplers import TrainBatchSampler


class ResumableLoader(DataLoader):
    """Training batches; after `load_state_dict` the first epoch begins where it was left.

    Lightning keeps the state with a checkpoint that is saved in the middle of an epoch. With other
    batches than then, the same share of the epoch is left out.
    """

    sampler: TrainBatchSampler

    _position = 0
    """Batches of this epoch that were given out."""

    def __iter__(self) -> Iterator[Any]:  # type: ignore[override]
        """Give out the batches of an epoch, or of the rest of one."""
        self._position = self.sampler.first
        for batch in super().__iter__():
            self._position += 1
            yield batch

    def state_dict(self) -> dict[str, int]:
        """How many batches of this epoch were given out, of how many."""
        return {"position": self._position % len(self), "of": len(self)}

    def load_state_dict(self, state_dict: dict[str, int]) -> None:
        """Leave out as many, once."""
        self.sampler.first = state_dict["position"] * len(self) // state_dict["of"]
