"""The same layer here and in PyTorch: outputs, gradients, 20 steps of training, and weights both ways."""

import numpy as np
import pytest

from tinygrad_edu import Tensor, optim

RNG = np.random.default_rng


def pytorch():
    """The module, or the test is skipped; on one thread, as threads that wait for each other cost most of the time."""
    torch = pytest.importorskip("torch")
    torch.set_num_threads(1)
    return torch


def check_alike(ours, theirs, *arrays, tolerance=1e-10):
    """Two functions of arrays give the same values and, for an upstream gradient without symmetry, the same gradients.

    What PyTorch refuses must be refused, too.
    """
    torch = pytorch()
    xs, ys = [Tensor(x) for x in arrays], [torch.tensor(x, requires_grad=True) for x in arrays]
    try:
        expected = theirs(*ys)
    except (RuntimeError, ValueError):
        with pytest.raises(ValueError):
            ours(*xs)
        return
    out = ours(*xs)
    np.testing.assert_allclose(out.data, expected.detach().numpy(), tolerance, tolerance)
    upstream = RNG(7).standard_normal(out.shape)
    out.backward(upstream)
    expected.backward(torch.from_numpy(upstream))
    for x, y in zip(xs, ys, strict=True):
        np.testing.assert_allclose(x.grad, y.grad.numpy(), tolerance, tolerance)


def check_training(ours, theirs, x, steps=20, tolerance=1e-9):
    """Two modules, from the weights of the first, take the same steps; weights travel both ways, strictly."""
    torch = pytorch()
    theirs = theirs.double()
    state = {key: torch.tensor(value) for key, value in ours.state_dict().items()}
    theirs.load_state_dict(state, strict=True)
    a, b = Tensor(x), torch.tensor(x, requires_grad=True)
    descents = (
        optim.SGD([a, *ours.parameters()], lr=0.1, momentum=0.9),
        torch.optim.SGD([b, *theirs.parameters()], 0.1, 0.9),
    )
    for _ in range(steps):
        losses = (ours(a) ** 2).mean(), (theirs(b) ** 2).mean()
        assert losses[0].item() == pytest.approx(losses[1].item(), rel=tolerance)
        for loss, descent in zip(losses, descents, strict=True):
            descent.zero_grad()
            loss.backward()
            descent.step()
    np.testing.assert_allclose(a.data, b.detach().numpy(), tolerance, tolerance)
    for key, value in theirs.state_dict().items():
        np.testing.assert_allclose(ours.state_dict()[key], value.numpy(), tolerance, tolerance, err_msg=key)
    assert ours.load_state_dict(theirs.state_dict(), strict=True) == ([], [])
