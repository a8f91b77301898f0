"""Schedulers beside PyTorch's."""

import warnings

import numpy as np
import pytest

from tinygrad_edu import Tensor, optim

RATES = [0.1, 0.5, 3e-3]


def optimizer(rates=RATES, kind=optim.SGD):
    return kind([{"params": [Tensor(0.0)], "lr": lr} for lr in rates])


def momenta(one):
    """The momentum of each group, or the first of the betas."""
    return [group["betas"][0] if "betas" in group else group["momentum"] for group in one.param_groups]


def same_as_torch(make, epochs, kind=optim.SGD, step=lambda scheduler, epoch: scheduler.step()):
    """Compares rates and momenta over some epochs; in the middle a new scheduler goes on with the state of the old."""
    torch = pytest.importorskip("torch")
    a = optimizer(kind=kind)
    groups = [{"params": [torch.zeros(1, requires_grad=True)], "lr": lr} for lr in RATES]
    b = getattr(torch.optim, kind.__name__)(groups)
    ours, theirs = make(optim.lr_scheduler, a), make(torch.optim.lr_scheduler, b)
    for epoch in range(epochs):
        np.testing.assert_allclose(ours.get_last_lr(), [group["lr"] for group in b.param_groups], rtol=0, atol=1e-12)
        assert ours.get_last_lr() == [group["lr"] for group in a.param_groups]
        np.testing.assert_allclose(momenta(a), momenta(b), rtol=1e-12)
        assert ours.last_epoch == theirs.last_epoch
        if epoch == epochs // 2:
            state, a = ours.state_dict(), optimizer([0.7] * 3, kind)
            ours = make(optim.lr_scheduler, a)
            ours.load_state_dict(state)
            assert ours.state_dict() == state
            np.testing.assert_allclose(momenta(a), momenta(b), rtol=1e-12)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # of a step before the optimizer's, and of epochs
            step(ours, epoch), step(theirs, epoch)
