import numpy as np
import pytest
from hypothesis import given, strategies as st

from tinygrad_edu.data import DataLoader, ElasticTransform, RandomAffine, augment, synthetic_digits
from tinygrad_edu.data.augment import bilinear

DIGITS, LABELS = synthetic_digits(400, seed=3)
DTYPES = ["bool", "uint8", "int8", "uint16", "int64", "float16", "float32", "float64"]
AUGMENTATIONS = {
    "affine": lambda **given: RandomAffine(20, (0.2, 0.1), (0.7, 1.3), 15, **given),
    "elastic": lambda **given: ElasticTransform(80, 3, **given),
}
each = pytest.mark.parametrize("make", AUGMENTATIONS.values(), ids=AUGMENTATIONS)


@st.composite
def batches(draw, dtypes=DTYPES, max_side=9):
    """Images of any shape, also empty, and dtype; from 0 to 100, or 0 and 1."""
    shape = draw(st.tuples(st.integers(0, 4), st.integers(0, max_side), st.integers(0, max_side)))
    numbers = np.random.default_rng(draw(st.integers(0, 2**32))).uniform(0, 100, shape)
    dtype = draw(st.sampled_from(dtypes))
    return numbers > 50 if dtype == "bool" else numbers.astype(dtype)


def affine(images, angle=0, translate=(0, 0), scale=1, shear=(0, 0), fill=0):
    """All images changed in the same way."""
    numbers = np.array([angle, *translate, scale, *shear], np.float64)
    return augment.affine(images, np.tile(numbers[:, None], len(images)), fill)


def shifted(images, dx, dy):
    """Images moved by whole pixels; zeros come in."""
    _, h, w = images.shape
    padded = np.pad(images, ((0, 0), (9, 9), (9, 9)))
    return padded[:, 9 - dy : 9 - dy + h, 9 - dx : 9 - dx + w]


def centres(images):
    """(x, y) of the centres of mass, shape (2, n)."""
    images = images.astype(np.float64)
    mass = images.sum((1, 2))
    return np.array([images.sum(1) @ np.arange(images.shape[2]), images.sum(2) @ np.arange(images.shape[1])]) / mass


@given(batches(), st.integers(-9, 9), st.integers(-9, 9))
def test_whole_pixels_move_exactly(images, dx, dy):
    result = affine(images, translate=(dx, dy))
    assert result.dtype == images.dtype
    np.testing.assert_array_equal(result, shifted(images, dx, dy))


@given(batches(), st.integers(-4, 4))
def test_quarter_turns_are_clockwise_and_exact(images, quarters):
    side = min(images.shape[1:])
    square = images[:, :side, :side]
    result = affine(square, 90 * quarters)
    np.testing.assert_allclose(result, np.rot90(square, -quarters, (1, 2)), rtol=1e-3 if result.dtype == "e" else 1e-5)
    np.testing.assert_allclose(affine(images, 180), images[:, ::-1, ::-1], rtol=1e-3 if result.dtype == "e" else 1e-5)


def test_a_quarter_turn_of_uint8_is_exact():
    np.testing.assert_array_equal(affine(DIGITS, 90), np.rot90(DIGITS, -1, (1, 2)))


def test_a_scale_of_two_reads_every_half_pixel():
    image = np.arange(5, dtype=np.float32)[None, :, None] + np.zeros((1, 5, 7), np.float32)
    np.testing.assert_allclose(affine(image, scale=2)[0, :, 3], [1, 1.5, 2, 2.5, 3])
    np.testing.assert_allclose(affine(image, scale=0.5, fill=9)[0, :, 3], [9, 0, 2, 4, 9])


@pytest.mark.parametrize(
    ("shear", "slanted"),
    [((45, 0), [[0, 0, 0, 1, 0], [0, 0, 1, 0, 0], [0, 1, 0, 0, 0]]), ((0, 45), [[0, 0, 1, 0, 0]] * 3)],
)
def test_a_shear_of_45_degrees_moves_a_row_by_a_pixel_a_row(shear, slanted):
    bar = np.zeros((1, 3, 5), np.uint8)
    bar[:, :, 2] = 1
    assert affine(bar, shear=shear)[0].tolist() == slanted
    assert affine(bar.transpose(0, 2, 1), shear=shear[::-1])[0].T.tolist() == slanted


