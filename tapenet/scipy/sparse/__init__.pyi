# Made by `python -m tests.stubs`.
from tapenet.scipy.sparse import linalg as linalg
