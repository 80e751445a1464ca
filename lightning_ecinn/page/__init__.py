"""One HTML file to look at counterfactuals and to play with them, without a network."""

from lightning_ecinn.page.document import counterfactual_page, write_page
from lightning_ecinn.page.room import room

__all__ = ["counterfactual_page", "room", "write_page"]
