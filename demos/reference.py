"""Builds the reference: a page for each module, made of the docstrings, with a search that needs no network.

Run it with `python demos/reference.py`, then open demos/out/reference/index.html. `pip install -e ".[docs]"` brings
pdoc, which it needs. Formulas stand as they are written in the docstrings, examples as code.
"""

import argparse
import ast
import inspect
import re
import sys
import textwrap
from importlib import import_module
from pathlib import Path

import lesson

from tinygrad_edu import functional, ops
from tinygrad_edu.files import visible, write_atomically
from tinygrad_edu.torch_names import Answer

STYLE = Path(__file__).parent / "reference_style"
MODULES = [  # what a program imports, and what Tensor inherits; each shows the names in its __all__
    "tinygrad_edu", "tinygrad_edu.methods", "tinygrad_edu.nn", "tinygrad_edu.nn.init", "tinygrad_edu.functional",
    "tinygrad_edu.optim", "tinygrad_edu.data", "tinygrad_edu.training", "tinygrad_edu.training.metrics",
    "tinygrad_edu.draw", "tinygrad_edu.plots", "tinygrad_edu.ops", "tinygrad_edu.ops.linalg", "tinygrad_edu.random",
]  # fmt: skip
LISTS = ("Args", "Attributes", "Raises")
SECTION = re.compile(r"(Args|Attributes|Raises|Returns|Yields|Example|Examples):(.*)")
ITEM = re.compile(r"(\**\w[^:]*): (.*)", re.S)
PYTHONS = ("Alias for field number", "Create new instance of")  # of a NamedTuple
CODE = re.compile(r"(`[^`]+`)")


def markdown(docstring):
    """A docstring as Markdown: sections as headings and lists, what is indented as code, other signs as they are."""
    parts = []
    lines = docstring.splitlines()
    while lines:
        line = lines.pop(0)
        heading = SECTION.fullmatch(line)
        inside = take_indented(lines) if (heading and not heading[2]) or line.startswith("    ") else []
        if heading:
            what = section(heading[1], inside) if inside else escape(heading[2].strip())
            parts.append(f"\n**{heading[1]}**\n\n{what}\n")
        elif line.startswith("    "):
            parts.append(code([line, *inside]))
        else:
            parts.append(escape(line))
    return "\n".join(parts) + "\n"


def take_indented(lines):
    """Takes the indented lines at the beginning, with the empty ones between them."""
    count = next((i for i, line in enumerate(lines) if line.strip() and not line.startswith("    ")), len(lines))
    taken, lines[:] = lines[:count], lines[count:]
    return taken


def section(name, lines):
    """What stands below a heading of a docstring."""
    text = textwrap.dedent("\n".join(lines)).strip("\n")
    if name.startswith("Example"):
        return code(text.splitlines())
    if name not in LISTS:
        return markdown(text).rstrip("\n")
    items = []
    for item in re.split(r"\n(?=\S)", text):
        found = ITEM.fullmatch(item)
        names, words = (f"`{found[1]}`: ", found[2]) if found else ("", item)
        items.append(f"- {names}{escape(' '.join(words.split()))}")
    return "\n".join(items)


def code(lines):
    """Lines as a block of code, or of text where they are formulas."""
    text = textwrap.dedent("\n".join(lines)).strip("\n")
    try:
        ast.parse(re.sub(r"^(>>> |\.\.\. )", "", text, flags=re.M))
        language = "python"
    except SyntaxError:
        language = "python" if ">>>" in text else "text"
    return f"\n```{language}\n{text}\n```\n"


def raw_docstring(doc):
    """A docstring with its blocks indented, also where all but its first line is such a block.

    The last line, before the quotes, says how far the whole is indented.
    """
    text = getattr(doc.obj, "__doc__", None) if doc.kind in ("module", "class", "function") else None
    margin = (text or "").rpartition("\n")[2]
    if not text or margin.strip() or "\n" not in text:
        return doc.docstring
    return re.sub(f"^{margin}", "", text, flags=re.M).strip("\n")


def escape(text):
    """A text in which what stands in backquotes is code, and Markdown and HTML see nothing else."""
    pieces = CODE.split(text)
    pieces[::2] = [re.sub(r"[*_<>&\[\]|~$]", lambda sign: f"&#{ord(sign[0])};", piece) for piece in pieces[::2]]
    return "".join(pieces)


class Written:
    """What a signature shows as this text."""

    def __init__(self, text):
        self.text = text

    def __repr__(self):
        return self.text


