"""What is computed: every op with its gradient rules. Knows arrays, not tensors. Each is loaded when it is first asked for."""

from tapenet.names import namespace as _namespace

__getattr__, __dir__ = _namespace(__name__)
