"""What strangers named cannot act on the terminal."""

import pytest

from lightning_ecinn.plain_text import plain


@pytest.mark.parametrize("text", ["", "smiling", "ä 肺 🫁", "heavy  make-up", "a\\b", "50\u00a0%"])
def test_plain_text_stays(text):
    assert plain(text) == text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[31mred\x1b[0m", "\\x1b[31mred\\x1b[0m"),
        ("one\ntwo\rthree\tfour", "one\\ntwo\\rthree\\tfour"),
        ("bell\x07\x9b2J\x7f", "bell\\x07\\x9b2J\\x7f"),
        ("gnp\u202eexe", "gnp\\u202eexe"),
        ("half \udc80", "half \\udc80"),
        ("line\u2028end", "line\\u2028end"),
    ],
)
def test_what_acts_is_escaped_once(text, shown):
    assert plain(text) == plain(plain(text)) == shown
    assert plain(text).isprintable()
