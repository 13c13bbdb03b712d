"""Roots of functions of one number between two where the function has different signs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Literal, Protocol, cast, overload

from tapenet.autodiff.tensor import Tensor
from tapenet.ops.tracebacks import boundary
from tapenet.optimize.equations import scalar_root
from tapenet.optimize.problems import Result


class Search(Protocol):
    """A search for a root between `a` and `b`."""

    @overload
    def __call__(
        self, f: Callable[..., object], a: object, b: object, args: object = (), xtol: float | None = None,
        rtol: float | None = None, maxiter: int | None = None, full_output: Literal[False] = False, disp: bool = True,
    ) -> Tensor: ...  # fmt: skip

    @overload
    def __call__(
        self, f: Callable[..., object], a: object, b: object, args: object = (), xtol: float | None = None,
        rtol: float | None = None, maxiter: int | None = None, *, full_output: Literal[True], disp: bool = True,
    ) -> tuple[Tensor, Result]: ...  # fmt: skip


def _found(
    method: str, f: Callable[..., object], a: object, b: object, args: object, xtol: float | None, rtol: float | None,
    maxiter: int | None, full_output: bool, disp: bool, options: Mapping[str, object] | None = None,
) -> Tensor | tuple[Tensor, Result]:  # fmt: skip
    given = {"xtol": xtol, "rtol": rtol, "maxiter": maxiter, "options": options}
    found = scalar_root(f"tn.optimize.{method}", f, args, method, (a, b), given)
    if disp and not found.get("converged", True):
        raise RuntimeError(f"tn.optimize.{method}: failed to converge after {found.iterations} iterations")
    return (found.root, found) if full_output else found.root


def _search(method: str, words: str) -> Search:
    def search(
        f: Callable[..., object], a: object, b: object, args: object = (), xtol: float | None = None,
        rtol: float | None = None, maxiter: int | None = None, full_output: bool = False, disp: bool = True,
    ) -> Tensor | tuple[Tensor, Result]:  # fmt: skip
        return _found(method, f, a, b, args, xtol, rtol, maxiter, full_output, disp)

    search.__name__ = search.__qualname__ = method
    search.__doc__ = f"""`scipy.optimize.{method}`: a root of a function of one number between `a` and `b`, where it changes its
    sign, by {words}. It is differentiable by `args` and by tensors that the function closes over. See `root_scalar`.

    Raises:
        RuntimeError: it did not converge, unless `disp` is False.
        ValueError: the function has the same sign at both ends.

    >>> import numpy as np, tapenet as tn
    >>> tn.grad(lambda k: tn.optimize.{method}(lambda x: np.cos(x) - k * x, 0, 2))(1.0).round(6)
    Tensor(-0.441611)
    """
    return cast("Search", boundary(search))


bisect = _search("bisect", "halving")
ridder = _search("ridder", "Ridder's method")
brentq = _search("brentq", "Brent's method")
brenth = _search("brenth", "Brent's method with hyperbolas")


@overload
def toms748(
    f: Callable[..., object], a: object, b: object, args: object = (), k: int = 1, xtol: float | None = None,
    rtol: float | None = None, maxiter: int | None = None, full_output: Literal[False] = False, disp: bool = True,
) -> Tensor: ...  # fmt: skip


@overload
def toms748(
    f: Callable[..., object], a: object, b: object, args: object = (), k: int = 1, xtol: float | None = None,
    rtol: float | None = None, maxiter: int | None = None, *, full_output: Literal[True], disp: bool = True,
) -> tuple[Tensor, Result]: ...  # fmt: skip


@boundary
def toms748(
    f: Callable[..., object], a: object, b: object, args: object = (), k: int = 1, xtol: float | None = None,
    rtol: float | None = None, maxiter: int | None = None, full_output: bool = False, disp: bool = True,
) -> Tensor | tuple[Tensor, Result]:  # fmt: skip
    """`scipy.optimize.toms748`: as `brentq`, by the method of Alefeld, Potra and Shi, with `k` steps of Newton in each.

    >>> import numpy as np, tapenet as tn
    >>> tn.grad(lambda c: tn.optimize.toms748(lambda x: np.cos(x) - c * x, 0, 2, k=2))(1.0).round(6)
    Tensor(-0.441611)
    """
    return _found("toms748", f, a, b, args, xtol, rtol, maxiter, full_output, disp, {"k": k})
