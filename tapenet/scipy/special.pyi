# Made by `python -m tests.stubs`.
from tapenet.special import *
