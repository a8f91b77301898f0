"""What a training loop needs around the model: metrics."""

from tinygrad_edu.training.metrics import accuracy, confusion_matrix, most_confused_pair

__all__ = ["accuracy", "confusion_matrix", "most_confused_pair"]
