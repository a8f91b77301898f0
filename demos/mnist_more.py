"""demos/mnist.py with all that surrounds a training: recipes, remedies against overfitting, saved runs, pictures.

It takes the options of mnist.py, and further ones: initial weights, dropout, batch norm, augmentation, schedules and
early stopping; `--recipe best` sets those that go well together.
After every epoch the run is saved, so that `--resume FILE` can go on after Ctrl-C, to the same weights to the bit.
`--plots` draws the weights, the answers and the mistakes; `--baseline` trains softmax regression beside the network.
`mpiexec -n 2` before `python` trains on two processes; a saved run goes on with any number of them.
`python demos/mnist_more.py predict FILE IMAGE.png ...` reads digits in pictures of your own.
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
from mnist import HEADING, OPTIMIZERS, ROW, add_options, report, split, train_epoch
from mnist_pictures import draw

from tinygrad_edu import cross_entropy, data, manual_seed, nn, optim, plots, softmax
from tinygrad_edu.files import visible
from tinygrad_edu.training import Checkpoint, DataParallel, EarlyStopping, History, accuracy, evaluate, fit, predict
from tinygrad_edu.training.epoch import step_scheduler

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
VALIDATION_LOSS = nn.CrossEntropyLoss(reduction="sum")  # as the mean, but rounded to float32 once less
NEEDS = ("matplotlib", "safetensors", "tqdm")


def main(argv=None):
    argv = sys.argv[1:] if argv is None else argv
    if argv[:1] == ["predict"]:
        return read_pictures(argv[1:])
    args = parse(argv)
    name, digits = lesson.load_digits(args)
    note = "" if name == "MNIST" else f" ({name})"
    checksum = zlib.crc32(digits[1])
    if args.resume and args.labels != checksum:
        sys.exit(f"error: {args.resume} was trained on other images; say where they are with --data-dir")
    args.dataset, args.labels = "mnist" if name == "MNIST" else "synthetic", checksum
    rng = np.random.default_rng(args.seed)  # of the order and the augmentation; its state is saved with the run
    run, lr = new_run(args, rng)
    parallel = DataParallel(run["model"])
    training, validation, test = loaders(args, digits, rng, parallel)
    options = json.dumps({option: getattr(args, option) for option in SAVED})
    save = partial(Checkpoint(args.save).save, **run, metadata={"options": options})
    save = save if parallel.rank == 0 else lambda epoch: None
    replaces_another = args.save.exists() and args.save != args.resume
    start = time.perf_counter()
    begin(args, run, save, not replaces_another)  # another run's file stays until this one has an epoch
    scheduler = new_schedule(args, run["optimizer"], lr, run["history"])
    lesson.say_shares(parallel, args.batch_size)
    try:
        train(run, scheduler, training, validation, args.epochs, save, note, parallel)
        finish(args, run, name, note, training, test, start, parallel)
    except KeyboardInterrupt:
        if parallel.rank:
            pass  # rank 0 tells
        elif replaces_another and not run["history"]:
            print("interrupted; in the first epoch: nothing is saved", file=sys.stderr)
        else:
            print(f"interrupted; to go on: {visible(going_on(args, parallel.size))}", file=sys.stderr)
        sys.exit(130)


def begin(args, run, save, save_now):
    """Brings back the run to resume, if any; may save right away, as an error is better now than after an epoch."""
    history = run["history"]
    try:
        if args.resume:
            patient = {} if args.was_patient else {"early_stopping": None}
            Checkpoint(args.resume).load(**run | patient)
            print(f"going on after epoch {len(history)} of {visible(args.resume)}")
        if save_now:
            save(epoch=len(history))
    except (OSError, ValueError) as error:
        sys.exit(f"error: {error}")


def finish(args, run, name, note, training, test, start, parallel):
    """Says and draws what came of the training."""
    model, stopping, history = run["model"], run["early_stopping"], run["history"]
    if stopping is not None:
        stopping.restore(model)
    logits = predict(model, test, parallel=parallel)
    seconds = time.perf_counter() - start
    print()
    title = f"{name}: {'-'.join(map(str, [784, *args.hidden, 10]))}, {args.optimizer}"
    lesson.save(plots.training_curves(history, title), args.out / "curves.png")
    print(f"saved run: {visible(args.save)}")
    report(model, logits, test.labels, seconds, note)
    if args.baseline:
        share = baseline(training, test, len(history), args.seed)
        print(f"softmax regression after epoch {len(history)}: {share:.2%}{note}")
    if args.plots:
        draw(args.out, name, model, test, softmax(logits))


def loaders(args, digits, rng, parallel):
    """Batches to train on, to validate and to test."""
    images, labels, test_images, test_labels = digits
    held_out, kept = split(len(labels), args.seed)
    if args.batch_norm and len(kept) < 2:
        sys.exit(f"error: --batch-norm needs 2 images to train on, and of {len(labels)} one is for validation")
    if args.batch_norm and args.batch_size < 2 * parallel.size:
        sys.exit(
            f"error: --batch-norm needs 2 images on each of {parallel.size} ranks, so a --batch-size of twice that"
        )
    moving = rng if parallel.size == 1 else None  # ranks move other images, and shuffle alike
    move = data.RandomAffine(degrees=15, translate=(0.08, 0.08), scale=(0.9, 1.1), shear=10, rng=moving)
    training = data.DataLoader(
        images[kept],
        labels[kept],
        args.batch_size,
        shuffle=True,
        rng=rng,
        drop_last=args.batch_norm and 0 < len(kept) % args.batch_size < 2 * parallel.size,  # one has no variance
        transform=(lambda x: lesson.flat(move(x))) if args.augment else lesson.flat,
        shard=parallel.shard,
    )
    options = {"transform": lesson.flat, "shard": parallel.shard}
    validation = data.DataLoader(images[held_out], labels[held_out], 500, **options)
    return training, validation, data.DataLoader(test_images, test_labels, 500, **options)


def build(args):
    """The network that the options describe."""
    sizes, init = [784, *args.hidden, 10], INITS[args.init]
    return nn.MLP(sizes, args.activation, init=init, dropout=args.dropout, batch_norm=args.batch_norm)


def new_run(args, rng):
    """All that is saved of a run, as Checkpoint's save and load take it; and the learning rate to start from."""
    manual_seed(args.seed)
    model = build(args)
    make_optimizer, lr = OPTIMIZERS[args.optimizer]
    run = {
        "model": model,
        "optimizer": make_optimizer(model.parameters(), lr=args.lr or lr, weight_decay=args.weight_decay),
        "early_stopping": EarlyStopping(args.patience) if args.patience else None,
        "history": History(),
        "generators": {"training": rng},
    }
    return run, args.lr or lr


