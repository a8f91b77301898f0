"""A walk over the public signatures of nn and nn.init: no option is accepted and misread."""

import inspect
import math

import numpy as np
import pytest

from tinygrad_edu import Tensor, functional, nn

NEEDED = {  # what each needs besides its options
    "AdaptiveAvgPool2d": {"output_size": 2},
    "AvgPool2d": {"kernel_size": 2},
    "BatchNorm1d": {"num_features": 3},
    "BatchNorm2d": {"num_features": 3},
    "Conv1d": {"in_channels": 3, "out_channels": 4, "kernel_size": 3},
    "Conv2d": {"in_channels": 3, "out_channels": 4, "kernel_size": 3},
    "ConvTranspose2d": {"in_channels": 3, "out_channels": 4, "kernel_size": 3},
    "Embedding": {"num_embeddings": 3, "embedding_dim": 2},
    "GRU": {"input_size": 3, "hidden_size": 2},
    "GRUCell": {"input_size": 3, "hidden_size": 2},
    "GroupNorm": {"num_groups": 1, "num_channels": 4},
    "LSTM": {"input_size": 3, "hidden_size": 2},
    "LSTMCell": {"input_size": 3, "hidden_size": 2},
    "LayerNorm": {"normalized_shape": 3},
    "Linear": {"in_features": 3, "out_features": 2},
    "MLP": {"sizes": [3, 4, 2]},
    "MaxPool2d": {"kernel_size": 2},
    "Maxout": {"in_features": 3, "out_features": 2},
    "MultiheadAttention": {"embed_dim": 4, "num_heads": 2},
    "RMSNorm": {"normalized_shape": 3},
    "RNN": {"input_size": 3, "hidden_size": 2},
    "RNNCell": {"input_size": 3, "hidden_size": 2},
    "Upsample": {"scale_factor": 2.0},
    "calculate_gain": {"nonlinearity": "relu"},
    "constant": {"val": 1.0},
}
NO_NUMBER = [True, np.True_, math.nan, "3", None, 1j, [1], np.ones(2), Tensor(2.0)]
WRONG = {  # by the name of the option, or else by the type of its default value
    bool: [0, 1.0, "no", None, math.nan, [True], np.ones(2)],
    int: [True, 1.5, math.nan, "3", [1.0], Tensor(2.0), 10.0],
    float: [value for value in NO_NUMBER if value is not None],
    str: ["other", 3, True, ["mean"], np.ones(2)],
    "dtype": [None, True, 32, int, np.int64, "int8", complex, "float", object, np.float32(1), Tensor(1.0), [1, 2]],
    "weight": ["mean", [1, math.nan], [1, -1], [1, math.inf], [1j, 1], [None, 1], np.ma.array([1, 2], mask=[1, 0])],
    "rng": [0, True, "seed"],
    "normalized_shape": [True, 0, b"x", "3", (), (2, 0.5), [True]],
}
WRONG["eps"] = WRONG[float]
WRONG |= {"divisor_override": [0, *WRONG[int]], "size": [0, *WRONG[int]]}
WRONG["scale_factor"] = [0, -1, *NO_NUMBER[:4], (1, "2"), np.ones(2), Tensor(2.0)]
WRONG["dtype"].remove("float")  # which is float64
WRONG["pos_weight"] = WRONG["weight"]
OPTIONAL = {"stride", "momentum", "param", "kdim", "vdim", "padding_idx"}  # may be None
PLACES = [(nn, name) for name in nn.__all__ if isinstance(getattr(nn, name), type)]
PLACES += [(nn.init, name) for name in nn.init.__all__]


def make(place, name, **options):
    function = getattr(place, name)
    tensor = {"tensor": Tensor(np.zeros((4, 3)))} if "tensor" in inspect.signature(function).parameters else {}
    return function(**tensor | NEEDED.get(name, {}) | options)


def cases():
    for place, name in PLACES:
        for option, parameter in inspect.signature(getattr(place, name)).parameters.items():
            value = NEEDED.get(name, {}).get(option, parameter.default)
            for wrong in WRONG.get(option, WRONG.get(type(value), ())):
                yield place, name, option, wrong
            if option in ("a", "mean", "val", "param") and type(value) is not str:
                yield from [(place, name, option, wrong) for wrong in (math.nan, "1", True)]


@pytest.mark.parametrize(("place", "name"), PLACES, ids=[name for _, name in PLACES])
def test_wrong_values_are_refused_by_the_name_of_the_option(place, name):
    for _, owner, option, wrong in cases():
        if owner == name:
            with pytest.raises((TypeError, ValueError), match=rf"\b({option}|sizes)\b"):
                make(place, name, **{option: wrong})


