import numpy as np
import pytest
from demo_runs import import_demo

from tinygrad_edu.data import synthetic_digits


def test_shifts_move_pixels_and_fill_with_black():
    demo = import_demo("shift")
    image = np.arange(1, 10, dtype=np.uint8).reshape(1, 3, 3)
    np.testing.assert_array_equal(demo.shifted(image, 0, 1)[0], [[0, 1, 2], [0, 4, 5], [0, 7, 8]])
    np.testing.assert_array_equal(demo.shifted(image, -2, 0)[0], [[7, 8, 9], [0, 0, 0], [0, 0, 0]])
    np.testing.assert_array_equal(demo.shifted(image, 0, 0), image)
    digits = np.pad(synthetic_digits(5, seed=0)[0], ((0, 0), (1, 1), (1, 1)))
    for down, right in demo.DIRECTIONS:  # there and back
        np.testing.assert_array_equal(demo.shifted(demo.shifted(digits, down, right), -down, -right), digits)


def centred(demo, count, seed):
    """Synthetic digits with the centre of mass in the middle, as MNIST has them."""
    images, labels = synthetic_digits(count, seed=seed)
    for i, image in enumerate(images):
        down, right = [round(13.5 - np.average(range(28), weights=image.sum(axis=axis))) for axis in (1, 0)]
        images[i] = demo.shifted(image[None], down, right)[0]
    return images, labels


def test_the_mlp_loses_more_by_a_shift_than_the_cnn():
    demo = import_demo("shift")
    training, test = centred(demo, 1000, seed=1), centred(demo, 100, seed=2)
    mlp, cnn = [demo.accuracies(demo.train(name, *training, epochs=2, seed=0), *test) for name in ("MLP", "CNN")]
    assert len(mlp) == len(cnn) == 5
    assert mlp[0] > 0.8 and cnn[0] > 0.8
    assert cnn[2] > mlp[2] + 0.05
    assert mlp[4] < mlp[2] < mlp[0] and cnn[4] < cnn[2] < cnn[0]


def test_the_digit_to_show_is_read_by_both_until_it_is_moved(monkeypatch):
    demo = import_demo("shift")
    monkeypatch.setattr(demo, "read", lambda column, images: images[:, 0, column])
    models = {"MLP": 2, "CNN": 1}  # the pixel each reads; 2 is 0 after the shift
    images = np.array([[[1, 1, 1]], [[9, 9, 1]], [[9, 1, 9]], [[9, 1, 1]], [[8, 1, 1]]])
    assert demo.first_lost_digit(models, images, np.ones(5)) == 3
    assert demo.first_lost_digit(models, images[:3], np.ones(3)) is None


def test_the_table_and_the_pictures(folder, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("TINYGRAD_EDU_DATA", str(folder))
    out = tmp_path / "new" / "folder"
    import_demo("shift").main(["--epochs", "1", "--images", "200", "--test-images", "20", "--out", str(out)])
    text = capsys.readouterr().out
    assert "MNIST: 200 images to train on, 20 to test with; epochs: 1" in text and "CNN: 18,378 parameters" in text
    assert [line.split()[0] for line in text.splitlines() if line.endswith("%")] == list("01234")
    for name in ("shift.png", "shift_digit.png"):
        assert str(out / name) in text and (out / name).read_bytes()[:4] == b"\x89PNG"


@pytest.mark.parametrize("options", [["--epochs", "0"], ["--images", "0"], ["--test-images", "-1"]])
def test_wrong_values_are_refused(options, capsys):
    with pytest.raises(SystemExit) as caught:
        import_demo("shift").main(options)
    assert caught.value.code == 2
    assert options[0] in capsys.readouterr().err.splitlines()[-1]
