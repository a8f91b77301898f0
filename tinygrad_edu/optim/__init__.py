"""Optimizers: they turn gradients into steps, with PyTorch's names, defaults and update rules.

optimizer = optim.Adam(model.parameters())
optimizer.zero_grad()
loss.backward()
optimizer.step()
"""

from tinygrad_edu.optim.optimizers import SGD, Adam, Optimizer

__all__ = ["SGD", "Adam", "Optimizer"]