def test_the_walk_tries_every_option_but_the_containers():
    tried = {(name, option) for _, name, option, _ in cases()}
    every = {(n, o) for place, n in PLACES for o in inspect.signature(getattr(place, n)).parameters}
    left = {("MLP", "sizes"), ("MLP", "activation")} | {
        (n, o) for n, o in every if o in ("layers", "modules", "tensor", "kernel_size")
    }
    assert {pair for pair in every - tried - left if pair[1] not in OPTIONAL} == set()


@pytest.mark.parametrize(
    ("make", "shapes"),
    [
        (lambda **o: nn.LeakyReLU(**o), {"negative_slope": (0.1, 0.2)}),
        (lambda **o: nn.ELU(**o), {"alpha": (1.0, 2.0)}),
        (lambda **o: nn.GELU(**o), {"approximate": ("none", "tanh")}),
        (lambda **o: nn.Softplus(**o), {"beta": (1.0, 2.0)}),
        (lambda **o: nn.Softmax(**o), {"dim": (0, 1)}),
        (lambda **o: nn.PReLU(**o), {"init": (0.1, 0.2)}),
        (lambda **o: nn.BatchNorm1d(3, **o), {"eps": (1e-5, 1.0), "affine": (True, False)}),
        (lambda **o: nn.LayerNorm(3, **o), {"eps": (1e-5, 1.0)}),
        (lambda **o: nn.Dropout(rng=np.random.default_rng(0), **o), {"p": (0.1, 0.9)}),
        (lambda **o: nn.Linear(3, 2, rng=np.random.default_rng(0), **o), {"init": ("default", "orthogonal")}),
        (lambda **o: nn.Maxout(3, 2, rng=np.random.default_rng(0), **o), {"pieces": (2, 3)}),
        (lambda **o: nn.Flatten(**o), {"start_dim": (0, 1)}),
    ],
)  # fmt: skip
def test_an_option_changes_what_comes_out(make, shapes):
    x = Tensor(np.random.default_rng(1).normal(size=(5, 3)))
    for option, values in shapes.items():
        first, second = [make(**{option: value}) for value in values]
        a, b = first(x), second(x)
        same = a.shape == b.shape and a.dtype == b.dtype and np.array_equal(a.data, b.data)
        assert not same or len(first.state_dict()) != len(second.state_dict()), option


X = np.random.default_rng(0).normal(size=(4, 3))
LABELS = np.array([0, 1, 2, 1])
LOSSES = {
    "mse_loss": (X, X + 1), "l1_loss": (X, X + 1), "huber_loss": (X, X + 1),
    "binary_cross_entropy": (np.full((4, 3), 0.3), np.eye(4, 3)),
    "binary_cross_entropy_with_logits": (X, np.eye(4, 3)), "cross_entropy": (X, LABELS), "nll_loss": (X, LABELS),
}  # fmt: skip


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize(
    "spoil",
    [
        lambda x: x + 1j,
        lambda x: x.astype(str),
        lambda x: x.astype(object),
        lambda x: x.astype("M8[s]"),
        lambda x: np.ma.array(x, mask=x == x),
        lambda x: [np.ma.array(row, mask=True) for row in x],
        lambda x: [np.ma.masked, *x.tolist()[1:]],
    ],
    ids=["complex", "text", "object", "date", "masked", "list of masked", "masked in a list"],
)
def test_losses_refuse_what_is_no_number_or_masked(name, spoil):
    loss, pair = getattr(functional, name), LOSSES[name]
    for i in range(2):
        for wrap in (lambda x: x, Tensor) if i == 1 else (lambda x: x,):
            wrong = [wrap(pair[0]), pair[1]]
            wrong[i] = spoil(np.asarray(pair[i]))
            with pytest.raises((TypeError, ValueError), match=name):
                loss(*wrong)


@pytest.mark.parametrize("name", LOSSES)
def test_losses_refuse_shapes_that_would_broadcast(name):
    loss = getattr(functional, name)
    for a, b in [((4, 1), (4,)), ((4,), (4, 1)), ((4, 1), (1, 4)), ((4,), ()), ((4, 3), (3,)), ((4,), (1,))]:
        for wrap in (np.array, Tensor):
            with pytest.raises((TypeError, ValueError), match=name):
                loss(wrap(np.full(a, 0.5)), np.full(b, 0.5))


@pytest.mark.parametrize("name", ["cross_entropy", "nll_loss"])
@pytest.mark.parametrize("weight", [*WRONG["weight"], [1, 1], 2.0, np.ones((1, 3))])
def test_wrong_class_weights(name, weight):
    weight = [*weight, 1] if isinstance(weight, list) and len(weight) == 2 and weight != [1, 1] else weight
    with pytest.raises((TypeError, ValueError), match=f"{name}: weight"):
        getattr(functional, name)(X, LABELS, weight=weight)


