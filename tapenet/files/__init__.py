"""What is kept on disk: arrays and states as safetensors, written whole or not at all."""

from tapenet.files.atomic_write import atomic
from tapenet.files.safetensors import DamagedFile
from tapenet.files.saving import load, metadata, save

__all__ = ["DamagedFile", "atomic", "load", "metadata", "save"]
