import ast
import html
import re
import sys
from importlib import import_module
from inspect import ismodule

import pytest
from demo_runs import DEMOS, import_demo

demo = import_demo("reference")
ROOMS = ("nn", "optim", "functional", "draw", "training", "data")


def words(fragment):
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", fragment)).split())


def entries(page):
    """The text below each signature, and the signatures, by name."""
    found = {}
    for name, section in re.findall(r'<section id="(\w+)">(.*?)</section>', page, re.S):
        signature, text = re.search(r'<div class="attr \w+">(.*?)</div>(.*)', section, re.S).groups()
        text = re.search(r'<div class="docstring">(.*?)</div>', text, re.S)
        found[name] = words(signature.partition("<label")[0]), text and words(text[1])
    return found


def test_the_pages(tmp_path, monkeypatch, capsys):
    pytest.importorskip("pdoc")
    monkeypatch.setattr(demo, "MODULES", ["tinygrad_edu", *(f"tinygrad_edu.{room}" for room in ROOMS)])
    demo.main(["--no-source", "--out", str(tmp_path)])
    assert str(tmp_path / "index.html") in capsys.readouterr().out
    pages = {path.relative_to(tmp_path).as_posix(): path.read_text(encoding="utf-8") for path in tmp_path.rglob("*.*")}
    check_entries(pages)
    check_pages(pages)


def check_entries(pages):
    """Every public name has an entry with a text, and none a signature that nobody reads."""
    assert sorted(pages) == sorted(
        [*(f"{name.replace('.', '/')}.html" for name in demo.MODULES), "index.html", "search.js"]
    )
    for room in ROOMS:
        found = entries(pages[f"tinygrad_edu/{room}.html"])
        public = [
            name
            for name in import_module(f"tinygrad_edu.{room}").__all__
            if not ismodule(getattr(import_module(f"tinygrad_edu.{room}"), name))
        ]
        assert [name for name in public if not (found.get(name) or ("", ""))[1]] == []
    for page in pages.values():
        assert all(len(signature) < 600 for signature, _ in entries(page).values())


def check_pages(pages):
    """They need no network, and show what is written."""
    for name, page in pages.items():
        assert not re.search(r'(?:src|href)="(?:https?:)?//(?!pdoc\.dev)', page), name
        assert set(re.findall(r'<a href="#([^"]+)"', page)) <= set(re.findall(r'\bid="([^"]+)"', page)), name
        assert "MathJax" not in page and "ForwardRef" not in page
    training, recurrent = pages["tinygrad_edu/training.html"], pages["tinygrad_edu/nn.html"]
    assert "<strong>Raises</strong>" in training and "<li><code>Tensor" not in training
    fit, _ = entries(training)["fit"]
    assert "train : Batches" in fit or "train: Batches" in fit
    assert "h = (1 - z) * n + z * h" in words(recurrent), "a formula, sign by sign"
    assert "narrow" not in entries(pages["tinygrad_edu.html"]) and '"Dropout"' not in pages["tinygrad_edu.html"]
    assert "dropout" in pages["search.js"]


def test_docstrings_become_markdown():
    text = demo.markdown("a_b, `c_d`, a<b.\n\n    loss = f(x) * 2\n\nRaises: As f.\nReturns:\n    `x` **2.\n")
    assert "a&#95;b, `c_d`, a&#60;b." in text and "```python\nloss = f(x) * 2\n```" in text
    assert "**Raises**\n\nAs f." in text and "**Returns**\n\n`x` &#42;&#42;2." in text
    assert "```text\n∂L/∂w = ∂L/∂a · ∂a/∂w\n```" in demo.markdown("A.\n\n    ∂L/∂w = ∂L/∂a · ∂a/∂w")


def test_signatures_are_as_written():
    pdoc = pytest.importorskip("pdoc")
    from tinygrad_edu.nn import Linear, summary

    assert "np.float32" in str(
        demo.written_signature(pdoc.doc.Function("m", "Linear.__init__", Linear.__init__, ("m", "")))
    )
    assert "NoneType" not in str(demo.written_signature(pdoc.doc.Function("m", "summary", summary, ("m", ""))))


def test_without_pdoc_it_says_how_to_get_it(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "pdoc", None)
    with pytest.raises(SystemExit, match=r'built by pdoc.*pip install -e "\.\[docs\]"'):
        demo.main(["--out", str(tmp_path)])


def test_the_modules_are_those_of_the_package():
    assert all(import_module(name).__all__ for name in demo.MODULES)
    assert ast.get_docstring(ast.parse((DEMOS / "reference.py").read_text()))