def new_schedule(args, optimizer, lr, history):
    """The schedule, in the place after the epochs of the history.

    It begins anew, for a resumed run may have another schedule, another rate, or more epochs.
    """
    optimizer.param_groups[0] |= {"lr": lr, "weight_decay": args.weight_decay}
    scheduler = SCHEDULERS[args.scheduler](optimizer, args.epochs)
    for record in history:
        step_scheduler(scheduler, record["val_loss"])
    return scheduler


def train(run, scheduler, training, validation, epochs, save, note, parallel):
    """Trains up to a number of epochs; after each it adds a record to the history, saves, and prints a line."""
    model, optimizer, stopping, history = [run[name] for name in ("model", "optimizer", "early_stopping", "history")]
    print(HEADING)
    for epoch in range(len(history) + 1, epochs + 1):
        if stopping is not None and stopping.stopped:
            print(f"no lower val loss for {stopping.patience} epochs; epoch {stopping.best_epoch} had the lowest")
            break
        start = time.perf_counter()
        parallel.start_epoch(training)
        record = train_epoch(model, training, optimizer, epoch, parallel).record("train")
        record |= evaluate(model, validation, VALIDATION_LOSS, parallel=parallel).record("val")
        history.append(record)
        step_scheduler(scheduler, record["val_loss"])
        if stopping is not None:
            stopping.step(record["val_loss"], model)
        save(epoch=epoch)
        print(ROW.format(epoch, *record.values(), time.perf_counter() - start) + note, flush=True)


def baseline(training, test, epochs, seed):
    """Test accuracy of softmax regression trained on the same images, as they are, with Adam and a cosine schedule."""
    model = nn.MLP([784, 10], init=nn.init.zeros)
    optimizer = optim.Adam(model.parameters(), lr=1e-3)
    schedule = optim.CosineAnnealingLR(optimizer, epochs)
    parallel = DataParallel(model)
    options = {"shuffle": True, "seed": seed, "transform": lesson.flat, "shard": parallel.shard}
    batches = data.DataLoader(training.images, training.labels, 64, **options)
    options = {"scheduler": schedule, "parallel": parallel, "progress": False}
    fit(model, batches, optimizer=optimizer, loss=cross_entropy, epochs=epochs, **options)
    return accuracy(predict(model, test, parallel=parallel), test.labels)


def going_on(args, size=1):
    """The command that resumes this run."""
    words = [*(["mpiexec", "-n", size] if size > 1 else []), "python", sys.argv[0], "--resume", args.save]
    if args.data_dir:
        words += ["--data-dir", args.data_dir]
    if args.out != lesson.OUT:
        words += ["--out", args.out]
    words += [f"--{name}" for name in ("plots", "baseline") if getattr(args, name)]
    return shlex.join(map(str, words))


def read_pictures(argv):
    """Reads digits in the user's own pictures with the network of a saved run."""
    parser = lesson.Parser(prog="mnist_more.py predict", description=read_pictures.__doc__)
    parser.add_argument("weights", metavar="WEIGHTS", help="file of a saved run")
    parser.add_argument("images", metavar="IMAGE", nargs="+", help="picture of one digit, of any size and colours")
    args = parser.parse_args(argv)
    lesson.check_installed(["safetensors"])
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
            print(f"error: {visible(error)}", file=sys.stderr)
            problems += 1
        else:
            print(f"{visible(path)}: {p.argmax()} ({p.max():.1%}){note}")
    sys.exit(1 if problems else 0)


