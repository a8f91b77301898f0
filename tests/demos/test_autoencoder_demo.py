import numpy as np
import pytest
from demo_runs import import_demo

from tinygrad_edu import data, functional, manual_seed, nn, no_grad

demo = import_demo("autoencoder")


def test_the_best_code_by_lines_is_the_one_of_a_trained_linear_network():
    rng = np.random.default_rng(0)
    images = (rng.normal(size=(50, 3)) @ rng.normal(size=(3, 6))).astype(np.float32)
    losses = [demo.principal(images, images, n) for n in (1, 2, 3)]
    values = np.linalg.svd(images - images.mean(0), compute_uv=False) ** 2
    np.testing.assert_allclose(losses, [values[1:].sum() / 300, values[2:].sum() / 300, 0], rtol=1e-4, atol=1e-8)


def test_more_numbers_let_more_through_and_like_digits_lie_together():
    images, labels = data.synthetic_digits(700, seed=3)
    images, test, labels = demo.pixels(images[:500]), demo.pixels(images[500:]), labels[500:]
    assert images.dtype == np.float32 and images.min() == 0 and images.max() == 1
    losses = {}
    for numbers in (1, 16):
        manual_seed(0)
        model = demo.Autoencoder(numbers, 64)
        seen = demo.train(model, images, 60, np.random.default_rng(0))
        assert seen[-1] < seen[0]
        with no_grad():
            losses[numbers] = functional.mse_loss(model(test), test).item()
            codes = model.encoder(test).data
    assert losses[16] < 0.9 * losses[1]
    assert demo.neighbours(codes, labels) > 0.3


def test_neighbours_are_others():
    codes = np.array([[0.0, 0], [0.1, 0], [5, 5], [5, 5.1]])
    assert demo.neighbours(codes, np.array([1, 1, 2, 2])) == 1
    assert demo.neighbours(codes, np.array([1, 2, 1, 2])) == 0


def test_the_sheet_shows_each_place_upright():
    decoder = nn.Linear(2, 784, bias=False)
    decoder.weight.assign(np.tile([[1.0, 0.0]], (784, 1)))
    codes = np.array([[-1.0, -2], [1, 2]])
    sheet = demo.sheet(decoder, codes, 3)
    assert sheet.shape == (84, 84)
    np.testing.assert_allclose(sheet[0, ::28], sheet[-1, ::28])
    assert (np.diff(sheet[0, ::28]) > 0).all()
    decoder.weight.assign(np.tile([[0.0, 1.0]], (784, 1)))
    assert (np.diff(demo.sheet(decoder, codes, 3)[::28, 0]) < 0).all()  # up is more, as in the other picture


def test_the_program(tmp_path, capsys, folder, monkeypatch):
    monkeypatch.setenv("TINYGRAD_EDU_DATA", str(folder))
    options = ["--numbers", "1", "3", "--width", "8", "--epochs", "1", "--images", "100", "--side", "3"]
    demo.main([*options, "--out", str(tmp_path)])
    out = capsys.readouterr().out
    assert "100 images of MNIST, 1 epochs" in out
    assert [line.split()[0] for line in out.splitlines()[2:6]] == ["0", "1", "2", "3"]
    assert all((tmp_path / f"autoencoder_{name}.png").stat().st_size > 5000 for name in ("digits", "sheet", "codes"))


@pytest.mark.parametrize("options", [["--numbers", "0"], ["--images", "1"], ["--epochs", "0"], ["--side", "1"]])
def test_wrong_values_are_refused(options, capsys):
    with pytest.raises(SystemExit):
        demo.main(options)
    assert options[0] in capsys.readouterr().err
