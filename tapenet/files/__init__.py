"""What is kept on disk: arrays and states as safetensors, written whole or not at all."""

from tapenet.files.safetensors import DamagedFile
from tapenet.files.saving import load, metadata, save
from tapenet.files.writing import atomic

__all__ = ["DamagedFile", "atomic", "load", "metadata", "save"]
