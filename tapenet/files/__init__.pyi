# Made by `python -m tests.stubs`.
from tapenet.files.atomic_write import atomic as atomic
from tapenet.files.safetensors import DamagedFile as DamagedFile
from tapenet.files.saving import load as load
from tapenet.files.saving import metadata as metadata
from tapenet.files.saving import save as save
