import functools
import weakref

import numpy as np
import pytest

from tinygrad_edu import Tensor
from tinygrad_edu.random import default_generator, generators_in, manual_seed


class Owner:
    """Has generators in attributes and in what these hold."""

    def __init__(self):
        self.rng, self.deep = np.random.default_rng(0), {"list": [1, (np.random.default_rng(1),)]}
        self.myself = self

    def draw(self):
        return self.rng.random()


owner, unused = Owner(), Owner()


def draw_globally(x=0):
    unused = x  # hides the global
    return [owner.draw() + x for x in (x, unused)]


def enclosing():
    rng = np.random.default_rng(0)
    if rng is None:
        later = 0

    def draw():
        return (lambda: rng.random())() + later

    return draw


def marked(x):
    return x


marked.rng = np.random.default_rng(0)
OWNED = ["rng", "deep.list.1.0"]


def below(path, names=OWNED):
    return [f"{path}.{name}" for name in names]


@pytest.mark.parametrize(
    ("thing", "paths"),
    [
        (np.random.default_rng(0), [""]),
        (Owner(), OWNED),
        ([Owner(), owner, owner], [*below("0"), *below("1")]),
        ({"a": owner, "b": (owner.rng, np.random.default_rng(2))}, [*below("a"), "b.1"]),
        (owner.draw, below("self")),
        (functools.partial(print, owner, rng=marked.rng), [*below("args.0"), "keywords.rng"]),
        (functools.partial(marked), ["func.__dict__.rng"]),
        (lambda a, b=owner, *, c=marked.rng: a, [*below("__defaults__.0"), "__kwdefaults__.c"]),
        (draw_globally, below("owner")),
        (lambda: [draw_globally() for _ in range(2)], below("draw_globally.owner")),
        (enclosing(), ["rng"]),
        (lambda: manual_seed, []),
        ([Owner, np, Tensor([1.0]), np.array([None, owner]), None, "text", weakref.ref(owner)], []),
    ],
)
def test_generators_in(thing, paths):
    found = generators_in(thing)
    assert list(found) == paths
    assert all(isinstance(rng, np.random.Generator) for rng in found.values())


def test_generators_in_leaves_out_the_librarys():
    manual_seed(0)
    assert generators_in([default_generator(), default_generator]) == {}


rng = np.random.default_rng(0)  # has the name of an attribute below


def test_an_attribute_is_not_taken_for_a_global_variable_of_its_name():
    class Augment:
        def __init__(self):
            self.rng = np.random.default_rng(1)

    augment = Augment()
    assert list(generators_in(lambda x: x + augment.rng.normal())) == ["augment.rng"]
    assert list(generators_in(lambda x: x + rng.normal())) == ["rng"]


def test_manual_seed_starts_the_same_generator_anew():
    generator = default_generator()
    for seed in (3, np.int64(3), np.array(3)):
        assert manual_seed(seed) is default_generator() is generator
        assert generator.random() == np.random.default_rng(3).random()


@pytest.mark.parametrize(
    ("seed", "error", "found"),
    [(-1, ValueError, "-1"), (None, TypeError, "None"), (1.0, TypeError, "1.0"), (True, TypeError, "True")],
)
def test_seeds_that_repeat_nothing_or_cannot_be(seed, error, found):
    state = default_generator().bit_generator.state
    with pytest.raises(error, match=f"manual_seed: seed is {found}; it must be an integer of at least 0"):
        manual_seed(seed)
    assert default_generator().bit_generator.state == state
