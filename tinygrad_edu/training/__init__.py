"""What a training loop needs around the model: fit, history, early stopping, checkpoints, metrics, diagnostics."""

from tinygrad_edu.nn.summary import summary
from tinygrad_edu.training.checkpoint import Checkpoint
from tinygrad_edu.training.diagnostics import Report, dead_relu_fraction, diagnose
from tinygrad_edu.training.early_stopping import EarlyStopping
from tinygrad_edu.training.epoch import RunningMeans, evaluate, predict, progress_bar
from tinygrad_edu.training.fit import fit
from tinygrad_edu.training.history import History
from tinygrad_edu.training.metrics import accuracy, confusion_matrix, most_confused_pair

__all__ = [
    "Checkpoint",
    "EarlyStopping",
    "History",
    "Report",
    "RunningMeans",
    "accuracy",
    "confusion_matrix",
    "dead_relu_fraction",
    "diagnose",
    "evaluate",
    "fit",
    "most_confused_pair",
    "predict",
    "progress_bar",
    "summary",
]
