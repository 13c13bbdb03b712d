# Made by `python -m tests.stubs`.
from tapenet.transforms.implicit.linear import linear_solve as linear_solve
from tapenet.transforms.implicit.roots import fixed_point as fixed_point
from tapenet.transforms.implicit.roots import minimize as minimize
from tapenet.transforms.implicit.roots import root as root
