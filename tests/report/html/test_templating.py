"""The environment of the templates: strict, escaping, with our own styles and scripts as they are."""

from __future__ import annotations

import pytest
from jinja2 import UndefinedError
from markupsafe import Markup

from mmemo.report.html.templating import element, environment


def test_text_is_escaped_and_markup_is_not() -> None:
    template = environment("mmemo.report.html").from_string("{{ text }}{{ asset('page.js') }}")
    html = template.render(text="<b>")
    assert html.startswith("&lt;b&gt;")
    assert "=>" in html


def test_a_missing_value_is_an_error() -> None:
    with pytest.raises(UndefinedError, match="nothing"):
        environment("mmemo.report.html").from_string("{{ nothing }}").render()


def test_elements_escape_content_and_attributes() -> None:
    assert element("rect", element("title", "<b>"), stroke_width=1, fill='"><b>') == Markup(
        '<rect stroke-width="1" fill="&#34;&gt;&lt;b&gt;"><title>&lt;b&gt;</title></rect>'
    )


def test_an_environment_is_made_once_a_package() -> None:
    assert environment("mmemo.batch") is environment("mmemo.batch")
    assert environment("mmemo.batch").get_template("base.html.jinja")
