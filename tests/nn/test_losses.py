import numpy as np
import pytest

from tinygrad_edu import Tensor, gradcheck, nn

RNG = np.random.default_rng(0)
LOGITS, LABELS = RNG.standard_normal((6, 4)), np.array([0, 1, 2, 3, 3, 0])
INPUT, TARGET = RNG.standard_normal((5, 3)), RNG.standard_normal((5, 3))


def test_mse_is_the_mean_square():
    squares = (INPUT - TARGET) ** 2
    for reduction, expected in (("mean", squares.mean()), ("sum", squares.sum()), ("none", squares)):
        np.testing.assert_allclose(nn.MSELoss(reduction)(Tensor(INPUT), TARGET).data, expected, rtol=1e-12)


def test_cross_entropy_is_minus_the_log_of_the_right_probability():
    p = np.exp(LOGITS) / np.exp(LOGITS).sum(axis=1, keepdims=True)
    losses = -np.log(p[np.arange(6), LABELS])
    for reduction, expected in (("mean", losses.mean()), ("sum", losses.sum()), ("none", losses)):
        np.testing.assert_allclose(nn.CrossEntropyLoss(reduction)(Tensor(LOGITS), LABELS).data, expected, rtol=1e-12)


def test_untrained_loss_of_ten_classes():
    loss = nn.CrossEntropyLoss()(Tensor(np.zeros((8, 10))), np.arange(8))
    assert loss.item() == pytest.approx(np.log(10), abs=1e-12)


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_gradients(reduction):
    assert gradcheck(nn.MSELoss(reduction), INPUT, TARGET, order=2)
    assert gradcheck(nn.CrossEntropyLoss(reduction), LOGITS, LABELS, order=2)


@pytest.mark.parametrize("name", ["MSELoss", "CrossEntropyLoss"])
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_values_are_pytorchs(name, reduction):
    torch = pytest.importorskip("torch")
    args = (INPUT, TARGET) if name == "MSELoss" else (LOGITS, LABELS)
    theirs = getattr(torch.nn, name)(reduction=reduction)(*map(torch.from_numpy, args))
    ours = getattr(nn, name)(reduction)(Tensor(args[0]), args[1])
    np.testing.assert_allclose(ours.data, theirs.numpy(), rtol=1e-12)


def test_an_unknown_reduction_is_refused_at_once():
    with pytest.raises(ValueError, match="MSELoss: reduction must be 'mean', 'sum' or 'none', not 'avg'"):
        nn.MSELoss("avg")


def test_repr():
    assert repr(nn.MSELoss("sum")) == "MSELoss(reduction='sum')"
