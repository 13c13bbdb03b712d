"""What programs import from `autograd.wrap_util`."""

from tapenet.compat.autograd.differential_operators import by_argument

unary_to_nary = by_argument
