"""The way from a model to a trained one: a loop, its state, what watches it, and what is kept.

`fit` trains, `evaluate` measures, `predict` gives outputs. Callbacks are functions of the `State` of the run.
"""

from tapenet.training.callbacks import EarlyStopping, KeepBest, every_batch
from tapenet.training.checkpoint import Checkpoint
from tapenet.training.evaluation import evaluate, predict
from tapenet.training.fitting import fit
from tapenet.training.history import History
from tapenet.training.loggers import CSVLogger, TensorBoardLogger
from tapenet.training.rate_finder import Rates, find_lr
from tapenet.training.seeding import seed
from tapenet.training.state import State

__all__ = [
    "CSVLogger",
    "Checkpoint",
    "EarlyStopping",
    "History",
    "KeepBest",
    "Rates",
    "State",
    "TensorBoardLogger",
    "evaluate",
    "every_batch",
    "find_lr",
    "fit",
    "predict",
    "seed",
]
