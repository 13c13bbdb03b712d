# Made by `python -m tests.stubs`.
from numpy.typing import ArrayLike
from tapenet.autodiff.tensor import Tensor as Tensor

def arccos(x: ArrayLike) -> Tensor:
    """The inverse cosine, element by element; in complex numbers if one is beyond -1 or 1."""

def arcsin(x: ArrayLike) -> Tensor:
    """The inverse sine, element by element; in complex numbers if one is beyond -1 or 1."""

def arctanh(x: ArrayLike) -> Tensor:
    """The inverse hyperbolic tangent, element by element; in complex numbers if one is beyond -1 or 1."""

def log(x: ArrayLike) -> Tensor:
    """The natural logarithm, element by element; in complex numbers if one is negative."""

def log10(x: ArrayLike) -> Tensor:
    """The logarithm to base 10, element by element; in complex numbers if one is negative."""

def log2(x: ArrayLike) -> Tensor:
    """The logarithm to base 2, element by element; in complex numbers if one is negative."""

def logn(n: ArrayLike, x: ArrayLike) -> Tensor:
    """The logarithm of `x` to base `n`, ln x / ln n; complex where either has a negative element."""

def power(x: ArrayLike, p: ArrayLike) -> Tensor:
    """`x` to the power `p`; complex where an `x` is negative, and of floats where an integer `p` is."""

def sqrt(x: ArrayLike) -> Tensor:
    """The square root, element by element; in complex numbers if one is negative."""
