"""Pages for lessons that have sliders: one HTML file with a table of numbers and charts, which needs no network.

A lesson brings its controls, its functions, and a script that defines `update(settings)`. Whenever a control moves,
that gets their values by name, and calls `numbers`, `chart` and `speak`, which stand in page.js. Colours and keys are
the step player's. page.html is the template: a part stands where it has {{name of the part}}.
"""

import html
import re
import sys
from pathlib import Path

from tinygrad_edu.draw.theme import DARK, FONT, LIGHT, css_variables
from tinygrad_edu.files import visible, write_atomically

HERE = Path(__file__).parent


def slider(name, label, low, high, value, step=0.01):
    """A number from low to high; the arrow keys move it by the step."""
    bounds = f'min="{low}" max="{high}" step="{step}" value="{value}"'
    return control(name, label, f'<input type="range" id="{name}" {bounds}><output for="{name}"></output>')


def choice(name, label, options):
    """One of several texts, the first to begin with."""
    items = "".join(f"<option>{html.escape(option)}</option>" for option in options)
    return control(name, label, f'<select id="{name}">{items}</select>')


def switches(label, chosen):
    """A box to tick for each name in the dict, on or off."""
    boxes = []
    for name, on in chosen.items():
        checked = " checked" if on else ""
        boxes.append(f'<label><input type="checkbox" id="{name}"{checked}> {name}</label>')
    return f"<fieldset><legend>{html.escape(label)}</legend>{''.join(boxes)}</fieldset>"


def control(name, label, element):
    """A control with its label on the left."""
    return f'<div class="control"><label for="{name}">{html.escape(label)}</label>{element}</div>'


def write_page(path, title, lead, controls, functions, script):
    """Writes the page, and prints where it is.

    Args:
        path: Of the page; folders are made if missing.
        title: Its heading.
        lead: What to try, in a sentence or two.
        controls: What `slider`, `choice` and `switches` returned, from top to bottom.
        functions: {name: (what the lesson uses, formula, ...)}, the formulas in JavaScript. The script finds them in
            FUNCTIONS[name], as functions of z and a.
        script: Path of the JavaScript that defines `update(settings)`.
    """
    rows = []
    for name, (_, *formulas) in functions.items():
        rows.append(f'"{name}": [{", ".join([f"(z, a) => {formula}" for formula in formulas])}]')
    parts = {
        "title": html.escape(title),
        "lead": html.escape(lead),
        "controls": "\n".join(controls),
        "font": FONT,
        "light": css_variables(LIGHT),
        "dark": css_variables(DARK),
        "helpers": (HERE / "page.js").read_text(encoding="utf-8"),
        "functions": ",\n  ".join(rows),
        "script": script.read_text(encoding="utf-8"),
    }
    template = (HERE / "page.html").read_text(encoding="utf-8")
    text = re.sub(r"\{\{(\w+)\}\}", lambda match: parts[match[1]], template)  # all at once: parts may hold braces
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, text.encode("utf-8"))
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        sys.exit(f"error: --html must be a file: cannot write {path} ({reason})")
    print(f"page with sliders: {visible(path)}")
