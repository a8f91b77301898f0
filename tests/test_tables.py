import pytest

from tinygrad_edu import nn, training
from tinygrad_edu.tables import format_table, html_table, markdown_table

ROWS = [["layer", "numbers"], ["a<b|c", "1,234"], ["*x*", "-5"]]


def test_text():
    assert format_table(ROWS, ["numbers"]) == [
        "layer  numbers",
        "--------------",
        "a<b|c    1,234",
        "*x*         -5",
        "--------------",
    ]


def test_html_escapes_what_it_holds_and_leaves_the_colours_to_the_page():
    page = html_table(ROWS, ["numbers"], ["a & b", "c"])
    assert '<th style="text-align:left">layer</th><th style="text-align:right">numbers</th>' in page
    assert "a&lt;b|c" in page and page.endswith("<p>a &amp; b<br>c</p>") and "<p>" not in html_table(ROWS, [])
    assert page.count("<tr>") == page.count("</tr>") == 3 and "color" not in page


def test_markdown_escapes_what_means_something_there():
    assert markdown_table(ROWS, ["numbers"], ["a_b", "c"]).splitlines() == [
        "| layer | numbers |",
        "| :--- | ---: |",
        "| a\\<b\\|c | 1,234 |",
        "| \\*x\\* | \u22125 |",
        "",
        "a\\_b\\",
        "c",
    ]


class Names(nn.Module):
    """A module whose paths would be tags and signs elsewhere."""

    def __init__(self):
        super().__init__()
        setattr(self, "<b>_1_|", nn.Linear(2, 2))

    def forward(self, x):
        return getattr(self, "<b>_1_|")(x)


REPORTS = {
    "summary": lambda model: model.summary(2),
    "diagnose": lambda model: training.diagnose(model, [[1.0, 2.0], [3.0, 5.0]]),
    "history": lambda model: training.History([{"<b>_1_|": 0.25}]),
}


@pytest.mark.parametrize("report", REPORTS)
def test_what_prints_a_table_is_one_in_a_notebook(report):
    shown = REPORTS[report](Names())
    assert "&lt;b&gt;_1_|" in shown._repr_html_() and "<b>" not in shown._repr_html_()
    assert "\\<b\\>\\_1\\_\\|" in shown._repr_markdown_()
