"""A notebook shows the page itself, in a frame, and not its text."""

import html
import re

from small_page import data_of, explainer, pictures
from test_page_document import HOSTILE

from lightning_ecinn.page import counterfactual_page


def test_the_frame_has_the_whole_page_in_it():
    page = counterfactual_page(explainer(), pictures(2), names=HOSTILE[:2], frames=3)
    shown = page._repr_html_()
    (inside,) = re.findall(r'srcdoc="([^"]*)"', shown)
    assert html.unescape(inside) == page
    assert [image["name"] for image in data_of(page)["images"]] == HOSTILE[:2]
    assert "<script" not in shown  # of the notebook's own page nothing is run
    assert 'sandbox="allow-scripts"' in shown


def test_its_text_is_not_shown():
    page = counterfactual_page(explainer(), pictures(1), frames=3)
    assert len(page) > 10_000
    assert repr(page) == f"<a page of {len(page):,} characters: write_page writes it to a file>"
