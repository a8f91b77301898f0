# /// script
# [tool.marimo.display]
# theme = "system"
# ///
"""The page of demos/playground.py, a marimo app: cells that run again when what they read has changed."""

import marimo

app = marimo.App(width="full", app_title="tinygrad_edu: playground", css_file="app.css")

with app.setup:
    import marimo as mo
    import numpy as np

    from play import pieces
    from play.expression import Expression, Wrong
    from play.network import DATA, OPTIMIZERS, OWN, PENALTIES, Trainer, board, cloud, samples
    from tinygrad_edu.nn.activations import ACTIVATIONS


@app.cell
def _():
    page = mo.ui.tabs({"An expression": "", "A network": ""})
    mo.vstack([page])
    return (page,)


@app.cell
def _():
    example = mo.ui.dropdown(pieces.EXAMPLES, value=next(iter(pieces.EXAMPLES)), label="example")
    remembered = {}  # numbers that leaves had, by name
    return example, remembered


@app.cell
def _(example):
    field = mo.ui.text_area(example.value, label="expression", full_width=True, debounce=500, rows=3)
    return (field,)


@app.cell
def _(field, remembered):
    expression, unread = None, None
    try:
        expression = Expression(field.value)
    except Wrong as error:
        unread = error
    leaves = expression.leaves if expression else {}
    sliders = mo.ui.dictionary({name: pieces.slider(name, start, remembered) for name, start in leaves.items()})
    leaf = mo.ui.dropdown([*leaves, pieces.ALL], value=next(iter(leaves), pieces.ALL), label="explain the slope to")
    view = mo.ui.radio(pieces.VIEWS, value=next(iter(pieces.VIEWS)), inline=True)
    return expression, leaf, sliders, unread, view


@app.cell
def _(expression, remembered, sliders, unread):
    output, tensors, problem = None, {}, unread
    if expression:
        remembered.update(sliders.value)
        try:
            output, tensors = expression.compute(sliders.value)
        except Wrong as error:
            problem = error
    return output, problem, tensors


@app.cell
def _(example, field, leaf, output, page, problem, sliders, tensors, view):
    mo.stop(page.value != "An expression")
    answer = [pieces.refusal(problem)] if problem else [mo.md(pieces.equation(output))]
    left = [
        example,
        field,
        *answer,
        *([sliders.vstack()] if sliders.elements else []),
        mo.accordion({"What can be typed?": mo.md(pieces.HELP)}),
    ]
    right = []
    if output is not None:
        chosen = tensors.values() if leaf.value == pieces.ALL else [tensors[leaf.value]]
        right = [
            view,
            pieces.drawn(output, view.value),
            leaf,
            pieces.scrolling(mo.md(output.explain(*chosen).markdown())),
        ]
    pieces.beside(mo.vstack(left), mo.vstack(right), widths=(2, 5), least="18rem")


@app.cell
def _():
    data = mo.ui.dropdown([*DATA, OWN], value="two moons", label="points")
    noise = mo.ui.slider(0, 0.5, 0.05, 0.1, label="noise", show_value=True)
    layers = mo.ui.slider(0, 4, 1, 2, label="hidden layers", show_value=True)
    neurons = mo.ui.slider(1, 32, 1, 8, label="neurons in each", show_value=True)
    activation = mo.ui.dropdown([*ACTIVATIONS], value="tanh", label="activation")
    optimizer = mo.ui.dropdown([*OPTIMIZERS], value="Adam", label="optimizer")
    dropout = mo.ui.slider(0, 0.8, 0.1, 0, label="dropout", show_value=True)
    return activation, data, dropout, layers, neurons, noise, optimizer


@app.cell
def _():
    lr = mo.ui.slider(steps=pieces.RATES, value=0.03, label="learning rate", show_value=True)
    penalty = mo.ui.dropdown([*PENALTIES], value="none", label="penalty")
    strength = mo.ui.slider(steps=pieces.STRENGTHS, value=0.001, label="its strength", show_value=True)
    pace = mo.ui.slider(steps=[1, 2, 5, 10, 20, 50], value=10, label="steps a picture", show_value=True)
    graph_of = mo.ui.dropdown(pieces.GRAPHS, value="none", label="graph of the next step")
    return graph_of, lr, pace, penalty, strength