def saved_options(path):
    """The options of a saved run."""
    texts = Checkpoint(path).metadata()
    try:
        options = json.loads(texts["options"])
        options = {name: options[name] for name in SAVED}
    except (KeyError, TypeError, RecursionError, ValueError) as error:
        raise ValueError(
            f"{path} is not a run of this demo: it lacks the options, without which the network cannot be built"
        ) from error
    check_options(path, options)
    return options


def check_options(path, options):
    """Raises ValueError if the saved options are none that the command line would take."""

    def refuse(message):
        raise ValueError(f"{path} is not a run of this demo: among its options is an impossible one ({message})")

    words = []
    for name, value in options.items():
        option = f"--{name.replace('_', '-')}"
        if isinstance(value, bool):
            words.append(option if value else f"--no-{option[2:]}")
        elif isinstance(value, list):
            words += [option, *map(str, value)]
        elif name != "labels" and value is not None:
            words.append(f"{option}={value}")
    parser = new_parser(out=False, needs=())
    parser.error = refuse
    try:
        args = vars(parser.parse_args(words))
    except MemoryError as error:
        refuse(f"--hidden: {error}")
    for name, value in options.items():
        read = value if name == "labels" else args.get(name)
        if read != value or type(read) is not type(value):
            refuse(f"{name} is {value!r:.60}")
    check_together(argparse.Namespace(**options), refuse)


def check_together(args, refuse):
    """Calls the function with the reason if options do not go together."""
    if args.batch_norm and args.batch_size == 1:
        refuse("argument --batch-size: --batch-norm needs 2 examples or more")
    if not args.hidden and (args.batch_norm or args.dropout):
        refuse("argument --hidden: --batch-norm and --dropout need hidden layers, and there are none")


def new_parser(out=True, needs=NEEDS):
    """A parser with the options of mnist.py and the further ones; see lesson.parser."""
    parser = lesson.parser(__doc__, digits=True, out=out, needs=needs)
    add_options(parser)
    option, switch = parser.add_argument, argparse.BooleanOptionalAction
    share = lesson.option(float, lambda value: 0 <= value < 1, "a number of at least 0 and below 1")
    option("--recipe", choices=RECIPES, help="options that go well together; further ones change them")
    option("--init", choices=INITS, default="auto", help="initial weights; auto: what suits the activation")
    option("--dropout", type=share, default=0.0, help="share of the hidden units that each step leaves out")
    option("--batch-norm", action=switch, default=False, help="batch normalisation before each activation")
    option("--augment", action=switch, default=False, help="shift, turn, scale and slant the training images at random")
    option("--weight-decay", type=share, default=0.0, help="strength of the L2 penalty; adamw: decoupled from it")
    option("--scheduler", choices=SCHEDULERS, default="cosine", help="how the learning rate falls, epoch by epoch")
    text = "stop after so many epochs without a lower validation loss; keep the best"
    option("--patience", type=lesson.integer(1), help=text)
    option("--plots", action="store_true", help="also draw weights, answers, the worst mistakes and what is confused")
    option("--baseline", action="store_true", help="also train softmax regression, and print its test accuracy")
    text = "where this run is kept, in place of the one that was there; as --resume, or OUT/mnist.safetensors"
    option("--save", type=Path, metavar="FILE", help=text)
    option("--resume", type=Path, metavar="FILE", help="go on with a saved run, with its options unless given anew")
    return parser


def parse(argv):
    """Reads the options; those of a recipe, or of the run to resume, take the place of the defaults."""
    parser = new_parser()
    args = parser.parse_args(argv)
    if args.resume and args.recipe:
        parser.error("argument --recipe: it begins a run, --resume goes on with one; take one of them")
    if args.save and args.save.exists():
        options_for("--save", args.save, parser)  # only a run is overwritten
    saved = options_for("--resume", args.resume, parser) if args.resume else RECIPES.get(args.recipe, {})
    parser.set_defaults(**saved)
    args = parser.parse_args(argv)
    args.save = args.save or args.resume or args.out / "mnist.safetensors"
    args.was_patient = bool(saved.get("patience"))
    if args.resume:
        for name in FIXED:
            if getattr(args, name) != saved[name]:
                why = f"the run was begun with {saved[name]}, which cannot change"
                parser.error(f"argument --{name.replace('_', '-')}: {why}")
    check_together(args, parser.error)
    return args


def options_for(option, path, parser):
    """The options of a saved run, or the end of the program if an option names a file that is not one."""
    try:
        return saved_options(path)
    except (OSError, ValueError) as error:
        parser.error(f"argument {option}: {error}")


if __name__ == "__main__":
    lesson.run(main, advice="fewer or smaller --hidden layers")
