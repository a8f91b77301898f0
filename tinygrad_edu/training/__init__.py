"""What a training loop needs around the model: fit, history, films, early stopping, checkpoints, diagnostics."""

from tinygrad_edu.nn import summary
from tinygrad_edu.torch_names import answer_names
from tinygrad_edu.training.checkpoint import *
from tinygrad_edu.training.diagnostics import *
from tinygrad_edu.training.early_stopping import *
from tinygrad_edu.training.epoch import *
from tinygrad_edu.training.film import *
from tinygrad_edu.training.fit import *
from tinygrad_edu.training.history import *
from tinygrad_edu.training.means import *
from tinygrad_edu.training.metrics import *
from tinygrad_edu.training.parallel import *

__all__ = [
    "Checkpoint", "DataParallel", "EarlyStopping", "Film", "History", "Report", "RunningMeans", "accuracy",
    "confusion_matrix", "dead_relu_fraction", "diagnose", "evaluate", "fit", "most_confused_pair", "predict",
    "progress_bar", "summary",
]  # fmt: skip

answer_names(__name__)
