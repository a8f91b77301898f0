"""Trains a small network to read handwritten digits, the "hello world" of machine learning.

It teaches the loop that all of deep learning shares: forward, loss, zero_grad, backward, step.
Around it stand a validation split to watch for overfitting, a learning rate that decays, and a test set used only once.
Run it with `python demos/mnist.py`; without MNIST's files and network it trains on synthetic digits and says so.
`--help` lists what to play with; `--hidden` without a number leaves softmax regression, the line to beat, which
`--baseline` trains from zeros beside the network; `--plots` draws the weights, the answers and the mistakes.
After every epoch the run is saved, so that `--resume FILE` can go on after Ctrl-C, to the same weights to the bit.
`python demos/mnist.py predict FILE IMAGE.png ...` reads digits in pictures of your own.
"""

import argparse
import json
import math
import shlex
import sys
import time
import zlib
from functools import partial
from pathlib import Path

import lesson
import numpy as np

from tinygrad_edu import data, nn, no_grad, optim, plots
from tinygrad_edu.functional import cross_entropy, softmax
from tinygrad_edu.training import Checkpoint, EarlyStopping, History, fit
from tinygrad_edu.training.metrics import accuracy, confusion_matrix, most_confused_pair

try:
    import safetensors  # noqa: F401  (better missed now than after the training)
    from tqdm import tqdm
except ImportError as error:
    sys.exit(f"this demo needs {error.name}, which is not installed; pip install tinygrad-edu[demos] brings it")

OPTIMIZERS = {
    "sgd": partial(optim.SGD, lr=0.05, momentum=0.9),
    "rmsprop": partial(optim.RMSprop, lr=1e-3),
    "adam": partial(optim.Adam, lr=1e-3),
    "adamw": partial(optim.AdamW, lr=1e-3),
}
SCHEDULERS = {  # functions of the optimizer and the number of epochs
    "none": lambda optimizer, epochs: None,
    "step": lambda optimizer, epochs: optim.StepLR(optimizer, step_size=math.ceil(epochs / 3)),
    "exponential": lambda optimizer, epochs: optim.ExponentialLR(optimizer, gamma=0.01 ** (1 / epochs)),
    "cosine": optim.CosineAnnealingLR,
    "warmup": lambda optimizer, epochs: optim.LinearWarmup(
        optimizer, total_iters=3, then=optim.CosineAnnealingLR(optimizer, max(1, epochs - 3))
    ),
    "plateau": lambda optimizer, epochs: optim.ReduceLROnPlateau(optimizer, patience=2),
}
INITS = {**{name: name for name in ("auto", "default", *nn.layers.SCHEMES)}, "zeros": nn.init.zeros}
RECIPES = {  # chosen on validation images; the test images had no say
    "best": {"hidden": [800, 400], "dropout": 0.2, "batch_norm": True, "augment": True, "batch_size": 128, "epochs": 40}
}
FIXED = ("hidden", "activation", "init", "batch_norm", "optimizer", "seed", "dataset", "labels")  # of a run, for good
SAVED = (*FIXED, "dropout", "augment", "lr", "weight_decay", "scheduler", "batch_size", "epochs", "patience")
CURVES = ("train_loss", "train_accuracy", "val_loss", "val_accuracy")