def test_the_order_is_shear_scale_turn_shift():
    image = np.zeros((1, 21, 21), np.float32)
    image[0, 10, 12] = 1  # 2 to the right of the middle: sheared 2 up, scaled 4 and 4, turned to 4 right and 4 down
    result = affine(image, angle=90, translate=(1, 2), scale=2, shear=(0, 45))
    assert np.unravel_index(result.argmax(), result.shape) == (0, 10 + 4 + 2, 10 + 4 + 1)


@given(st.floats(-180, 180), st.floats(-5, 5), st.floats(-5, 5), st.floats(0.7, 1.5), st.floats(-30, 30))
def test_a_blob_keeps_its_mass_and_moves_as_asked(angle, dx, dy, scale, shear):
    y, x = np.ogrid[:70, :70]
    x0, y0 = 3.0, -2.0  # from the middle
    blob = np.exp(-((x - 34.5 - x0) ** 2 + (y - 34.5 - y0) ** 2) / 32)[None].astype(np.float32)
    result = affine(blob, angle, (dx, dy), scale, (shear, 0))
    turn = np.radians(angle)
    x1, y1 = scale * (x0 - np.tan(np.radians(shear)) * y0), scale * y0
    expected = [34.5 + dx + np.cos(turn) * x1 - np.sin(turn) * y1, 34.5 + dy + np.sin(turn) * x1 + np.cos(turn) * y1]
    np.testing.assert_allclose(centres(result)[:, 0], expected, atol=0.03)
    assert result.sum() == pytest.approx(scale**2 * blob.sum(), rel=0.01)


@given(batches(["uint8"]), st.data())
def test_bilinear_is_the_mean_weighted_by_nearness(images, data):
    n, h, w = images.shape
    rng = np.random.default_rng(data.draw(st.integers(0, 100)))
    y, x = rng.uniform(-2, [[[[h + 1]]], [[[w + 1]]]], (2, n, 3, 2)).astype(np.float32)
    nearness_y = (1 - abs(y[..., None] - np.arange(h))).clip(0)
    nearness_x = (1 - abs(x[..., None] - np.arange(w))).clip(0)
    expected = np.einsum("nabi,nabj,nij->nab", nearness_y, nearness_x, images)
    np.testing.assert_allclose(bilinear(images.astype(np.float32), y, x, 0), expected, atol=1e-3)
    np.testing.assert_allclose(bilinear(images, y, x, 0), expected, atol=0.501)


@each
@given(batches())
def test_shape_dtype_and_range_stay_and_the_input_is_left_alone(make, images):
    before = images.copy()
    result = make(seed=0)(images)
    assert result.shape == images.shape and result.dtype == images.dtype
    assert not np.shares_memory(result, images)
    np.testing.assert_array_equal(images, before)
    assert not images.size or (result.min() >= 0 and result.max() <= images.max() * 1.0001)


@given(batches())
def test_without_settings_images_come_out_as_they_are(images):
    for unmoved in (RandomAffine(), ElasticTransform(alpha=0)):
        result = unmoved(images)
        np.testing.assert_array_equal(result, images)
        assert not np.shares_memory(result, images)


@each
def test_digits_are_changed_each_in_its_own_way_and_stay_legible(make):
    same = np.repeat(DIGITS[:1], 100, axis=0)
    assert len(np.unique(make(seed=0)(same).reshape(100, -1), axis=0)) == 100
    moved = make(seed=0)(DIGITS)
    assert abs(moved.mean() / DIGITS.mean() - 1) < 0.07
    own = np.einsum("nij,nij->n", moved.astype(float), DIGITS)
    other = np.einsum("nij,nij->n", moved.astype(float), np.roll(DIGITS, 1, axis=0))
    assert own.mean() > 1.3 * other.mean()


@each
def test_a_seed_repeats_the_sequence_of_batches(make):
    first, second, third = make(seed=5), make(rng=np.random.default_rng(5)), make(seed=6)
    one, two = first(DIGITS), first(DIGITS)
    assert (one != two).any() and (one != third(DIGITS)).any()
    np.testing.assert_array_equal([one, two], [second(DIGITS), second(DIGITS)])


