"""One HTML file to look at counterfactuals and to play with them, without a network."""

from lightning_ecinn.page.document import counterfactual_page, write_page

__all__ = ["counterfactual_page", "write_page"]
