"""The update rules, by family, with PyTorch's names, defaults and formulas where PyTorch has them.

Each optimizer is a configuration: which options there are, what is kept per parameter (`states`), the numbers of
one update (`scalars`), and the pure `rule`.
"""

from tapenet.optim.rules.adafactor import Adafactor
from tapenet.optim.rules.adam import Adam, Adamax, AdamW, NAdam, RAdam
from tapenet.optim.rules.adaptive import Adadelta, Adagrad, RMSprop, Rprop
from tapenet.optim.rules.lbfgs import LBFGS
from tapenet.optim.rules.lion import Lion
from tapenet.optim.rules.muon import Muon
from tapenet.optim.rules.sgd import ASGD, SGD
from tapenet.optim.rules.sparse import SparseAdam
from tapenet.optim.rules.trust import LAMB, LARS

__all__ = [
    "ASGD",
    "LAMB",
    "LARS",
    "LBFGS",
    "SGD",
    "Adadelta",
    "Adafactor",
    "Adagrad",
    "Adam",
    "AdamW",
    "Adamax",
    "Lion",
    "Muon",
    "NAdam",
    "RAdam",
    "RMSprop",
    "Rprop",
    "SparseAdam",
]
