"""`tn.lift`: a NumPy program as it is, on tensors."""

from __future__ import annotations

import functools
import inspect
import threading
from collections.abc import Callable
from contextlib import nullcontext
from types import FunctionType, MethodType, ModuleType
from typing import ParamSpec, TypeVar, cast, overload

import numpy as np

from tapenet.autodiff.aliasing import Lifted
from tapenet.autodiff.node import BaseTensor
from tapenet.autodiff.state import local, switched
from tapenet.autodiff.tensor import Tensor
from tapenet.lifting import draws, emitted, iterators, vectorized  # noqa: F401  # they enter what stands for NumPy's
from tapenet.lifting.arguments import Arguments, PlainArguments
from tapenet.lifting.namespace import Copies, content, names_in
from tapenet.lifting.saying import look_at_checks
from tapenet.lifting.source import code_with_calls, converted_code
from tapenet.ops.tracebacks import boundary, hide
from tapenet.program.trees import flatten
from tapenet.typing import Array

P = ParamSpec("P")
R = TypeVar("R")


@overload
def lift(f: Callable[P, R], *, modules: tuple[ModuleType, ...] = (), checkpoint: bool = False) -> Callable[P, R]: ...
@overload
def lift(
    f: None = None, *, modules: tuple[ModuleType, ...] = (), checkpoint: bool = False
) -> Callable[[Callable[P, R]], Callable[P, R]]: ...
@boundary
def lift(
    f: Callable[..., object] | None = None, *, modules: tuple[ModuleType, ...] = (), checkpoint: bool = False
) -> object:
    """A NumPy program as it is, on tensors: a function that makes arrays, writes to their parts and to its arguments, and
    loops, can be differentiated, compiled and transformed.

    - Inside `f`, and in the functions of its module and of `modules` that it calls, functions that make arrays (`np.zeros`)
      make tensors. Nothing is changed outside of the function, and threads do not see each other.
    - Views share memory as NumPy's do: `b = a[1:]; b[0] = 1` changes `a`. A number (`a[0]` of one axis) is none.
    - What `f` writes to its arguments is there after the call: in arrays, and behind the handles of tensors. If it raises
      while it is recorded, nothing is written.
    - Lists, dicts and objects that are given, or that names stand for, hold afterwards what they would in the plain program,
      with tensors for arrays. Methods of the objects' own classes are lifted too.
    - Arrays, NumPy numbers and floats that it returns are tensors.

    Where no gradient is wanted and nothing is recorded, `f` itself runs on arrays, as quickly as ever.

    Args:
        f: the function, or method; None to make a decorator with options.
        modules: modules whose functions are lifted too where `f` calls them.
        checkpoint: loops of compiled programs keep less for their gradients: of n turns what about 2 * sqrt(n) of them began
            with, from where the others are computed again (two more runs forward). Else a loop keeps what each turn needs.

    Raises:
        TypeError: `f` is no function written in Python, or a generator.

    >>> import numpy as np, tapenet as tn
    >>> def heat(u, turns):
    ...     out = np.zeros_like(u)
    ...     for _ in range(turns):
    ...         out[1:-1] = u[1:-1] + 0.1 * (u[2:] - 2 * u[1:-1] + u[:-2])
    ...         u[:] = out
    ...     return u.sum()
    >>> tn.grad(tn.lift(heat))(np.ones(5), 2)
    Tensor([0.09, 0.82, 0.98, 0.82, 0.09])
    """
    if f is None:
        return functools.partial(lift, modules=modules, checkpoint=checkpoint)
    return Lift(f, modules, checkpoint)


#: What a thread runs as it is: then lifted functions that it calls do too.
_plain = threading.local()