def test_a_bias_fits_its_weight():
    for shape in ((1,), (), (4, 2), (3,)):
        with pytest.raises(ValueError, match=r"linear: weight of shape \(2, 3\) and bias of shape"):
            functional.linear(X, np.ones((2, 3)), np.ones(shape))
    with pytest.raises(TypeError, match=r"conv2d: stride is None; it must be an integer"):
        functional.conv2d(np.ones((1, 1, 4, 4)), np.ones((1, 1, 2, 2)), stride=None)
    with pytest.raises(TypeError, match=r"l1_penalty: parameters is a ndarray"):
        functional.l1_penalty(np.ones(2), 0.1)
    with pytest.raises(ValueError, match=r"elu: alpha is nan"):
        functional.elu(X, math.nan)


F = functional
ATTENTION = nn.MultiheadAttention(3, 1)
SPOILED = {
    "ragged": [[1], [1, 2]],
    "text": [["a", "b", "c"]],
    "complex": np.ones((2, 3), complex),
    "masked": np.ma.array(np.ones((2, 3)), mask=np.eye(2, 3)),
    "None": None,
}
ONES = np.ones((2, 3))
TAKERS = [
    *[(name, getattr(F, name)) for name in ("softmax", "log_softmax", "gelu", "silu", "elu", "dropout", "normalize")],
    *[(name, getattr(F, name)) for name in ("one_hot", "adaptive_avg_pool2d", "embedding", "layer_norm", "rms_norm")],
    *[(name, getattr(F, name)) for name in ("linear", "conv1d", "conv2d", "conv_transpose2d", "max_pool2d")],
    *[(name, getattr(F, name)) for name in ("avg_pool2d", "interpolate", "group_norm", "prelu", "cosine_similarity")],
    ("scaled_dot_product_attention", lambda x, *_: F.scaled_dot_product_attention(x, ONES, ONES)),
    ("scaled_dot_product_attention: key", lambda x, *_: F.scaled_dot_product_attention(ONES, x, ONES)),
    ("scaled_dot_product_attention: value", lambda x, *_: F.scaled_dot_product_attention(ONES, ONES, x)),
    ("layer_norm: weight", lambda x, *_: F.layer_norm(ONES, 3, "a" if x is None else x)),
    ("conv2d: weight", lambda x, *_: F.conv2d(np.ones((1, 1, 3, 3)), x)),
    ("MultiheadAttention: query", lambda x, *_: ATTENTION(x, ONES, ONES)),
    ("MultiheadAttention: key", lambda x, *_: ATTENTION(ONES, x, ONES)),
    *[
        (type(layer).__name__, lambda x, *_, layer=layer: layer(x))
        for layer in (
            nn.Linear(3, 2), nn.Flatten(), nn.Residual(), nn.BatchNorm1d(3), nn.LayerNorm(3), nn.RMSNorm(3),
            nn.GroupNorm(1, 3), nn.Conv1d(3, 2, 1), nn.Conv2d(3, 2, 1), nn.ConvTranspose2d(3, 2, 1), nn.LSTM(3, 2),
            nn.GRU(3, 2), nn.RNN(3, 2), nn.LSTMCell(3, 2), nn.GRUCell(3, 2),
        )
    ],
]  # fmt: skip


@pytest.mark.parametrize("spoiled", SPOILED)
@pytest.mark.parametrize(("name", "take"), TAKERS, ids=[name for name, _ in TAKERS])
def test_what_is_no_array_of_numbers_is_refused_by_name(name, take, spoiled):
    needed = inspect.signature(take).parameters.values() if hasattr(F, name) else ()
    more = sum(p.default is p.empty for p in needed) - 1
    with pytest.raises((TypeError, ValueError), match=rf"^{name}\b") as caught:
        take(SPOILED[spoiled], *[np.ones(3) if name == "prelu" else 3] * more)
    assert spoiled != "masked" or "masked" in str(caught.value)
    assert spoiled != "ragged" or "of different lengths" in str(caught.value)


def test_masks_that_are_masked_arrays():
    mask = np.ma.array(np.ones((2, 2), bool), mask=[[1, 0], [0, 0]])
    with pytest.raises(TypeError, match="scaled_dot_product_attention: attn_mask: some entries are masked"):
        F.scaled_dot_product_attention(ONES, ONES, ONES, mask)
    for option in ("attn_mask", "key_padding_mask"):
        with pytest.raises(TypeError, match=f"MultiheadAttention: {option}: some entries are masked"):
            ATTENTION(ONES, ONES, ONES, **{option: mask if option == "attn_mask" else mask[0]})
    with pytest.raises(TypeError, match="embedding: input: some entries are masked"):
        nn.Embedding(3, 2)(np.ma.array([1, 2], mask=[True, False]))
    with pytest.raises(TypeError, match="GRU: hx: some entries are masked"):
        nn.GRU(3, 2)(ONES, np.ma.array(np.ones((1, 2)), mask=[[1, 0]]))
