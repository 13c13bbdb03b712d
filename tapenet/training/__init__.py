"""The way from a model to a trained one: a loop, its state, what watches it, and what is kept.

`fit` trains, `evaluate` measures, `predict` gives outputs. Callbacks are functions of the `State` of the run.
"""

from tapenet.names import namespace as _namespace

__getattr__, __dir__ = _namespace(__name__)
