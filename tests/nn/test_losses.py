import copy
import pickle

import numpy as np
import pytest

from tinygrad_edu import Tensor, functional, gradcheck, nn, optim

RNG = np.random.default_rng(0)
LOGITS, LABELS = RNG.standard_normal((6, 4)), np.array([0, 1, 2, 3, 3, 0])
INPUT, TARGET = RNG.standard_normal((5, 3)), RNG.standard_normal((5, 3))
P, Q = RNG.uniform(0.1, 0.9, (2, 5, 3))
WEIGHT = np.array([0.5, 1.0, 2.0, 3.0])
CASES = [  # class, arguments beside the reduction, input, target, function
    ("MSELoss", {}, INPUT, TARGET, functional.mse_loss),
    ("L1Loss", {}, INPUT, TARGET, functional.l1_loss),
    ("HuberLoss", {}, INPUT, TARGET, functional.huber_loss),
    ("HuberLoss", {"delta": 0.3}, INPUT, TARGET, functional.huber_loss),
    ("SmoothL1Loss", {}, INPUT, TARGET, functional.smooth_l1_loss),
    ("SmoothL1Loss", {"beta": 0.3}, INPUT, TARGET, functional.smooth_l1_loss),
    ("KLDivLoss", {}, np.log(P), Q, functional.kl_div),
    ("KLDivLoss", {"log_target": True}, np.log(P), np.log(Q), functional.kl_div),
    ("HingeEmbeddingLoss", {}, INPUT, np.where(TARGET > 0, 1, -1), functional.hinge_embedding_loss),
    ("HingeEmbeddingLoss", {"margin": 0.3}, INPUT, np.where(TARGET > 0, 1, -1), functional.hinge_embedding_loss),
    ("MultiMarginLoss", {}, LOGITS, LABELS, functional.multi_margin_loss),
    ("MultiMarginLoss", {"p": 2, "margin": 0.5, "weight": WEIGHT}, LOGITS, LABELS, functional.multi_margin_loss),
    ("BCELoss", {}, P, Q, functional.binary_cross_entropy),
    ("BCELoss", {"weight": WEIGHT[:3]}, P, Q, functional.binary_cross_entropy),
    ("BCEWithLogitsLoss", {}, INPUT, Q, functional.binary_cross_entropy_with_logits),
    ("BCEWithLogitsLoss", {"pos_weight": WEIGHT[:3]}, INPUT, Q, functional.binary_cross_entropy_with_logits),
    ("BCEWithLogitsLoss", {"weight": WEIGHT[:3]}, INPUT, Q, functional.binary_cross_entropy_with_logits),
    ("NLLLoss", {"ignore_index": 3}, LOGITS, LABELS, functional.nll_loss),
    ("CrossEntropyLoss", {"ignore_index": 0}, LOGITS, LABELS, functional.cross_entropy),
    ("NLLLoss", {}, LOGITS, LABELS, functional.nll_loss),
    ("NLLLoss", {"weight": WEIGHT}, LOGITS, LABELS, functional.nll_loss),
    ("CrossEntropyLoss", {}, LOGITS, LABELS, functional.cross_entropy),
    ("CrossEntropyLoss", {"weight": WEIGHT}, LOGITS, LABELS, functional.cross_entropy),
    ("CrossEntropyLoss", {"label_smoothing": 0.1}, LOGITS, LABELS, functional.cross_entropy),
    ("CrossEntropyLoss", {"weight": WEIGHT, "label_smoothing": 0.1}, LOGITS, LABELS, functional.cross_entropy),
]
every_case = pytest.mark.parametrize("name, options, input, target, function", CASES)
every_reduction = pytest.mark.parametrize("reduction", ["mean", "sum", "none"])


def test_every_loss_is_tested():
    assert {name for name in nn.__all__ if name.endswith("Loss")} == {case[0] for case in CASES}


@every_case
@every_reduction
def test_a_module_is_its_function(name, options, input, target, function, reduction):
    module = getattr(nn, name)(reduction=reduction, **options)
    expected = function(input, target, reduction, **options)
    for loss in (module, copy.deepcopy(module), pickle.loads(pickle.dumps(module))):
        np.testing.assert_array_equal(loss(Tensor(input), target).data, expected)
    assert gradcheck(module, input, target, order=2)
    x = Tensor(input, dtype=np.float32)
    out = module(x, target.astype(np.float32) if target.dtype.kind == "f" else target)
    out.backward(np.ones(out.shape))
    assert out.dtype == x.grad.dtype == np.float32


@every_case
@every_reduction
@pytest.mark.filterwarnings("ignore:reduction. 'mean' divides")
def test_values_and_state_are_pytorchs(name, options, input, target, function, reduction):
    torch = pytest.importorskip("torch")
    tensors = {k: torch.from_numpy(v) if isinstance(v, np.ndarray) else v for k, v in options.items()}
    theirs = getattr(torch.nn, name)(reduction=reduction, **tensors)
    ours = getattr(nn, name)(reduction=reduction, **options)
    expected = theirs(torch.from_numpy(input), torch.from_numpy(target)).numpy()
    np.testing.assert_allclose(ours(Tensor(input), target).data, expected, rtol=1e-12)
    assert ours.state_dict().keys() == theirs.state_dict().keys()
    ours.load_state_dict(theirs.state_dict())
    assert repr(getattr(nn, name)()) == repr(getattr(torch.nn, name)())


