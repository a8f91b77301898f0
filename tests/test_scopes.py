import numpy as np

from tinygrad_edu import Tensor, functional, nn, no_grad
from tinygrad_edu.scopes import library_function, mark


def calls_of(tensor):
    return [call for call, _ in tensor._scopes or ()]


def test_the_results_in_tuples_lists_and_dicts_are_marked_by_the_call():
    class Split(nn.Module):
        def forward(self, x):
            half = x * 2
            return {"both": [half, (half + 1, x)], "none": None, "words": "ab"}

    x, module = Tensor(1.0) * 1, Split()
    out = module(x)
    half, (more, same) = out["both"]
    assert calls_of(half) == calls_of(more) == [module] and half._scopes == more._scopes
    assert same is x and x._scopes is None


def test_what_was_there_before_the_call_and_constants_are_not_marked():
    weight, x = Tensor(1.0), Tensor(2.0) * 3
    for result in (weight, x, [weight, x]):

        class Given(nn.Module):
            def forward(self):
                return result  # noqa: B023

        Given()()
    assert weight._scopes is None and x._scopes is None
    with no_grad():
        assert nn.ReLU()(x)._scopes is None


def test_a_list_that_contains_itself_is_marked_once():
    x = Tensor(1.0) * 2
    endless = [x]
    endless.append(endless)
    assert mark(endless, "call", -1) is endless and calls_of(x) == ["call"]


def test_functions_of_several_ops_mark_their_results():
    x = Tensor(np.ones((2, 3)))
    assert calls_of(functional.mse_loss(x, np.zeros((2, 3)))) == [functional.mse_loss]
    assert calls_of(functional.linear(x, np.ones((4, 3)))) == [functional.linear]
    assert calls_of(functional.l1_penalty([x], 0.1)) == [functional.l1_penalty]
    assert functional.softmax(x)._scopes is None  # a single op
    assert functional.mse_loss(np.ones(2), np.zeros(2)) == 1


def test_the_decorator_keeps_name_and_result():
    @library_function
    def pair(x):
        """Two."""
        return x * 1, x * 2

    assert pair.__name__ == "pair" and pair.__doc__ == "Two." and pair(2) == (2, 4)
