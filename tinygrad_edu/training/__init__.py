"""What a training loop needs around the model: fit, history, early stopping, checkpoints, metrics, diagnostics."""

from tinygrad_edu.nn.summary import summary
from tinygrad_edu.training.checkpoint import Checkpoint
from tinygrad_edu.training.diagnostics import Report, dead_relu_fraction, diagnose
from tinygrad_edu.training.early_stopping import EarlyStopping
from tinygrad_edu.training.fit import fit
from tinygrad_edu.training.history import History
from tinygrad_edu.training.metrics import accuracy, confusion_matrix, most_confused_pair

__all__ = [
    "Checkpoint",
    "EarlyStopping",
    "History",
    "Report",
    "accuracy",
    "confusion_matrix",
    "dead_relu_fraction",
    "diagnose",
    "fit",
    "most_confused_pair",
    "summary",
]