@each
def test_chunks_do_not_show(make, monkeypatch):
    whole = make(seed=1)(DIGITS)
    for pixels in (1, 7 * 28 * 28, 10**9):
        monkeypatch.setattr(augment, "CHUNK_PIXELS", pixels)
        np.testing.assert_allclose(make(seed=1)(DIGITS), whole, atol=1)  # BLAS may round otherwise


def test_parameters_fill_their_ranges_evenly(monkeypatch):
    drawn = []
    monkeypatch.setattr(augment, "affine", lambda images, *given: drawn.append(given) or images)
    RandomAffine((-5, 30), (0.25, 0.5), (0.5, 2), (1, 2, -4, -3), fill=7, seed=0)(np.zeros((5000, 4, 8), np.uint8))
    assert {fill for _, fill in drawn} == {7}
    numbers = np.concatenate([amounts for amounts, _ in drawn], axis=1)
    low, high = np.array([(-5, 30), (-2, 2), (-2, 2), (0.5, 2), (1, 2), (-4, -3)]).T[..., None]
    shares = (numbers - low) / (high - low)
    assert shares.shape == (6, 5000)
    assert shares.min() >= 0 and shares.max() <= 1
    np.testing.assert_allclose(np.sort(shares, axis=1), [np.linspace(0, 1, 5000)] * 6, atol=0.03)
    assert abs(np.corrcoef(shares) - np.eye(6)).max() < 0.06


@pytest.mark.parametrize("numbers", [(1, 2), (1, 2, -4, -3)])
def test_ranges_may_be_arrays(numbers):
    assert RandomAffine(shear=np.array(numbers)).shear == RandomAffine(shear=numbers).shear


def test_a_shear_does_not_change_the_angles():
    turned, both = (RandomAffine(90, shear=shear, seed=2)(DIGITS) for shear in (None, (0.01, 0.01)))
    np.testing.assert_allclose(both, turned, atol=3)


@pytest.mark.parametrize("sigma", [2.0, 4.0])
def test_elastic_displacements_have_the_stated_size_and_smoothness(monkeypatch, sigma):
    shifts = []

    def record(images, y, x, fill):
        shifts.append(np.stack([y - np.arange(40)[:, None], x - np.arange(30)])[..., 12:28, 10:20])
        return images

    monkeypatch.setattr(augment, "bilinear", record)
    ElasticTransform(60, sigma, seed=0)(np.zeros((600, 40, 30), np.uint8))
    shift = np.concatenate(shifts, axis=1)
    std = 60 / 2 / np.sqrt(3) / (2 * sigma * np.sqrt(np.pi))
    assert shift.std() == pytest.approx(std, rel=0.05) == pytest.approx(0.08 * 60 / sigma, rel=0.1)
    assert abs(shift.mean()) < 0.05 * std
    for axis in (2, 3):  # noise smoothed with a Gaussian is correlated as a Gaussian of twice the variance
        pairs = np.moveaxis(shift, axis, 0)
        correlation = (pairs[3:] * pairs[:-3]).mean() / shift.var()
        assert correlation == pytest.approx(np.exp(-9 / (4 * sigma**2)), abs=0.05)
    assert abs((shift[0] * shift[1]).mean()) < 0.05 * std**2


def test_fill_is_what_comes_in_from_outside():
    result = RandomAffine(translate=(1, 1), scale=(0.1, 0.1), fill=200, seed=0)(np.zeros((50, 28, 28), np.uint8))
    assert (result == 200).mean() > 0.95 and result.min() == 0


def test_a_loader_and_its_augmentation_share_a_generator():
    def epoch(rng):
        turn = RandomAffine(30, rng=rng)
        return np.concatenate([x for x, _ in DataLoader(DIGITS, LABELS, 64, shuffle=True, rng=rng, transform=turn)])

    rng = np.random.default_rng(0)
    epoch(rng)
    state = rng.bit_generator.state
    expected = epoch(rng)
    resumed = np.random.default_rng(1)
    resumed.bit_generator.state = state
    np.testing.assert_array_equal(epoch(resumed), expected)