@app.cell
def _():
    get_running, set_running = mo.state(False, allow_self_loops=True)
    get_starts, set_starts = mo.state(0)
    get_step, set_step = mo.state(0)  # the last one, which is drawn
    get_own, set_own = mo.state((np.empty((0, 2)), np.empty(0, int)))
    return get_own, get_running, get_starts, get_step, set_own, set_running, set_starts, set_step


@app.cell
def _(activation, data, dropout, get_starts, layers, neurons, noise, optimizer):
    made = None if data.value == OWN else samples(data.value, noise.value, seed=0)
    sizes = [neurons.value] * layers.value
    fresh = Trainer(sizes, activation.value, optimizer.value, dropout.value, seed=get_starts())
    return fresh, made


@app.cell
def _(fresh, get_own, lr, made, penalty, strength):
    fresh.lr, fresh.penalty, fresh.strength = lr.value, penalty.value, strength.value
    fresh.use(*(get_own() if made is None else (*made[0], made[1])))
    trainer = fresh  # with all that it needs
    return (trainer,)


@app.cell
def _(get_running, pace, set_running, set_starts, set_step, trainer):
    def learn(steps):
        trainer.learn(steps)
        set_step(trainer.steps)
        if trainer.trouble:
            set_running(False)

    def start_anew(_):
        set_running(False)
        set_starts(lambda starts: starts + 1)

    def start_or_pause(_):
        set_running(not get_running() and not trainer.trouble)

    run = mo.ui.button(label="Pause" if get_running() else "Run", on_change=start_or_pause)
    step = mo.ui.button(label="Step", on_change=lambda _: learn(1))
    anew = mo.ui.button(label="Start anew", on_change=start_anew)
    ticker = mo.ui.refresh(default_interval=0.3, on_change=lambda _: learn(pace.value)) if get_running() else mo.md("")
    buttons = mo.hstack([run, step, anew, ticker.style({"display": "none"})], justify="start")
    return (buttons,)


@app.cell
def _(set_own):
    colour = mo.ui.radio(["blue", "orange"], value="blue", inline=True, label="click for a point, drag for more")
    undo = mo.ui.button(label="Undo", on_change=lambda _: set_own(lambda own: (own[0][:-1], own[1][:-1])))
    clear = mo.ui.button(label="Clear", on_change=lambda _: set_own((np.empty((0, 2)), np.empty(0, int))))
    return clear, colour, undo


@app.cell
def _(get_own):
    canvas = mo.ui.matplotlib(board(*get_own()).axes[0], debounce=True)
    return (canvas,)


@app.cell
def _(canvas, colour, set_own):
    if canvas.value:
        new = cloud(canvas.value, np.random.default_rng())
        kinds = np.full(len(new), colour.value == "orange")
        set_own(lambda own: (np.concatenate([own[0], new]), np.concatenate([own[1], kinds.astype(int)])))
    return


@app.cell
def _(activation, data, dropout, layers, lr, neurons, noise, optimizer, pace, penalty, strength):
    noises = [] if data.value == OWN else [noise]
    strengths = [] if penalty.value == "none" else [strength]
    setting = [data, *noises, layers, neurons, activation, optimizer, lr, penalty, *strengths, dropout, pace]
    return (setting,)


@app.cell
def _(buttons, canvas, clear, colour, get_running, get_step, graph_of, made, page, setting, trainer, undo):
    mo.stop(page.value != "A network")
    own = [colour, canvas, mo.hstack([undo, clear], justify="start")] if made is None else []
    get_step()
    views = [buttons]
    if trainer.ready:
        views += [pieces.refusal(trainer.trouble)] if trainer.trouble else []
        views += [pieces.beside(*pieces.progress(trainer)), *pieces.weights(trainer), graph_of]
        if graph_of.value and not get_running():
            views.append(pieces.picture(trainer.graph(*graph_of.value)))
    else:
        views.append(mo.md("Set a blue and an orange point at least: without both there is nothing to tell apart."))
    pieces.beside(mo.vstack([*setting, *own]), mo.vstack(views), widths=(2, 5), least="18rem")


if __name__ == "__main__":
    app.run()
