"""The flow's settings: one definition that refuses what it does not know."""

from dataclasses import FrozenInstanceError, dataclass, fields

import pytest

from lightning_ecinn.flows import FlowSettings, ib_inn
from lightning_ecinn.flows.settings import part


def test_lists_are_lists_of_their_own():
    settings = FlowSettings(blocks=(1, 1), dropouts=(0, 0.5))
    assert (settings.blocks, settings.dropouts) == ([1, 1], [0, 0.5])
    settings.widths.append(7)
    assert FlowSettings().widths == [32, 64]


def test_cannot_be_changed():
    with pytest.raises(FrozenInstanceError):
        FlowSettings().clamp = 2.0


def test_an_unknown_name_is_refused():
    with pytest.raises(
        TypeError,
        match="ib_inn got an unexpected keyword argument 'width': give some of blocks, widths",
    ):
        ib_inn((1, 8, 8), width=4)


@pytest.mark.parametrize(
    ("lists", "message"),
    [
        ({"blocks": [1]}, "got 1, 2, 2 entries"),
        ({"widths": [4] * 3}, "got 2, 3, 2 entries"),
        ({"blocks": [], "widths": [], "dropouts": []}, "got 0, 0, 0 entries"),
    ],
)
def test_one_entry_per_stage(lists, message):
    with pytest.raises(ValueError, match=message):
        FlowSettings(**lists)


def test_part_of_more():
    @dataclass(frozen=True, kw_only=True)
    class More(FlowSettings):
        mean: float = 0.0

    taken = part(More(fc_width=16, mean=2.0), FlowSettings)
    assert list(taken) == [field.name for field in fields(FlowSettings)]
    assert FlowSettings(**taken) == FlowSettings(fc_width=16)