@each
@pytest.mark.parametrize(
    ("images", "error", "message"),
    [
        (np.zeros((64, 784), np.uint8), ValueError, r"\(n, h, w\), got \(64, 784\).*before images are flattened"),
        (np.zeros((28, 28), np.uint8), ValueError, r"image\[None\]"),
        (np.zeros((2, 1, 28, 28), np.uint8), ValueError, r"got \(2, 1, 28, 28\)"),
        (np.zeros((2, 4, 4), complex), TypeError, "an array of complex128"),
        ([[[0]]], TypeError, "got list"),
        (np.ma.masked_equal(np.zeros((2, 4, 4)), 0), TypeError, "images: some entries are masked"),
    ],
)
def test_what_is_not_a_batch_of_images_is_refused(make, images, error, message):
    with pytest.raises(error, match=message):
        make()(images)


@pytest.mark.parametrize("fill", [256, -1, 0.5])
def test_a_fill_that_the_dtype_cannot_hold_is_refused(fill):
    with pytest.raises(ValueError, match=r"fill .* uint8 cannot hold"):
        RandomAffine(fill=fill)(DIGITS)


@pytest.mark.parametrize(
    ("make", "given", "error", "message"),
    [
        (RandomAffine, {"degrees": -1}, ValueError, "degrees is -1; a single number"),
        (RandomAffine, {"degrees": (5, 1)}, ValueError, "lower number first"),
        (RandomAffine, {"degrees": "10"}, TypeError, "degrees is '1'; it must be a finite number"),
        (RandomAffine, {"degrees": np.inf}, ValueError, "degrees is .*finite"),
        (RandomAffine, {"degrees": (1, 2, 3)}, TypeError, "pair of numbers"),
        (RandomAffine, {"translate": 0.1}, TypeError, "translate is 0.1; it must be a pair"),
        (RandomAffine, {"translate": (0, 3)}, ValueError, "from 0 to 1"),
        (RandomAffine, {"scale": (0, 1)}, ValueError, "above 0"),
        (RandomAffine, {"scale": (1.2, 1.1)}, ValueError, "lowest factor"),
        (RandomAffine, {"scale": 1.1}, TypeError, "pair"),
        (RandomAffine, {"shear": 90}, ValueError, "less than 90"),
        (RandomAffine, {"shear": (0, 1, -95, 0)}, ValueError, "less than 90"),
        (RandomAffine, {"shear": (0, 1, 2)}, TypeError, "shear is .* pair"),
        (RandomAffine, {"shear": []}, TypeError, "shear is .* pair"),
        (RandomAffine, {"shear": ""}, TypeError, "shear is .* pair"),
        (ElasticTransform, {"alpha": -1}, ValueError, "alpha is -1"),
        (ElasticTransform, {"alpha": (1, 1)}, TypeError, r"alpha is \(1, 1\); it must be a number"),
        (ElasticTransform, {"sigma": 0}, ValueError, "sigma is 0"),
        (ElasticTransform, {"fill": np.nan}, ValueError, "fill is nan"),
        (ElasticTransform, {"seed": 1, "rng": np.random.default_rng(1)}, ValueError, "both seed and rng"),
        (RandomAffine, {"rng": 0}, TypeError, "got 0; make one with default_rng"),
        (RandomAffine, {"translate": (np.nan, 0)}, ValueError, "translate is nan"),
        (RandomAffine, {"scale": (1, np.inf)}, ValueError, "scale is inf"),
        (RandomAffine, {"seed": -1}, ValueError, "RandomAffine: seed is -1; it must be an integer of at least 0"),
        (ElasticTransform, {"seed": 1.5}, TypeError, "ElasticTransform: seed is 1.5"),
    ],
)
def test_bad_arguments(make, given, error, message):
    with pytest.raises(error, match=message):
        make(**given)


@pytest.mark.parametrize("make", [RandomAffine, ElasticTransform])
def test_images_with_infinities_are_refused(make):
    images = np.ones((2, 3, 3), np.float32)
    images[1, 1, 1] = -np.inf
    with pytest.raises(ValueError, match=f"{make.__name__}: the images hold infinity"):
        make()(images)


@pytest.mark.parametrize("option", ["degrees", "translate", "scale", "shear"])
def test_an_array_without_axes_is_no_pair(option):
    with pytest.raises(TypeError, match=f"{option} is .*; it must be a pair of numbers"):
        RandomAffine(**{option: np.array(2)})


@pytest.mark.parametrize("seed", [None, True, 1.5, "0", [1]])
def test_synthetic_digits_need_a_seed_to_repeat(seed):
    with pytest.raises(TypeError, match="synthetic_digits: seed is"):
        synthetic_digits(1, seed)
