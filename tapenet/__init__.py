"""tapenet: a NumPy-native computational-graph framework.

Models are plain Python; every operation on a tensor is recorded on a tape; `backward()` walks it; optimizers apply the
updates. `tn.*` and `np.*` are the same functions on tensors.
"""

# The core, which lets ops take tensors and tensors be drawn. All else is loaded when it is first used.
from tapenet import autodiff as autodiff
from tapenet import drawing as drawing
from tapenet.names import namespace as _namespace

__version__ = "0.1.0"
#: The version of the array API standard that `tapenet` conforms to.
__array_api_version__ = "2025.12"

__getattr__, __dir__ = _namespace(__name__)
