# Made by `python -m tests.stubs`.
from tapenet.scipy.spatial import distance as distance
