import os
import struct
import sys
import zlib

import numpy as np
import pytest

from tinygrad_edu.data import pictures, read_digit, synthetic_digits

Image = pytest.importorskip("PIL.Image")

DIGITS, LABELS = synthetic_digits(60, seed=8)
LIGHT, DARK = np.array([0.93, 0.92, 0.88]), np.array([0.1, 0.12, 0.35])


@pytest.fixture
def read(tmp_path):
    """Saves an array (uint8, uint16, bool, or a share of white) or an image, and reads the digit in the file."""

    def save_and_read(picture, suffix=".png", **options):
        if isinstance(picture, np.ndarray):
            if picture.dtype == np.float64:
                picture = np.rint(255 * picture.clip(0, 1)).astype(np.uint8)
            picture = Image.fromarray(picture)
        path = tmp_path / f"digit{suffix}"
        picture.save(path, **options)
        return read_digit(path)

    return save_and_read


def ink(index, pixels=8, edge=0.08):
    """One of the digits drawn with crisp edges, from 0 to 1; each of its 28 pixels gets as many as asked."""
    image = Image.fromarray(DIGITS[index]).resize((28 * pixels, 28 * pixels), Image.Resampling.BICUBIC)
    return 1 / (1 + np.exp(-(np.asarray(image) / 255 - 0.5) / edge))


def paint(strokes, paper=LIGHT, pen=DARK):
    """Strokes (h, w) in colour, (h, w, 3)."""
    return paper + strokes[..., None] * (pen - paper)


def likeness(a, b):
    """Cosine of the angle between two images, at best over shifts of one pixel; different digits have about 0.4."""
    a, b = a.astype(float), b.astype(float)
    shifts = [np.roll(a, (dy, dx), (0, 1)) for dy in (-1, 0, 1) for dx in (-1, 0, 1)]
    return max((s * b).sum() for s in shifts) / np.sqrt((a**2).sum() * (b**2).sum())


def assert_like_mnist(image):
    assert image.shape == (28, 28) and image.dtype == np.uint8
    assert image.max() == 255
    rows, columns = np.nonzero(image)
    assert max(np.ptp(rows), np.ptp(columns)) + 1 <= 20
    rows, columns = np.nonzero(image > 60)
    assert max(np.ptp(rows), np.ptp(columns)) + 1 >= 18
    centre = [image.sum(1) @ np.arange(28) / image.sum(), image.sum(0) @ np.arange(28) / image.sum()]
    np.testing.assert_allclose(centre, 14, atol=0.51)


def photo(strokes, rng, noise=0.03):
    """Strokes somewhere on paper that is lit from one side, as a camera sees them, (300, 400, 3)."""
    h, w = strokes.shape
    paper = np.zeros((300, 400))
    top, left = rng.integers(0, 300 - h), rng.integers(0, 400 - w)
    paper[top : top + h, left : left + w] = strokes
    y, x = np.mgrid[0:1:300j, 0:1:400j]
    light = 0.5 + 0.5 * (y if rng.random() < 0.5 else 1 - x)
    return paint(paper) * light[..., None] + rng.normal(0, noise, (300, 400, 3))


def framed(strokes, rng):
    strokes = np.pad(strokes, 40)
    for k in (5, 6, 7):
        strokes[[k, -k]] = strokes[:, [k, -k]] = 1
    return 1 - strokes


def on_a_dark_table(strokes, rng):
    picture = paint(np.pad(strokes, 50))
    picture[:, -30:] = 0.2
    return picture


def transparent(colour):
    def draw(strokes, rng):
        return np.dstack([np.full((*strokes.shape, 3), colour), strokes])

    return draw


def palette(strokes, rng):
    return Image.fromarray(np.uint8(255 * paint(strokes))).quantize(16)


def specks(strokes, rng):
    picture = np.pad(strokes, 20)
    for y, x in rng.integers(0, len(picture) - 2, (20, 2)):
        picture[y : y + 2, x : x + 2] = 1
    return picture


def tight(strokes, rng):
    rows, columns = np.nonzero(strokes > 0.5)
    return 1 - strokes[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]


DISGUISES = {
    "light on dark": lambda strokes, rng: strokes,
    "dark on light": lambda strokes, rng: 1 - strokes,
    "two colours": lambda strokes, rng: paint(strokes, *rng.permutation([[0.8, 0.3, 0.3], [0.2, 0.6, 0.2]])),
    "of one brightness": lambda strokes, rng: paint(strokes, np.array([0.6, 0.0, 0.0]), np.array([0.0, 0.305, 0.0])),
    "photo": photo,
    "noisy photo": lambda strokes, rng: photo(strokes, rng, 0.1),
    "faint": lambda strokes, rng: photo(0.4 * strokes, rng, 0.01),
    "frame": framed,
    "dark table": on_a_dark_table,
    "black on nothing": transparent(0),
    "white on nothing": transparent(1),
    "palette": palette,
    "16 bits": lambda strokes, rng: np.rint(40000 * strokes).astype(np.uint16),
    "1 bit": lambda strokes, rng: strokes > 0.5,
    "specks": specks,
    "tight": tight,
    "a tenth of the picture": lambda strokes, rng: np.pad(1 - strokes, 800, constant_values=1),
}


