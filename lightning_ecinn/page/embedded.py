"""A page inside another one: how notebooks show it."""

from __future__ import annotations

import html

__all__ = ["Page"]

_HEIGHT = 830
"""CSS pixels: what a page is high at most in a notebook's column; more of it can be scrolled."""


class Page(str):
    """The text of a page of HTML, complete in itself; a notebook shows the page, not the text.

    Jupyter and Colab show it; GitHub, which runs no scripts, leaves it out.

    Example:
        >>> page = Page("<!doctype html><p>7 or 9?")
        >>> page
        <a page of 25 characters: write_page writes it to a file>
        >>> page[:15], "srcdoc" in page._repr_html_()
        ('<!doctype html>', True)
    """

    __slots__ = ()

    def __repr__(self) -> str:
        return f"<a page of {len(self):,} characters: write_page writes it to a file>"

    def _repr_html_(self) -> str:
        """A frame with the page in it, which may run its program and nothing else."""
        frame = f"width:100%;height:{_HEIGHT}px;border:1px solid #ccc"
        text = html.escape(self)
        return f'<iframe sandbox="allow-scripts" style="{frame}" srcdoc="{text}"></iframe>'