class Lift:
    """A function made by `tn.lift`. Called like the function itself, which is its `__wrapped__`."""

    def __init__(self, f: Callable[..., object], modules: tuple[ModuleType, ...], checkpoint: bool) -> None:
        function, given = _function(f)
        functools.update_wrapper(self, f)
        self.__wrapped__ = f
        self.checkpoint = checkpoint
        self._function = function
        #: What runs on arrays; of what Numba compiled that itself.
        self._plain: Callable[..., object] = f if hasattr(f, "py_func") else function
        #: What the function is given first: the object of a method.
        self._given = given
        self._modules = frozenset({str(function.__globals__.get("__name__")), *(m.__name__ for m in modules)})
        self._title = getattr(f, "__name__", type(f).__name__)
        self._threads = threading.local()

    def __get__(self, instance: object, owner: type | None = None) -> object:
        return self if instance is None else MethodType(self, instance)

    def __call__(self, *args: object, **kwargs: object) -> object:
        args = (*self._given, *args)
        state = local.state
        if getattr(_plain, "running", None):
            return self._plain(*args, **kwargs)
        traces = state.tape is not None and state.tape.captures
        try:
            if state.lifted is not None:
                return self._run_within(self._copies(traces), state.lifted.arguments, args, kwargs)
            if not state.layers and not (state.grad and self._may_need(args, kwargs)):
                return self._run_plain(args, kwargs)
            return self._run(args, kwargs, traces)[0]
        except Exception as error:
            hide(error)
            raise

    # -- the ways to run -------------------------------------------------------------------------------------------

    def returning(self, args: tuple[object, ...], kwargs: dict[str, object]) -> tuple[object, dict[int, Tensor]]:
        """The result of a call that writes to no argument; and, by place among the leaves, what those are that it would."""
        state = local.state
        if state.lifted is not None or getattr(_plain, "running", None):
            return self(*args, **kwargs), {}
        result, written = self._run(
            (*self._given, *args), kwargs, state.tape is not None and state.tape.captures, False
        )
        places = {id(one): new for one, new in written}
        return result, {i: places[id(leaf)] for i, leaf in enumerate(flatten((args, kwargs))[0]) if id(leaf) in places}

    def _run(
        self, args: tuple[object, ...], kwargs: dict[str, object], traces: bool, gives: bool = True
    ) -> tuple[object, list[tuple[Array | Tensor, Tensor]]]:
        """Run a copy of the function on tensors, and give its arguments what it wrote to them, or those too."""
        copies = self._copies(traces)
        lifted = Lifted(copies.replaced, self.checkpoint)
        arguments = lifted.arguments = Arguments(self._title, lifted, copies, gives)
        # While a program is recorded values mean little, and sides of branches run that a call would not take.
        with switched(lifted=lifted), np.errstate(all="ignore") if traces else nullcontext():
            copies.begin(arguments.inside)
            try:
                function = copies.copied(self._function)
                inside = [arguments.inside(value) for value in args]
                options = {name: arguments.inside(value) for name, value in kwargs.items()}
                result = arguments.outside(_numbers(function(*inside, **options)))
                look_at_checks(lifted)
            finally:
                copies.end(arguments.outside)
                lifted.end()
                lifted.arguments = None  # which know it
        written = arguments.written()
        if gives:
            arguments.write_back(result)
        return result, written

    def _run_within(
        self, copies: Copies, arguments: Arguments, args: tuple[object, ...], kwargs: dict[str, object]
    ) -> object:
        """Run a copy of the function in the run of another one that calls it, whose arguments its names stand for too."""
        if copies.runs:
            return copies.copied(self._function)(*args, **kwargs)
        copies.begin(arguments.inside)
        try:
            return copies.copied(self._function)(*map(arguments.inside, args), **kwargs)
        finally:
            copies.end(arguments.outside)

    def _copies(self, traces: bool) -> Copies:
        """The copies of this thread."""
        name = "traced" if traces else "recorded"
        found: Copies | None = getattr(self._threads, name, None)
        if found is None:
            found = Copies(self._modules, converted_code if traces else code_with_calls, emitted)
            setattr(self._threads, name, found)
        return found

    def _run_plain(self, args: tuple[object, ...], kwargs: dict[str, object]) -> object:
        """Run the function itself on arrays."""
        opened = PlainArguments(self._title)
        _plain.running = True
        try:
            result = self._plain(*map(opened.inside, args), **{n: opened.inside(v) for n, v in kwargs.items()})
        finally:
            _plain.running = False
        opened.write_back(result)
        return opened.outside(_numbers(result))

    def _may_need(self, args: tuple[object, ...], kwargs: dict[str, object]) -> bool:
        """Whether a gradient may be wanted of what the function computes."""
        return _holds_gradient(args) or _holds_gradient(kwargs) or not _is_plain(self._function, set())


