"""How jit works: a training step is written down once and run again, without what found out what to compute.
"""

import inspect

import lesson
import numpy as np
from tracing import Different, Hidden, Tape

from tinygrad_edu.engine import current_mode, setting
from tinygrad_edu.nn.summary import preserve_state
from tinygrad_edu.random import default_generator, generators_in


class Replay:
    def __init__(self, loss, model, optimizer, check_every=100):
        self.loss, self.model, self.optimizer, self.check_every = loss, model, optimizer, check_every
        self.recordings = {}

    def __call__(self, *inputs):
        key = tuple([(x.shape, x.dtype) if isinstance(x, np.ndarray) else x for x in inputs])
        recording = self.recordings.get(key)
        if current_mode() != (True, None, ()) :
            return self.finish(self.plain(inputs))
        if recording is None or not recording.holds():
            recording = self.recordings[key] = Recording(self.loss, self.model, inputs)
        try:
            loss = self.checked(recording, inputs) if recording.runs in (0, 1) or recording.runs % self.check_every == 0 else recording.run(inputs)
        except Different:
            self.recordings.pop(key)
            return self(*inputs)
        self.optimizer.step()
        return float(loss)

    def plain(self, inputs):
        self.model.zero_grad()
        loss = self.loss(*inputs)
        loss.backward()
        return loss.item()

    def checked(self, recording, inputs):
        loss = recording.run(inputs)
        replayed = [loss, *[p.grad for p in recording.params]]
        if recording.runs > 1:
            d = recording.tape.difference(Recording(self.loss, self.model, inputs).tape)
            if d: raise RuntimeError("differs: " + d)
        loss = self.plain(inputs)
        for a, b in zip(replayed, [loss, *[p.grad for p in recording.params]]):
            if (a is None) != (b is None) or (a is not None and not np.array_equal(a, b)):
                raise RuntimeError(f"numbers differ {a} {b}")
        return loss


class Recording:
    def __init__(self, function, model, inputs):
        self.runs = 0
        self.modules = list(model.modules())
        named = dict(model.named_parameters())
        self.params = list(named.values())
        self.flags = [p._requires_grad for p in self.params]
        self.attributes = [list(vars(m).values()) for m in self.modules]
        tape = self.tape = Tape()
        words = [*inspect.signature(function).parameters]
        arrays = [tape.hide(name, x) for name, x in zip(words, inputs)]
        generators = [default_generator(), *generators_in([function, model]).values()]
        states = repr([g.bit_generator.state for g in generators]) + repr(np.random.get_state())
        buffers = [b.tobytes() for b in model.buffers()]
        values = [p._values for p in self.params]
        hidden = [tape.hide(f"model.{path}", p._values) for path, p in named.items()]
        with preserve_state(model):
            try:
                for p, h in zip(self.params, hidden): p._values = h
                with setting(watch=tape):
                    loss = function(*arrays)
                    gradients = tape.backward(loss)
            finally:
                for p, v in zip(self.params, values): p._values = v
            if states != repr([g.bit_generator.state for g in generators]) + repr(np.random.get_state()):
                raise RuntimeError("random")
            if buffers != [b.tobytes() for b in model.buffers()]: raise RuntimeError("buffers")
            if not self.holds(): raise RuntimeError("attributes")
        results = [gradients[id(p)].name if id(p) in gradients else "None" for p in self.params]
        self.step, self.source = tape.function([x.name for x in arrays+hidden], [loss._values.name, *results])
        tape.tensors = None

    def holds(self):
        return self.flags == [p._requires_grad for p in self.params] and all(
            len(vars(m)) == len(seen) and all(x is y for x, y in zip(vars(m).values(), seen))
            for m, seen in zip(self.modules, self.attributes))

    def run(self, inputs):
        self.runs += 1
        loss, *gradients = self.step(*inputs, *[p._values for p in self.params])
        for p, g in zip(self.params, gradients): p.grad = g
        return loss
