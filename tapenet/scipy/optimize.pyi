# Made by `python -m tests.stubs`.
from tapenet.optimize.equations import root as root
from tapenet.optimize.equations import root_scalar as root_scalar
from tapenet.optimize.minimization import minimize as minimize
from tapenet.optimize.minimization import minimize_scalar as minimize_scalar
from tapenet.optimize.residuals import curve_fit as curve_fit
from tapenet.optimize.residuals import least_squares as least_squares