@pytest.mark.parametrize("name, options, input, target", [case[:4] for case in CASES[2:]])
@pytest.mark.filterwarnings("ignore:reduction. 'mean' divides")
def test_twenty_steps_of_training_are_pytorchs(name, options, input, target):
    torch = pytest.importorskip("torch")
    tensors = {k: torch.from_numpy(v) if isinstance(v, np.ndarray) else v for k, v in options.items()}
    ends = {
        "BCELoss": (nn.Sigmoid(), torch.nn.Sigmoid()),
        "KLDivLoss": (nn.LogSoftmax(-1), torch.nn.LogSoftmax(-1)),
        "NLLLoss": (nn.LogSoftmax(-1), torch.nn.LogSoftmax(-1)),
    }
    end, their_end = ends.get(name, (nn.Identity(), torch.nn.Identity()))
    n = input.shape[1]
    model = nn.Sequential(nn.Linear(n, n, dtype=np.float64), end)
    twin = torch.nn.Sequential(torch.nn.Linear(n, n, dtype=torch.float64), their_end)
    twin.load_state_dict({k: torch.from_numpy(np.asarray(v)) for k, v in model.state_dict().items()})
    loss, their_loss = getattr(nn, name)(**options), getattr(torch.nn, name)(**tensors)
    optimizer, x, t = optim.SGD(model.parameters(), lr=0.1), torch.from_numpy(input), torch.from_numpy(target)
    for _ in range(20):
        value, expected = loss(model(input), target), their_loss(twin(x), t)
        assert value.item() == pytest.approx(expected.item(), rel=1e-11, abs=1e-13)
        optimizer.zero_grad(), twin.zero_grad(), value.backward(), expected.backward()
        optimizer.step()
        with torch.no_grad():
            for p in twin.parameters():
                p -= 0.1 * p.grad


def test_cross_entropy_is_minus_the_log_of_the_right_probability():
    p = np.exp(LOGITS) / np.exp(LOGITS).sum(axis=1, keepdims=True)
    losses = -np.log(p[np.arange(6), LABELS])
    np.testing.assert_allclose(nn.CrossEntropyLoss(reduction="none")(Tensor(LOGITS), LABELS).data, losses, rtol=1e-12)
    chain = nn.Sequential(nn.LogSoftmax())
    np.testing.assert_allclose(nn.NLLLoss(reduction="none")(chain(Tensor(LOGITS)), LABELS).data, losses, rtol=1e-12)


def test_untrained_loss_of_ten_classes():
    loss = nn.CrossEntropyLoss()(Tensor(np.zeros((8, 10))), np.arange(8))
    assert loss.item() == pytest.approx(np.log(10), abs=1e-12)


def test_class_weights_are_buffers_of_their_own():
    weight = np.array([1, 2, 3, 4])
    loss = nn.CrossEntropyLoss(weight)
    assert list(loss.parameters()) == []
    weight[:] = 0
    np.testing.assert_array_equal(loss.state_dict()["weight"], [1.0, 2.0, 3.0, 4.0])
    assert [b.dtype for b in loss.buffers()] == [np.float64]
    assert nn.BCEWithLogitsLoss(pos_weight=3).state_dict()["pos_weight"].shape == ()
    assert nn.CrossEntropyLoss().state_dict() == {}


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda: nn.MSELoss("avg"), ValueError, "MSELoss: reduction is 'avg'; it must be 'mean', 'sum' or 'none'"),
        (lambda: nn.MSELoss(WEIGHT), ValueError, "MSELoss: reduction is array.*; it must be"),
        (lambda: nn.CrossEntropyLoss(reduction=None), ValueError, "CrossEntropyLoss: reduction is None"),
        (lambda: nn.CrossEntropyLoss("sum"), TypeError, "takes one number per class; write reduction='sum'"),
        (lambda: nn.NLLLoss(WEIGHT[:2])(LOGITS, LABELS), ValueError, r"weight has shape \(2,\)"),
        (
            lambda: nn.BCEWithLogitsLoss(pos_weight="2"),
            TypeError,
            "pos_weight is .2., but it takes one number per class$",
        ),
        (lambda: nn.BCELoss("sum"), TypeError, "BCELoss: weight is 'sum', .* write reduction='sum'"),
        (lambda: nn.SmoothL1Loss(beta=-1), ValueError, "SmoothL1Loss: beta is -1"),
        (lambda: nn.KLDivLoss("batch"), ValueError, "KLDivLoss: reduction is 'batch'; .*'none' or 'batchmean'"),
        (lambda: nn.KLDivLoss(log_target="yes"), TypeError, "KLDivLoss: log_target is 'yes'"),
        (lambda: nn.HingeEmbeddingLoss(np.inf), ValueError, "HingeEmbeddingLoss: margin is inf"),
        (lambda: nn.MultiMarginLoss(3), ValueError, "MultiMarginLoss: p is 3; it must be an integer from 1 to 2"),
        (lambda: nn.CrossEntropyLoss(ignore_index=0.0), TypeError, "CrossEntropyLoss: ignore_index is 0.0"),
        (lambda: nn.HuberLoss(delta=-1), ValueError, "HuberLoss: delta is -1; it must be a number, above 0"),
        (lambda: nn.CrossEntropyLoss(label_smoothing=2), ValueError, "CrossEntropyLoss: label_smoothing is 2; it must"),
    ],
)
def test_refusals(make, error, words):
    with pytest.raises(error, match=words):
        make()


def test_repr():
    assert repr(nn.MSELoss("sum")) == "MSELoss(reduction='sum')"
    assert repr(nn.HuberLoss(delta=0.5)) == "HuberLoss(delta=0.5)"
    assert repr(nn.CrossEntropyLoss(reduction="sum", label_smoothing=0.1)) == (
        "CrossEntropyLoss(reduction='sum', label_smoothing=0.1)"
    )