def train(model, optimizer, scheduler, stopping, training, validation, history, epochs, save, note):
    """Trains up to a number of epochs; after each it adds a record to the history, saves, and prints a line.

    Training loss and accuracy are averages over an epoch in which the model improves, so validation looks better first.
    """
    print("epoch  train loss  train acc  val loss  val acc  seconds")
    for epoch in range(len(history) + 1, epochs + 1):
        if stopping is not None and stopping.stopped:
            print(f"no lower val loss for {stopping.patience} epochs; epoch {stopping.best_epoch} had the lowest")
            break
        start = time.perf_counter()
        loss_sum = correct = seen = 0
        with tqdm(training, desc=f"epoch {epoch}", leave=False, disable=None) as bar:  # no bar without a terminal
            for images, labels in bar:  # (batch, 784) and (batch,)
                logits = model(images)  # (batch, 10)
                loss = cross_entropy(logits, labels)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()

                seen += len(labels)
                loss_sum += loss.item() * len(labels)
                correct += (logits.data.argmax(axis=1) == labels).sum()
                bar.set_postfix_str(f"loss {loss_sum / seen:.4f}, accuracy {correct / seen:.2%}", refresh=False)
        if not math.isfinite(loss_sum):
            sys.exit(f"error: the loss became {loss_sum} in epoch {epoch}; the steps are too long, try a smaller --lr")
        val_loss, predictions = evaluate(model, validation)
        row = loss_sum / seen, correct / seen, val_loss, accuracy(predictions, validation.labels)
        history.append(dict(zip(CURVES, row, strict=True)))
        advance(scheduler, val_loss)
        if stopping is not None:
            stopping.step(val_loss, model)
        save(epoch=epoch)
        line = "{:5}  {:10.4f}  {:9.2%}  {:8.4f}  {:7.2%}  {:7.2f}".format(epoch, *row, time.perf_counter() - start)
        print(line + note, flush=True)


def advance(scheduler, val_loss):
    """Sets the learning rate of the next epoch."""
    if isinstance(scheduler, optim.ReduceLROnPlateau):
        scheduler.step(val_loss)
    elif scheduler is not None:
        scheduler.step()


@no_grad()
def evaluate(model, loader):
    """Returns the mean loss and the predicted labels, shape (n,)."""
    model.eval()
    losses, predictions = [], []
    for images, labels in loader:
        logits = model(images)
        losses.append(cross_entropy(logits, labels, reduction="sum").item())
        predictions.append(logits.data.argmax(axis=1))
    model.train()
    return sum(losses) / len(loader.labels), np.concatenate(predictions)


def build(args):
    """The network that the options describe."""
    sizes, init = [784, *args.hidden, 10], INITS[args.init]
    return nn.MLP(sizes, args.activation, init=init, dropout=args.dropout, batch_norm=args.batch_norm)


