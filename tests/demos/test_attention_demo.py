import numpy as np
import pytest
from demo_runs import import_demo

from tinygrad_edu import functional as F


@pytest.fixture(scope="module")
def demo():
    return import_demo("attention")


def test_one_head_looks_at_the_word_before(demo):
    _, weights, heard = demo.head(demo.codes(), *demo.before(100.0), causal=True)
    assert [demo.KNOWN[i] for i in heard.argmax(axis=1)] == ["the", *demo.WORDS[:-1]]
    np.testing.assert_allclose(weights.sum(axis=1), 1)
    assert not np.triu(weights, 1).any()


def test_the_other_finds_the_same_word(demo):
    _, weights, _ = demo.head(demo.codes(), *demo.same(100.0), causal=False)
    for word, row in zip(demo.WORDS, weights, strict=True):
        same = np.array([other == word for other in demo.WORDS])
        np.testing.assert_allclose(row, same / same.sum(), atol=1e-6)


@pytest.mark.parametrize("causal", [False, True])
def test_a_head_by_hand_is_the_librarys(demo, causal):
    x, weights = demo.codes(), demo.before(3.0)
    q, k, v = [x @ w for w in weights]
    expected = F.scaled_dot_product_attention(q, k, v, is_causal=causal)
    np.testing.assert_allclose(demo.head(x, *weights, causal)[2], expected, atol=1e-12)


def test_without_the_scale_softmax_passes_little_on(demo):
    rng = np.random.default_rng(0)
    (spread, largest, passed), (own, _, kept) = [demo.slopes(256, scaled, rng) for scaled in (False, True)]
    assert spread == pytest.approx(16, rel=0.1) and own == pytest.approx(1, rel=0.1)
    assert largest > 0.9 and passed < kept / 3


def test_what_is_printed_and_drawn(demo, tmp_path, capsys):
    demo.main(["--out", str(tmp_path)])
    printed = capsys.readouterr().out
    assert "so they hear: the the cat saw the other" in printed and "= [0.223, −0.163, −0.0599]" in printed
    assert sorted(path.name for path in tmp_path.glob("att*")) == ["attention_heads.png", "attention_scale.png"]
