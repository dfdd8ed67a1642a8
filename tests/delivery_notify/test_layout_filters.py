"""Layout filters: paragraphs and rows as text and as HTML."""

import pytest
from markupsafe import Markup

from services.delivery_notify.rendering.layout_filters import html_paragraphs, html_rows, text_paragraphs, text_rows


@pytest.mark.parametrize(
    ("block", "text"),
    [
        ("one\ntwo", "one two"),
        ("one\n\ntwo", "one\n\ntwo"),
        ("\n  one  \n \n\n two\n", "one\n\ntwo"),
        ("", ""),
        (" \n\n \n", ""),
    ],
)
def test_a_paragraph_ends_at_an_empty_line(block: str, text: str) -> None:
    assert text_paragraphs(block) == text


@pytest.mark.parametrize(
    ("block", "text"),
    [
        ("Items|a", "Items: a"),
        ("Items|a|b", "Items: a|b"),
        ("Number|1|https://x/1", "Number: 1\nhttps://x/1"),
        ("Number|1|", "Number: 1"),
        ("no row\n  Items|a  \n", "Items: a"),
        ("", ""),
    ],
)
def test_a_row_is_a_label_and_a_value_on_one_line(block: str, text: str) -> None:
    assert text_rows(block) == text


def test_text_is_escaped_in_html() -> None:
    assert "&lt;b&gt; &amp; c</p>" in html_paragraphs("<b> & c")
    assert "&lt;b&gt;</td>" in html_rows("Items|<b>")


def test_markup_of_the_environment_is_not_escaped_twice() -> None:
    assert "&amp;amp;" not in html_paragraphs(Markup("a &amp; b"))


def test_each_paragraph_and_each_row_is_one_element() -> None:
    assert html_paragraphs("one\n\ntwo").count("<p ") == 2
    assert html_rows("a|1\nb|2").count("<tr>") == 2


def test_a_quantity_stays_on_the_line_of_its_item() -> None:
    assert "cup\u00a0×\u00a02<" in html_rows("Items|cup × 2")
    assert "cup\u00a0×\u00a02<" in html_paragraphs("cup × 2")
    assert text_rows("Items|cup × 2") == "Items: cup × 2"