def short(annotation, *_):
    """An annotation without the modules in front of its names, and not evaluated as pdoc would do it."""
    if annotation is inspect.Parameter.empty:
        return annotation
    text = annotation if isinstance(annotation, str) else inspect.formatannotation(annotation)
    text = re.sub(r"ForwardRef\('(.*?)'\)", r"\1", text)
    return Written(re.sub(r"\b(?:\w+\.)+(?=[A-Z])", "", text))


def written_signature(doc):
    """A function's signature as it stands in its source, where names of types are not spelled out."""
    try:
        source = textwrap.dedent(inspect.getsource(inspect.unwrap(doc.obj)))
        node = ast.parse(source).body[0]
    except (OSError, SyntaxError, TypeError):  # made by Python, as that of a NamedTuple
        return doc.signature
    if not isinstance(node, ast.FunctionDef):
        return doc.signature
    found = {
        arg.arg: short(ast.unparse(arg.annotation)) for arg in ast.walk(node.args) if getattr(arg, "annotation", None)
    }
    parameters = [
        parameter.replace(
            annotation=found.get(parameter.name, parameter.annotation), default=written_default(parameter.default)
        )
        for parameter in doc.signature.parameters.values()
    ]
    returns = short(ast.unparse(node.returns)) if node.returns and doc.name != "__init__" else inspect.Signature.empty
    return doc.signature.replace(parameters=parameters, return_annotation=returns)


def written_default(value):
    """A default as a program writes it: np.float32, not <class 'numpy.float32'>."""
    if not isinstance(value, type) or value is inspect.Parameter.empty:
        return value
    return Written(f"np.{value.__name__}" if value.__module__ == "numpy" else value.__name__)


def translate(doc):
    """Makes Markdown of the docstrings of a module or class and of all in it, and short signatures."""
    doc.docstring = "" if doc.docstring.startswith(PYTHONS) else markdown(raw_docstring(doc))
    if doc.kind == "function":
        doc.signature = written_signature(doc)
    elif doc.kind == "variable":
        doc.annotation = short(doc.annotation)
    elif doc.kind == "class":
        for name, member in [*doc.members.items()]:
            state = member.kind == "variable" and not member.docstring and not issubclass(doc.obj, tuple)
            if state or isinstance(vars(doc.obj).get(name), Answer):  # an Answer is for a name that is not there
                del doc.members[name]
    for member in getattr(doc, "own_members", ()):
        if member.kind != "module":
            translate(member)


def without_dead_links(page):
    """A page whose links within it lead somewhere: pdoc takes an argument for an attribute of the same name."""
    places = set(re.findall(r'\bid="([^"]+)"', page))
    return re.sub(r'<a href="#([^"]+)">(.*?)</a>', lambda link: link[0] if link[1] in places else link[2], page)


def build(out, source=True):
    """Writes the pages and the index of the search into a folder; returns their paths; with or without the source."""
    import pdoc

    pdoc.doc.safe_eval_type = short
    modules = {}
    for name in MODULES:
        module = import_module(name)
        for public in module.__all__:
            getattr(module, public)  # which loads it, where that waits until it is used
        modules[name] = pdoc.doc.Module(module)
    for name in [*ops.__all__, *functional.__all__]:
        modules["tinygrad_edu"].members.pop(name, None)  # they have a page of their own
    for module in modules.values():
        translate(module)
    pdoc.render.env.filters["rooms"] = lambda module: [
        name for name in modules if name.rpartition(".")[0] == module.modulename
    ]
    pdoc.render.configure(docformat="markdown", template_directory=STYLE, show_source=source)
    pages = {f"{name.replace('.', '/')}.html": pdoc.render.html_module(doc, modules) for name, doc in modules.items()}
    pages |= {"index.html": pdoc.render.html_index(modules), "search.js": pdoc.render.search_index(modules)}
    for name, text in pages.items():
        write_atomically(out / name, without_dead_links(text).encode("utf-8"), folders=True)
    return [out / name for name in pages]


def main(argv=None):
    parser = lesson.Parser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=lesson.folder, default=str(lesson.OUT / "reference"), help="folder for the pages")
    parser.add_argument("--no-source", action="store_true", help="leave the source out, for pages half as large")
    args = parser.parse_args(argv)
    try:
        import pdoc  # noqa: F401
    except ModuleNotFoundError:
        sys.exit('error: the reference is built by pdoc, which is not installed; pip install -e ".[docs]" brings it')
    pages = build(args.out, not args.no_source)
    print(f"{len(pages) - 2} pages; begin with {visible(args.out / 'index.html')}")


if __name__ == "__main__":
    lesson.run(main)
