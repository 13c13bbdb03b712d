# Made by `python -m tests.stubs`.
from tapenet.optimize import *