@pytest.mark.parametrize("disguise", DISGUISES.values(), ids=DISGUISES)
def test_disguised_digits_come_out_as_in_mnist(read, disguise):
    rng = np.random.default_rng(0)
    likenesses = []
    for index in range(3):
        plain, disguised = read(ink(index)), read(disguise(ink(index), rng))
        assert_like_mnist(disguised)
        likenesses.append(likeness(disguised, plain))
    assert min(likenesses) > 0.85 and np.mean(likenesses) > 0.93


def test_likeness_tells_digits_apart(read):
    images = [read(ink(index)) for index in range(8)]
    pairs = [(i, j) for i in range(8) for j in range(i) if LABELS[i] != LABELS[j]]
    assert np.mean([likeness(images[i], images[j]) for i, j in pairs]) < 0.65


@pytest.mark.parametrize("light", [True, False])
def test_a_digit_in_mnist_form_stays_nearly_as_it_is(read, light):
    images = [read(ink(index)) for index in range(12)]
    again = [read(image if light else 255 - image) for image in images]
    changes = [abs(b.astype(int) - a).max() for a, b in zip(images, again, strict=True)]
    assert np.median(changes) <= 12  # a few move by a pixel, as their centre of mass is between two
    assert min(map(likeness, again, images)) > 0.98


@pytest.mark.parametrize(("suffix", "options"), [(".jpg", {"quality": 10}), (".gif", {}), (".bmp", {}), (".tif", {})])
def test_formats(read, suffix, options):
    assert likeness(read(1 - ink(3), suffix, **options), read(ink(3))) > 0.97


@pytest.mark.parametrize("mode", ["L", "LA", "CMYK", "YCbCr", "F", "I"])
def test_modes(read, mode):
    picture = Image.fromarray(np.uint8(255 * (1 - ink(3)))).convert(mode)
    assert likeness(read(picture, ".jpg" if mode in ("CMYK", "YCbCr") else ".tif"), read(ink(3))) > 0.99


def test_exif_says_which_way_is_up(read):
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned: to be shown a quarter turn clockwise
    turned = read(np.rot90(1 - ink(2)), ".jpg", exif=exif)
    assert likeness(turned, read(1 - ink(2))) > 0.98 > 0.8 > likeness(read(np.rot90(1 - ink(2))), read(1 - ink(2)))


@pytest.mark.parametrize("pen", [1, 3, 9, 20, 28])
def test_thin_pens_are_thickened(read, pen):
    picture = np.ones((300, 200))
    picture[50:250, 100 : 100 + pen] = 0
    image = read(picture)
    assert_like_mnist(image)
    width = (image / 255.0).sum(1)[8:20]
    np.testing.assert_allclose(width, max(2, pen / 10), atol=0.4)


def test_the_shape_is_kept(read):
    y, x = np.mgrid[:120, :90]
    ring = abs(np.hypot((y - 60) / 40, (x - 45) / 20) - 1) < 0.15
    rows, columns = np.nonzero(read(1.0 - ring) > 127)
    assert abs((np.ptp(columns) + 1) / (np.ptp(rows) + 1) - 0.5) < 0.1


def test_parts_of_a_digit_stay_together(read):
    strokes = np.zeros((100, 100))
    strokes[20:26, 40:70] = strokes[32:80, 38:44] = 1  # a bar with a gap to what is below
    rows, _ = np.nonzero(read(1 - strokes) > 100)
    assert np.ptp(rows) + 1 >= 19


@pytest.mark.parametrize("shape", [(1, 1), (2, 2), (1, 50), (28, 28), (300, 200)])
@pytest.mark.parametrize("level", [0.0, 0.5, 1.0])
def test_a_blank_picture_has_no_digit(read, shape, level):
    with pytest.raises(ValueError, match=r"digit.png: found no digit"):
        read(np.full(shape, level))


@pytest.mark.parametrize("noise", [0.01, 0.1])
def test_noisy_paper_has_no_digit(read, noise):
    with pytest.raises(ValueError, match="found no digit"):
        read(photo(np.zeros((8, 8)), np.random.default_rng(1), noise))


def test_nothing_but_transparency_has_no_digit(read):
    with pytest.raises(ValueError, match="found no digit"):
        read(np.zeros((20, 20, 4)))


