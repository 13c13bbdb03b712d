"""Measures of how well a model does, batch by batch.

A metric sees batches (`update`), tells what they come to (`compute`), and starts anew (`reset`). The result is that of all
samples at once, however they were cut into batches. Called like a function, a metric measures one batch alone.

Outputs and targets are arrays, tensors or lists. Where samples have weights, sums and means are weighted, as
scikit-learn's are. Classes are counted from 0.

>>> import numpy as np
>>> from tapenet.metrics import Accuracy
>>> accuracy = Accuracy()
>>> accuracy.update(np.array([[0.1, 0.9], [0.8, 0.2]]), np.array([1, 1]))
>>> accuracy.update(np.array([[0.3, 0.7]]), np.array([1]))
>>> round(accuracy.compute(), 3)
0.667
"""

from tapenet.names import namespace as _namespace

__getattr__, __dir__ = _namespace(__name__)
