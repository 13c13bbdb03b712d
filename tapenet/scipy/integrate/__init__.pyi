# Made by `python -m tests.stubs`.
from tapenet.scipy.integrate.initial_values import solve_ivp as solve_ivp
from tapenet.scipy.integrate.odepack import odeint as odeint
