"""What goes with gradients: flat vectors of containers, optimizers, fixed points."""

from tapenet.compat.autograd.misc.flatten import flatten as flatten
