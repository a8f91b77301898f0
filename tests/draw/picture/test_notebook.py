import base64
import re
import struct
import subprocess

import pytest
from chromium import CHROMIUM, FLAGS, needs_chromium
from drawn import f_of_xyz

from tinygrad_edu.draw.graph import Graph
from tinygrad_edu.draw.picture import notebook
from tinygrad_edu.draw.record import record
from tinygrad_edu.draw.theme import DARK, LIGHT

KINDS = ["text/html", "image/svg+xml", "image/png", "application/pdf", "text/plain"]


@pytest.fixture
def picture():
    return Graph(record(f_of_xyz()), title="a & b")


def image_in(page):
    """The SVG that the HTML shows as an image."""
    return base64.b64decode(re.search('src="data:image/svg\\+xml;base64,([^"]*)"', page)[1]).decode()


def style_of(page):
    """The numbers of the image's style."""
    return {name: int(n) for name, n in re.findall(r"(max-width|min-width|max-height):(\d+)px", page)}


def test_a_notebook_gets_every_kind(engine, picture):
    shown, sizes = picture._repr_mimebundle_()
    assert list(shown) == KINDS
    assert image_in(shown["text/html"]) == shown["image/svg+xml"] == picture._repr_svg_()
    assert shown["text/plain"] == picture.text()
    assert base64.b64decode(shown["application/pdf"]).startswith(b"%PDF")
    png = base64.b64decode(shown["image/png"])
    assert png.startswith(b"\x89PNG") and list(sizes) == ["image/png"]
    for name, pixels in zip(("width", "height"), struct.unpack(">II", png[16:24]), strict=True):
        assert abs(pixels - 2 * sizes["image/png"][name]) <= 3, "twice as many pixels as it is wide"


def test_only_what_is_asked_for_is_drawn(engine, picture, monkeypatch):
    drawn = []
    monkeypatch.setattr(notebook, "render", lambda source, format, *args: drawn.append(format) or b"")
    assert list(picture._repr_mimebundle_(exclude={"text/plain", "image/png"})[0]) == ["text/html", "image/svg+xml"]
    assert list(picture._repr_mimebundle_(include={"image/svg+xml"})[0]) == ["image/svg+xml"]
    assert drawn == ["pdf"]
    picture.time_limit = 0
    assert list(picture._repr_mimebundle_(include={"text/plain"})[0]) == ["text/plain"]


def test_an_engine_that_draws_no_bitmap_still_shows_the_picture(engine, picture, monkeypatch):
    def refuse(source, format, *args):
        raise ValueError(f"no {format}")

    monkeypatch.setattr(notebook, "render", refuse)
    assert list(picture._repr_mimebundle_()[0]) == ["text/html", "image/svg+xml", "text/plain"]


def test_a_png_is_no_larger_than_a_column_and_left_out_where_nothing_could_be_read(engine, picture):
    def shown(width, height):
        picture.body[:] = [f"a [shape=box width={width} height={height}]"]
        return picture._repr_mimebundle_(include={"image/png"})

    png, sizes = shown(20, 2)
    assert sizes["image/png"]["width"] == notebook.COLUMN and png
    assert shown(100, 2) == ({}, {})


@pytest.mark.parametrize("theme", [None, "light", "dark", "auto"])
def test_only_a_picture_without_a_theme_follows_the_notebook(engine, theme):
    picture = Graph(record(f_of_xyz()), theme=theme)
    assert f'data-theme="{theme or "auto"}"' in picture._repr_svg_()
    assert f'data-theme="{theme or "light"}"' in picture.pipe("svg").decode(), "files are light"
    assert picture.backward().notebook_theme == (theme or "auto")
    picture.theme = "dark"
    assert 'data-theme="dark"' in picture._repr_svg_()
    with pytest.raises(ValueError, match="theme is 'blue'"):
        picture.theme = "blue"


def test_words_are_escaped():
    page = notebook.in_a_box("<svg>", (300, 200), '"><b>')
    assert page.count("<") == 5 and 'alt="&quot;&gt;&lt;b&gt;"' in page


@pytest.mark.parametrize(
    ("size", "letter", "shown"),
    [
        ((600, 300), 12, (600, 338)),
        ((3000, 300), 12, (3000, 1688)),  # too wide: no narrower than letters of 9 pixels allow
        ((900, 1000), 12, (630, 506)),  # too high: smaller, which still can be read
        ((900, 7000), 12, (506, 506)),
        ((600, 300), 4, (600, 600)),
    ],
    ids=str,
)
def test_a_picture_is_made_smaller_as_long_as_it_can_be_read(size, letter, shown):
    page = notebook.in_a_box(f'<svg id="p"><text font-size="{letter}.00">', size, "words")
    assert style_of(page) == {"max-width": shown[0], "min-width": shown[1], "max-height": 720}


HOSTS = {
    'data-jp-theme-light="false"': DARK,
    'data-jp-theme-light="true"': LIGHT,
    'class="vscode-dark"': DARK,
    'data-vscode-theme-kind="vscode-high-contrast"': DARK,
}


@needs_chromium
@pytest.mark.parametrize("system", [pytest.param("light", marks=pytest.mark.slow), "dark"])
def test_the_picture_has_the_theme_of_the_page(picture, tmp_path, system):
    image = pytest.importorskip("PIL.Image")
    shown = picture._repr_mimebundle_(include={"text/html"})[0]["text/html"]
    parts = [f'<div {host} style="position:absolute;top:{100 * i}px">{shown}</div>' for i, host in enumerate(HOSTS)]
    page, shot = tmp_path / "page.html", tmp_path / "page.png"
    page.write_text("<!DOCTYPE html>" + "".join(parts), encoding="utf-8")
    flags = [*FLAGS.replace("--dump-dom", "").split(), f"--user-data-dir={tmp_path / 'profile'}"]
    flags += ["--blink-settings=preferredColorScheme=0"] if system == "dark" else []
    subprocess.run([CHROMIUM, *flags, f"--screenshot={shot}", page.as_uri()], capture_output=True, timeout=120)
    pixels = image.open(shot).convert("RGB")
    for i, (host, colours) in enumerate(HOSTS.items()):
        assert "#" + bytes(pixels.getpixel((12, 100 * i + 8))).hex() == colours["paper"], host
