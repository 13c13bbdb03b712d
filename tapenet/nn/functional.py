"""What layers compute, as functions: `import tapenet.nn.functional as F`.

Nearly all are the ops of the same name in `tn`, under the place where PyTorch keeps them. Axes are called `axis`, as
everywhere outside of layer constructors.
"""

from tapenet.names import namespace as _namespace

__getattr__, __dir__ = _namespace(__name__)