def test_files_that_are_not_pictures(tmp_path):
    path = tmp_path / "seven.png"
    with pytest.raises(FileNotFoundError, match=r"seven\.png"):
        read_digit(path)
    for content in (b"", b"not a picture", b"\x89PNG\r\n\x1a\n" + bytes(50)):
        path.write_bytes(content)
        with pytest.raises(ValueError, match=r"seven\.png: Pillow cannot read it"):
            read_digit(path)
    with pytest.raises(ValueError, match="is a folder"):
        read_digit(tmp_path)
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe")
        with pytest.raises(ValueError, match="pipe; expected a picture"):
            read_digit(tmp_path / "pipe")


@pytest.mark.parametrize("suffix", [".png", ".jpg"])
def test_a_file_cut_short(read, tmp_path, suffix):
    read(photo(ink(0), np.random.default_rng(0)), suffix)
    path = tmp_path / f"digit{suffix}"
    path.write_bytes(path.read_bytes()[:5000])
    with pytest.raises(ValueError, match=f"digit{suffix}: Pillow cannot read it"):
        read_digit(str(path))


@pytest.mark.parametrize("side", [8193, 12_000, 60_000])  # Pillow warns of the second and refuses the third
def test_a_picture_that_would_fill_the_memory_is_refused(tmp_path, side):
    header = struct.pack(">4sIIBBBBB", b"IHDR", side, side, 8, 0, 0, 0, 0)
    chunk = struct.pack(">I", 13) + header + struct.pack(">I", zlib.crc32(header))
    path = tmp_path / "bomb.png"
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk + struct.pack(">I4sI", 0, b"IDAT", zlib.crc32(b"IDAT")))
    with pytest.raises(ValueError, match=r"bomb\.png: the picture is too large"):
        read_digit(path)


@pytest.mark.parametrize("suffix, fits", [(".png", True), (".webp", False), (".jp2", False)])
def test_formats_whose_decoders_take_more_memory_have_a_lower_limit(tmp_path, monkeypatch, suffix, fits):
    image, path = Image.new("L", (56, 56), 255), tmp_path / f"digit{suffix}"
    image.paste(0, (25, 10, 30, 46))
    image.save(path)
    monkeypatch.setattr(pictures, "MAX_PIXELS", 56 * 56)
    if fits:
        assert read_digit(path).max() > 200
    else:
        with pytest.raises(ValueError, match=rf"{suffix}: the picture is too large \(3,136 pixels, of which .* 784"):
            read_digit(path)


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "RGBA", "I;16", "I", "F"])
def test_a_large_picture_is_converted_a_tile_at_a_time(tmp_path, monkeypatch, mode):
    large = Image.new("L", (2500, 3100), 200)
    large.paste(20, (1100, 500, 1300, 2500))
    if mode == "I;16":
        large = Image.fromarray(np.asarray(large).astype(np.uint16) * 257)
    large = large if large.mode == mode else large.convert(mode)
    large.save(tmp_path / "seven.tiff")
    sizes, convert, as_array = [], Image.Image.convert, np.asarray

    def converted(image, *args, **options):
        sizes.append(image.size)
        return convert(image, *args, **options)

    def array(values, *args, **options):
        sizes.append(getattr(values, "size", 0) if isinstance(values, Image.Image) else (0, 0))
        return as_array(values, *args, **options)

    whole = read_digit(tmp_path / "seven.tiff")
    monkeypatch.setattr(Image.Image, "convert", converted)
    monkeypatch.setattr(np, "asarray", array)
    assert_like_mnist(read_digit(tmp_path / "seven.tiff"))
    assert sizes and max(max(size) for size in sizes) <= pictures.TILE
    monkeypatch.setattr(pictures, "TILE", 10**6)
    np.testing.assert_array_equal(read_digit(tmp_path / "seven.tiff"), whole)
    assert max(max(size) for size in sizes) == 3100


def test_without_pillow(monkeypatch):
    monkeypatch.setitem(sys.modules, "PIL", None)
    with pytest.raises(ImportError, match=r'"tinygrad-edu\[demos\]"'):
        read_digit("seven.png")


def test_otsu_parts_two_groups():
    rng = np.random.default_rng(0)
    values = np.concatenate([rng.normal(0.2, 0.05, 900), rng.normal(0.8, 0.05, 300)]).astype(np.float32)
    assert 0.3 < pictures.otsu_threshold(values) < 0.7


def test_connected_parts():
    mask = np.array([[1, 0, 0, 1], [0, 1, 0, 0], [0, 0, 0, 0], [1, 1, 1, 1]], bool)
    parts = sorted(sorted(zip(*part.tolist(), strict=True)) for part in pictures.connected_parts(mask))
    assert parts == [[(0, 0), (1, 1)], [(0, 3)], [(3, 0), (3, 1), (3, 2), (3, 3)]]