def main(argv=None):
    argv = sys.argv[1:] if argv is None else argv
    if argv[:1] == ["predict"]:
        return predict(argv[1:])
    args = parse(argv)
    name, (images, labels, test_images, test_labels) = lesson.load_digits(args)
    args.dataset, checksum = "mnist" if name == "MNIST" else "synthetic", zlib.crc32(labels)
    if args.resume and args.labels != checksum:
        sys.exit(f"error: {args.resume} was trained on other images; say where they are with --data-dir")
    args.labels = checksum
    note = "" if name == "MNIST" else f" ({name})"

    rng = np.random.default_rng(args.seed)  # of the order and the augmentation; its state is saved with the run
    order = np.random.default_rng(args.seed).permutation(len(labels))
    held_out, kept = np.split(order, [max(1, len(labels) // 12)])  # 5,000 and 55,000 of MNIST's 60,000
    move = data.RandomAffine(degrees=15, translate=(0.08, 0.08), scale=(0.9, 1.1), shear=10, rng=rng)
    training = data.DataLoader(
        images[kept],
        labels[kept],
        args.batch_size,
        shuffle=True,
        rng=rng,
        drop_last=args.batch_norm and len(kept) % args.batch_size == 1,  # one example has no variance
        transform=(lambda x: lesson.flat(move(x))) if args.augment else lesson.flat,
    )
    validation = data.DataLoader(images[held_out], labels[held_out], 500, transform=lesson.flat)
    test = data.DataLoader(test_images, test_labels, 500, transform=lesson.flat)

    nn.init.manual_seed(args.seed)
    model = build(args)
    make_optimizer = OPTIMIZERS[args.optimizer]
    rates = {"lr": args.lr or make_optimizer.keywords["lr"], "weight_decay": args.weight_decay}
    optimizer = make_optimizer(model.parameters(), **rates)
    stopping = EarlyStopping(args.patience) if args.patience else None
    history = History()
    run = {"model": model, "optimizer": optimizer, "early_stopping": stopping}
    run |= {"history": history, "generators": {"training": rng}}
    options = json.dumps({name: getattr(args, name) for name in SAVED})
    save = partial(Checkpoint(args.save).save, **run, metadata={"options": options})

    begun = args.save.exists() and args.save != args.resume  # another run is there: keep it until this one has an epoch
    start = time.perf_counter()
    try:
        if args.resume:
            Checkpoint(args.resume).load(**run | {"early_stopping": stopping if args.was_patient else None})
            print(f"going on after epoch {len(history)} of {args.resume}")
        if not begun:
            save(epoch=len(history))  # better refused now than after an epoch
    except (OSError, ValueError) as error:
        sys.exit(f"error: {error}")
    optimizer.param_groups[0] |= rates  # the schedule begins anew: a resumed run may have another, or more epochs
    scheduler = SCHEDULERS[args.scheduler](optimizer, args.epochs)
    for record in history:
        advance(scheduler, record["val_loss"])
    try:
        train(model, optimizer, scheduler, stopping, training, validation, history, args.epochs, save, note)
        if stopping is not None:
            stopping.restore(model)
        _, predictions = evaluate(model, test)
        report(args, name, note, history, model, predictions, test_labels, time.perf_counter() - start)
        if args.baseline:
            share = baseline(training, test, len(history), args.seed)
            print(f"softmax regression after epoch {len(history)}: {share:.2%}{note}")
        if args.plots:
            draw(args.out, name, model, test)
    except OSError as error:
        sys.exit(f"error: {error}")
    except KeyboardInterrupt:
        how = "in the first epoch: nothing is saved" if begun and not history else f"to go on: {going_on(args)}"
        print(f"interrupted; {how}", file=sys.stderr)
        sys.exit(130)


def report(args, name, note, history, model, predictions, labels, seconds):
    """Draws the curves and prints what came of the training."""
    sizes = "-".join(map(str, [784, *args.hidden, 10]))
    print()
    lesson.save(plots.training_curves(history, f"{name}: {sizes}, {args.optimizer}"), args.out / "curves.png")
    true, predicted, count = most_confused_pair(confusion_matrix(predictions, labels, 10))
    print(f"saved run: {args.save}")
    print(f"test accuracy: {accuracy(predictions, labels):.2%}{note}")
    print(f"parameters: {sum(p.size for p in model.parameters()):,}")
    print(f"time: {seconds:.1f} s")
    print(f"most confused: {f'{true} taken for {predicted}' if count else 'none'}{note}")


def baseline(training, test, epochs, seed):
    """Test accuracy of softmax regression trained on the same images, as they are, with Adam and a cosine schedule."""
    model = nn.MLP([784, 10], init=nn.init.zeros)
    optimizer = optim.Adam(model.parameters(), lr=1e-3)
    schedule = optim.CosineAnnealingLR(optimizer, epochs)
    batches = data.DataLoader(training.images, training.labels, 64, shuffle=True, seed=seed, transform=lesson.flat)
    fit(model, batches, optimizer=optimizer, loss=cross_entropy, epochs=epochs, scheduler=schedule, progress=False)
    return accuracy(evaluate(model, test)[1], test.labels)


def draw(out, name, model, test):
    """Draws weights, answers, the worst mistakes and the confusion matrix."""
    with no_grad():
        model.eval()
        p = np.concatenate([softmax(model(images)).data for images, _ in test])  # (n, 10)
    images, labels, answers, confidence = test.images, test.labels, p.argmax(axis=1), p.max(axis=1)
    weights = model[0].weight.data  # (units, 784)
    order, names = np.argsort(-np.linalg.norm(weights, axis=1), kind="stable")[:40], None
    title = f"{name}: weights from the pixels to the {len(order)} strongest of {len(weights)} units"
    if len(model) == 1:  # softmax regression: a unit for each digit
        order, names, title = np.arange(10), [str(digit) for digit in range(10)], f"{name}: weights to the ten digits"
    figures = {"weights": plots.images(weights[order].reshape(-1, 28, 28), names, signed=True, title=title)}

    unsure = np.argsort(confidence, kind="stable")[:6]
    shown = np.concatenate([np.arange(len(p))[:6], unsure]).repeat(2)  # an image, and its bars
    titles = [f"{confidence[i]:.1%}" if j % 2 else f"{labels[i]}, read as {answers[i]}" for j, i in enumerate(shown)]
    title, marks = f"{name}: the first six images, and the six with the least confidence", (answers != labels)[shown]
    figures["predictions"] = plots.images(images[shown], titles, columns=6, title=title, marks=marks)
    for axes, i in zip(figures["predictions"].axes[1::2], shown[::2], strict=True):
        axes.images[0].remove()
        axes.barh(range(10), p[i], color=plots.BLUE)
        axes.set(xlim=(0, 1), ylim=(9.6, -0.6), yticks=range(10), aspect="auto", box_aspect=1)
        axes.tick_params(labelsize=8, length=0)

    wrong = np.flatnonzero(answers != labels)
    worst = wrong[np.argsort(-confidence[wrong], kind="stable")][:24]
    if not len(worst):
        (out / "mnist_mistakes.png").unlink(missing_ok=True)  # another run's
    else:
        titles = [f"{labels[i]}, read as {answers[i]}\n{confidence[i]:.1%}" for i in worst]
        title = f"{name}: the worst of {len(wrong):,} mistakes in {len(labels):,} test images"
        figures["mistakes"] = plots.images(images[worst], titles, title=title)
    counts, digits = confusion_matrix(answers, labels, 10), [str(digit) for digit in range(10)]
    words = {"xlabel": "read as", "ylabel": "digit", "title": f"{name}: how the test images were read"}
    figures["confusion"] = plots.table(counts, digits, digits, fmt="{:.0f}", **words)
    for key, figure in figures.items():
        lesson.save(figure, out / f"mnist_{key}.png")


def going_on(args):
    """The command that resumes this run."""
    words = ["python", sys.argv[0], "--resume", args.save]
    words += ["--data-dir", args.data_dir] if args.data_dir else []
    words += ["--out", args.out] if args.out != lesson.OUT else []
    words += [f"--{name}" for name in ("plots", "baseline") if getattr(args, name)]
    return shlex.join(map(str, words))


def predict(argv):
    """Reads digits in the user's own pictures with the network of a saved run."""
    parser = argparse.ArgumentParser(prog="mnist.py predict", description=predict.__doc__)
    parser.add_argument("weights", metavar="WEIGHTS", help="file of a saved run")
    parser.add_argument("images", metavar="IMAGE", nargs="+", help="picture of one digit, of any size and colours")
    args = parser.parse_args(argv)
    try:
        options = argparse.Namespace(**saved_options(args.weights))
        model = build(options)
        if not Checkpoint(args.weights).load(model=model):  # the number of epochs
            raise ValueError(f"{args.weights}: no epoch of this run is over, so its weights are random")
    except (OSError, ValueError) as error:
        sys.exit(f"error: {error}")
    model.eval()
    note = "" if options.dataset == "mnist" else " (trained on synthetic digits)"
    problems = 0
    for path in args.images:
        try:
            p = softmax(model(lesson.flat(data.read_digit(path)[None]))).data[0]  # (10,)
        except (OSError, ValueError) as error:
            print(f"error: {error}", file=sys.stderr)
            problems += 1
        else:
            print(f"{path}: {p.argmax()} ({p.max():.1%}){note}")
    sys.exit(1 if problems else 0)


def saved_options(path):
    """The options of a saved run."""
    try:
        options = json.loads(Checkpoint(path).metadata()["options"])
        return {name: options[name] for name in SAVED}
    except (KeyError, TypeError, json.JSONDecodeError) as error:
        raise ValueError(f"{path} is no run of this demo: the options are not in it, nor so the network") from error


def parse(argv):
    """Reads the options, and makes the folder for the pictures."""
    parser = lesson.parser(__doc__, digits=True)
    option, size = parser.add_argument, lesson.whole(1)
    share = lesson.option(float, lambda value: 0 <= value < 1, "a number of at least 0 and below 1")
    option("--recipe", choices=RECIPES, help="options that go well together; further ones change them")
    option("--hidden", type=size, nargs="*", default=[256, 128], help="sizes of the hidden layers, or none")
    option("--activation", choices=nn.activations.ACTIVATIONS, default="relu")
    option("--init", choices=INITS, default="auto", help="initial weights; auto: what suits the activation")
    option("--dropout", type=share, default=0.0, help="share of the hidden units that each step leaves out")
    switch = argparse.BooleanOptionalAction
    option("--batch-norm", action=switch, default=False, help="batch normalisation before each activation")
    option("--augment", action=switch, default=False, help="shift, turn, scale and slant the training images at random")
    option("--optimizer", choices=OPTIMIZERS, default="adam", help="sgd has momentum 0.9")
    option("--lr", type=lesson.above(0), help="learning rate to start from; sgd: 0.05, others: 0.001")
    option("--weight-decay", type=share, default=0.0, help="strength of the L2 penalty; adamw: decoupled from it")
    option("--scheduler", choices=SCHEDULERS, default="cosine", help="how the learning rate falls, epoch by epoch")
    option("--batch-size", type=size, default=64)
    option("--epochs", type=size, default=10)
    option("--patience", type=size, help="stop after so many epochs without a lower validation loss; keep the best")
    option("--plots", action="store_true", help="also draw weights, answers, the worst mistakes and what is confused")
    option("--baseline", action="store_true", help="also train softmax regression, and print its test accuracy")
    kept = "where this run is kept, in place of the one that was there; as --resume, or OUT/mnist.safetensors"
    option("--save", type=Path, metavar="FILE", help=kept)
    option("--resume", type=Path, metavar="FILE", help="go on with a saved run, with its options unless given anew")
    args = parser.parse_args(argv)
    saved = RECIPES.get(args.recipe, {})
    try:
        if args.save and args.save.exists():
            saved_options(args.save)  # nothing but a run is overwritten
    except (OSError, ValueError) as error:
        parser.error(f"argument --save: {error}")
    try:
        if args.resume:
            saved = saved_options(args.resume)
    except (OSError, ValueError) as error:
        parser.error(f"argument --resume: {error}")
    parser.set_defaults(**saved)
    args = parser.parse_args(argv)
    args.save = args.save or args.resume or args.out / "mnist.safetensors"
    args.was_patient = bool(saved.get("patience"))
    if args.resume and args.recipe:
        parser.error("argument --recipe: it begins a run, --resume goes on with one; take one of them")
    for name in FIXED if args.resume else ():
        if getattr(args, name) != saved[name]:
            why = f"the run was begun with {saved[name]}, which cannot change"
            parser.error(f"argument --{name.replace('_', '-')}: {why}")
    if args.batch_norm and args.batch_size == 1:
        parser.error("argument --batch-size: --batch-norm needs 2 examples or more")
    if not args.hidden and (args.batch_norm or args.dropout):
        parser.error("argument --hidden: --batch-norm and --dropout need hidden layers, and there are none")
    return args


if __name__ == "__main__":
    lesson.run(main, advice="fewer or smaller --hidden layers")
