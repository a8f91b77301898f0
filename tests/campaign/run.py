"""A small training, all of which can be looked at, saved and restored."""

import json

import numpy as np

from tinygrad_edu import manual_seed, nn, optim
from tinygrad_edu.random import default_generator
from tinygrad_edu.training import EarlyStopping
from tinygrad_edu.training.checkpoint import get_state, set_state, take_out_arrays

X = np.arange(8, dtype=np.float32).reshape(4, 2) / 8
Y = np.array([[0.0], [1.0], [0.5], [0.25]], np.float32)


class Run:
    """Two epochs were done."""

    def __init__(self, optimizer=optim.Adam):
        manual_seed(0)
        self.model = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2), nn.Dropout(0.5), nn.Linear(2, 1))
        self.optimizer = optimizer(self.model.parameters(), lr=0.01)
        self.scheduler = optim.ReduceLROnPlateau(self.optimizer)
        self.stopping, self.history, self.rng = EarlyStopping(3), [], np.random.default_rng(1)
        self.objects = {"model": self.model, "optimizer": self.optimizer, "scheduler": self.scheduler}
        self.objects |= {"early_stopping": self.stopping, "history": self.history, "generators": {"train": self.rng}}
        for epoch in range(1, 3):
            self.compute().backward()
            self.optimizer.step()
            self.scheduler.step(1.0 / epoch)
            self.stopping.step(1.0 / epoch, self.model)
            self.history.append({"epoch": epoch, "train_loss": 1.0 / epoch, "val_loss": float("nan")})
            self.optimizer.zero_grad()

    def compute(self):
        """The loss."""
        return nn.MSELoss()(self.model(X), Y)

    @property
    def parts(self):
        """Whatever has a state."""
        parts = [self.model, self.optimizer, self.scheduler, self.stopping, self.history, self.rng]
        return [*parts, default_generator()]

    def state(self):
        """Everything but gradients and modes, as a text."""
        arrays = {}
        states = [take_out_arrays(get_state(part), str(i), arrays) for i, part in enumerate(self.parts)]
        return json.dumps(states) + repr([(name, x.dtype.name, x.tolist()) for name, x in arrays.items()])

    def keep(self):
        """What `restore` needs."""
        grads = [None if p.grad is None else np.array(p.grad) for p in self.model.parameters()]
        return [get_state(part) for part in self.parts], grads, [m.training for m in self.model.modules()]

    def restore(self, kept):
        states, grads, modes = kept
        for part, state in zip(self.parts, states, strict=True):
            set_state(part, state)
        for p, grad in zip(self.model.parameters(), grads, strict=True):
            p.grad = None if grad is None else np.array(grad)
        for module, mode in zip(self.model.modules(), modes, strict=True):
            module.training = mode

    def outcome(self):
        """Everything, as a text."""
        grads = [None if p.grad is None else p.grad.tolist() for p in self.model.parameters()]
        return self.state() + repr(grads) + repr([m.training for m in self.model.modules()])
