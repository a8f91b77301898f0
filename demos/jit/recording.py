"""A recorded step of a model: made with hidden values, run with any."""

import inspect
from operator import is_

from jit.hidden import EARLIER, Hidden
from jit.tape import Tape
from tinygrad_edu.engine import is_tensor, setting
from tinygrad_edu.nn.summary import preserve_state
from tinygrad_edu.random import default_generator, generators_in


class Recording:
    """Loss and gradients of a model as one function of the inputs and the values of the parameters."""

    def __init__(self, loss, model, inputs):
        self.runs, self.tape = 0, Tape()
        self.attributes = [(module, vars(module), list(vars(module).values())) for module in model.modules()]
        named = dict(model.named_parameters())
        self.params = list(named.values())
        self.trained = [p._requires_grad for p in self.params]
        names = [name for name, x in inspect.signature(loss).parameters.items() if x.kind is not x.VAR_POSITIONAL]
        names += [f"x{i}" for i in range(len(names), len(inputs))]
        arrays = [self.tape.hide(name, x) for name, x in zip(names, inputs, strict=False)]
        values = [self.tape.hide(f"model.{path}", p._values) for path, p in named.items()]
        before = states_of_generators(model)
        with preserve_state(model):
            out, gradients = self.record(loss, model, arrays, values)
            self.check_attributes()
            if before != states_of_generators(model):
                what = "draws random numbers, as dropout does: a replay would repeat the first ones"
                raise RuntimeError(f"cannot record a step that {what}. {EARLIER}")
        results = [gradients[id(p)].name if id(p) in gradients else "None" for p in self.params]
        self.step, self.source = self.tape.function([x.name for x in arrays + values], [out._values.name, *results])

    def record(self, loss, model, arrays, hidden):
        """Runs the step with hidden values; returns the loss and the gradients by id of the parameter."""
        values = [p._values for p in self.params]
        try:
            for p, x in zip(self.params, hidden, strict=True):
                p._values = x
            self.hide_buffers(model)
            with setting(watch=self.tape):
                try:
                    out = loss(*arrays)
                finally:
                    self.check_parameters(hidden)
            if not is_tensor(out):
                raise TypeError(f"replay: the step returned a {type(out).__name__}; it must return the loss, a Tensor")
            if any(x._hooks for x in [*self.params, *self.tape.tensors]):
                raise RuntimeError(
                    "cannot record a step with hooks: a replay calls none; remove them, or take plain steps"
                )
            return out, self.tape.chain_rule(out)
        finally:
            for p, x in zip(self.params, values, strict=True):
                p._values = x

    def hide_buffers(self, model):
        """Hides the arrays that modules hold; in the lines they stand under names of their own."""
        paths = {id(array): path for path, array in model.named_buffers()}
        for _, now, _ in self.attributes:
            for name, x in now.items():
                if id(x) in paths:
                    now[name] = Hidden(self.tape, self.tape.name(f"model.{paths[id(x)]}", x), x)

    def check_parameters(self, hidden):
        """Refuses a step that assigns to a parameter."""
        if any(p._values is not x for p, x in zip(self.params, hidden, strict=True)):
            raise RuntimeError(
                "cannot record a step that assigns to a parameter: a replay would not; do it after the step"
            )

    def check_attributes(self):
        """Refuses a forward that keeps something in a module."""
        for module, now, before in self.attributes:
            for name, x in sorted(now.items(), key=lambda item: item[0].startswith("_")):
                x = x.value if isinstance(x, Hidden) else x
                if not any(x is old for old in before):
                    what = f"sets {type(module).__name__}.{name}, which a replay would not"
                    raise RuntimeError(f"cannot record a step that {what}. {EARLIER}")

    def fits(self):
        """Whether modules have the same objects in all attributes, such as `training`, and parameters are as before."""
        for _, now, before in self.attributes:
            if len(now) != len(before) or not all(map(is_, now.values(), before)):
                return False
        return self.trained == [not p._hooks and p._requires_grad for p in self.params]

    def run(self, inputs):
        """Fills the gradients; returns the loss."""
        for p in self.params:
            p.grad = None  # so that the new one can take its memory
        loss, *gradients = self.step(*inputs, *[p._values for p in self.params])
        for p, g in zip(self.params, gradients, strict=True):
            p.grad = g
        self.runs += 1
        return loss.item()


def states_of_generators(model):
    """The states of the generators that a model draws from, as text."""
    return repr([x.bit_generator.state for x in (default_generator(), *generators_in(model).values())])