def _numbers(result: object) -> object:
    """A result whose floats are NumPy's, so that it is a tensor whether gradients flow or not."""
    if type(result) is tuple:
        return tuple(map(_numbers, result))
    if type(result) is float:
        return np.float64(result)
    return np.complex128(result) if type(result) is complex else result


def _function(f: object) -> tuple[FunctionType, tuple[object, ...]]:
    """The Python function that is called, and what it is given first.

    Raises:
        TypeError: there is none, or it does not run when it is called.
    """
    given: tuple[object, ...] = ()
    found = getattr(f, "py_func", f)  # what Numba compiled
    if isinstance(f, MethodType):
        found, given = f.__func__, (f.__self__,)
    elif not isinstance(found, (FunctionType, type)):
        found, given = vars(type(found)).get("__call__"), (found,)
    if not isinstance(found, FunctionType):
        raise TypeError(f"tn.lift takes a function or method written in Python, not {_kind(f)}")
    if str(found.__globals__.get("__name__")).partition(".")[0] == "tapenet":
        raise TypeError(
            f"tn.lift takes a NumPy program, not {_kind(f)}, which tapenet made: lift the function it is made of"
        )
    for kind in (inspect.isgeneratorfunction, inspect.iscoroutinefunction, inspect.isasyncgenfunction):
        if kind(found):
            raise TypeError(
                f"tn.lift: {found.__name__} does not run when it is called: lift the function that it calls"
            )
    return found, given


def _kind(f: object) -> str:
    return f"{type(f).__name__} {getattr(f, '__name__', '')}".strip()


def _is_plain(value: object, seen: set[int], depth: int = 0) -> bool:
    """Whether no tensor is reached from a value that is no argument: a function by its names, an object by its attributes."""
    if isinstance(value, BaseTensor) or depth > _DEPTH:
        return False
    if id(value) in seen or isinstance(value, _HARMLESS):
        return True
    seen.add(id(value))
    if isinstance(value, Lift):
        value = value._function
    if isinstance(value, MethodType):
        return _is_plain(value.__func__, seen, depth) and _is_plain(value.__self__, seen, depth + 1)
    if isinstance(value, FunctionType):
        names = value.__globals__
        reached = [names[name] for name in names_in(value.__code__) if name in names]
        reached += [content(cell) for cell in value.__closure__ or ()]
        reached += [*(value.__defaults__ or ()), *(value.__kwdefaults__ or {}).values()]
        return all(_is_plain(part, seen, depth) for part in reached)
    if isinstance(value, (list, tuple, set, frozenset)):
        return len(value) <= _MANY and all(_is_plain(part, seen, depth + 1) for part in value)
    if isinstance(value, dict):
        return len(value) <= _MANY and all(_is_plain(part, seen, depth + 1) for part in value.values())
    return all(_is_plain(part, seen, depth + 1) for part in list(getattr(value, "__dict__", {}).values()))


_HARMLESS = (
    int, float, complex, str, bytes, type(None), np.ndarray, np.generic, np.dtype, np.ufunc, ModuleType, type, range, slice,
)  # fmt: skip
#: How far a look for tensors goes; beyond that there may be some.
_DEPTH, _MANY = 4, 1000


def _holds_gradient(value: object) -> bool:
    """Whether there is a tensor that needs a gradient among arguments, or one that is not among those that are opened."""
    if type(value) is Tensor:
        return value._node is not None
    if type(value) in (list, tuple):
        return any(map(_holds_gradient, cast("list[object]", value)))
    if type(value) is dict:
        return any(map(_holds_gradient, value.values()))
    return not _is_plain(value, set())
