import numpy as np
import pytest
from demo_runs import import_demo

from tinygrad_edu import functional as F, manual_seed, optim


@pytest.fixture(scope="module")
def demo():
    return import_demo("gpt")


def test_letters_and_batches(demo):
    data = demo.encode("abc\n\u00e9xyz" * 20)
    assert "".join([demo.LETTERS[i] for i in data[:7]]) == "abc\nxyz"
    x, y = demo.batch(data, 5, 6, np.random.default_rng(0))
    assert x.shape == y.shape == (5, 6)
    np.testing.assert_array_equal(x[:, 1:], y[:, :-1])


def test_a_place_does_not_see_what_comes(demo):
    manual_seed(0)
    model = demo.GPT(20, 8, 16, 2, 2)
    x = np.random.default_rng(0).integers(20, size=(1, 8))
    changed = x.copy()
    changed[0, -1] = (x[0, -1] + 1) % 20
    before, after = model(x).data, model(changed).data
    np.testing.assert_allclose(before[:, :-1], after[:, :-1], atol=1e-6)
    assert (before[:, -1] != after[:, -1]).any()


def test_it_learns_and_writes_and_shows_where_it_looks(demo, tmp_path, capsys):
    text = tmp_path / "text"
    text.write_text("the cat sat on the mat. " * 60, encoding="utf-8")
    small = ["--steps", "40", "--batch", "8", "--context", "16", "--width", "16", "--heads", "2", "--layers", "1"]
    demo.main(["--text", str(text), "--out", str(tmp_path / "out"), "--lr", "0.02", *small])
    printed = capsys.readouterr().out
    losses = [float(line.split("loss")[1].split()[0]) for line in printed.splitlines() if line.startswith("step")]
    assert len(losses) == 8 and losses[-1] < losses[0] - 1 and losses[0] < 5
    assert all(part in printed for part in ("before training:", "after training:", "without a preference: 4.564"))
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["gpt_attention.png", "gpt_loss.png"]


def test_a_text_that_is_too_short(demo, tmp_path):
    (tmp_path / "text").write_text("short", encoding="utf-8")
    with pytest.raises(ValueError, match="a text of 5 letters is too short"):
        demo.main(["--text", str(tmp_path / "text"), "--out", str(tmp_path)])


def test_the_same_model_in_pytorch_has_the_same_losses(demo):
    torch = pytest.importorskip("torch")
    t = torch.nn

    class Block(t.Module):
        def __init__(self, width, heads):
            super().__init__()
            self.norm1, self.norm2 = t.LayerNorm(width), t.LayerNorm(width)
            self.attention = t.MultiheadAttention(width, heads, batch_first=True)
            self.mlp = t.Sequential(t.Linear(width, 4 * width), t.ReLU(), t.Linear(4 * width, width))

        def forward(self, x):
            y, n = self.norm1(x), x.shape[1]
            mask = torch.triu(torch.ones(n, n, dtype=torch.bool), 1)
            x = x + self.attention(y, y, y, attn_mask=mask, need_weights=False)[0]
            return x + self.mlp(self.norm2(x))

    class GPT(t.Module):
        def __init__(self, letters, context, width, heads, layers):
            super().__init__()
            self.letter, self.place = t.Embedding(letters, width), t.Embedding(context, width)
            self.blocks = t.Sequential(*[Block(width, heads) for _ in range(layers)])
            self.norm, self.head = t.LayerNorm(width), t.Linear(width, letters)

        def forward(self, x):
            x = self.letter(x) + self.place(torch.arange(x.shape[1]))
            return self.head(self.norm(self.blocks(x)))

    manual_seed(0)
    sizes, rng = (30, 12, 16, 4, 2), np.random.default_rng(0)
    ours, theirs = demo.GPT(*sizes), GPT(*sizes)
    theirs.load_state_dict({name: torch.tensor(np.array(x)) for name, x in ours.state_dict().items()}, strict=True)
    steps = optim.AdamW(ours.parameters(), lr=1e-3), torch.optim.AdamW(theirs.parameters(), lr=1e-3)
    data = rng.integers(30, size=500)
    for _ in range(20):
        x, y = demo.batch(data, 4, 12, rng)
        loss = F.cross_entropy(ours(x).reshape(-1, 30), y.ravel())
        other = t.functional.cross_entropy(theirs(torch.tensor(x)).reshape(-1, 30), torch.tensor(y).ravel())
        assert loss.item() == pytest.approx(other.item(), abs=1e-4)
        for step, value in zip(steps, (loss, other), strict=True):
            step.zero_grad()
            value.backward()
            step.step()
    ours.load_state_dict({name: x.numpy() for name, x in theirs.state_dict().items()}, strict=True)
