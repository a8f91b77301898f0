import numpy as np
import pytest
from demo_runs import import_demo

demo = import_demo("rnn")


def test_sequences_begin_with_their_bit():
    x, bits = demo.examples(50, 7, np.random.default_rng(0))
    assert x.shape == (7, 50, 1) and bits.shape == (50,) and {*bits} == {0, 1}
    np.testing.assert_array_equal(x.data[0, :, 0], 2 * bits - 1)
    assert 0.2 < x.data[1:].std() < 0.4


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_open_gates_let_the_gradient_through(seed):
    ratio = {}
    for kind in demo.KINDS:
        g = demo.gradients(kind, 60, 16, np.random.default_rng(seed))
        assert g.shape == (60,)
        ratio[kind] = g[0] / g[-1]
    assert max(ratio[kind] for kind in ("RNN", "GRU", "LSTM")) < 1e-7
    assert all(0.003 < ratio[kind] < 30 for kind in ("GRU, open", "LSTM, open"))


def test_the_gates_that_are_opened_are_those_that_keep_the_state():
    for kind in ("GRU, open", "LSTM, open"):
        layer = demo.Memory(kind, 5, np.random.default_rng(0)).layer
        for p in layer.parameters():
            p.assign(np.where(p.data == demo.OPEN, p.data, 0))
        state = np.ones((1, 1, 5), np.float32)
        kept = layer(np.zeros((1, 1, 1), np.float32), state if kind.startswith("GRU") else (0 * state, state))[1]
        np.testing.assert_allclose((kept if kind.startswith("GRU") else kept[1]).data, 0.982, atol=1e-3)


def test_an_lstm_with_open_gates_remembers_longer():
    assert demo.remembered("LSTM, open", 25, 16, 60, 0) > 0.95 > 0.7 > demo.remembered("LSTM", 25, 16, 60, 0)


@pytest.mark.parametrize("seed", [0, 1])
def test_a_run_explodes_and_learns_with_clipping(seed):
    with np.errstate(over="ignore", invalid="ignore"):
        (lost, norms), (losses, clipped) = [demo.exploding(clip, 16, 200, seed) for clip in (1e30, 1.0)]
    assert not np.mean(lost[-20:]) < 0.6 and np.nanmax(norms) > 50  # NaN is not
    assert np.mean(losses[-20:]) < 0.01 and max(clipped) > 1


def test_the_program(tmp_path, capsys):
    demo.main(["--lengths", "8", "3", "3", "--units", "4", "--steps", "3", "--out", str(tmp_path / "new")])
    for name in ("rnn.png", "rnn_clipping.png"):
        assert (tmp_path / "new" / name).stat().st_size > 10_000
    out = capsys.readouterr().out
    assert "after 3 steps of training" in out and "over 8 steps by: none of them" in out and "clipped at 1" in out
    rows = [line.split() for line in out.splitlines() if line.startswith(("     3", "     8"))]
    assert [row[0] for row in rows] == ["3", "8", "3", "8"] and {len(row) for row in rows} == {6}


@pytest.mark.parametrize("options", [["--lengths", "1"], ["--steps", "0"], ["--clip", "0"], ["--units", "-1"]])
def test_wrong_values_are_refused(options, capsys):
    with pytest.raises(SystemExit):
        demo.main(options)
    assert options[0] in capsys.readouterr().err
