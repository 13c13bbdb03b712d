"""What is kept on disk: arrays and states as safetensors, written whole or not at all."""

from tapenet.names import namespace as _namespace

__getattr__, __dir__ = _namespace(__name__)
