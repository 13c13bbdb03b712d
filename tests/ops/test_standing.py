"""What ops stand for beside NumPy's functions: Python functions of other packages."""

from __future__ import annotations

import functools
import inspect
import math
import pickle
import subprocess
import sys
import threading
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from scipy import fft, linalg

import tapenet as tn


def cubed(x: Any, scale: float = 1.0, *, shift: float = 0.0) -> Any:
    """A function as another package has it, which knows arrays alone."""
    if type(x) is not np.ndarray and not isinstance(x, (float, list, Foreign)):
        raise TypeError(f"no array: {type(x).__name__}")
    return np.asarray(x, float) ** 3 * scale + shift


class Foreign:
    """An array type that has NumPy's protocols and knows nothing of tapenet."""

    def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
        return np.full(2, 2.0)

    def __array_function__(self, *args: Any) -> Any:
        raise AssertionError("not asked")


before = cubed
package = ModuleType("package_beside")
package.cubed = cubed  # type: ignore[attr-defined]
sys.modules["package_beside"] = package
source, signature = inspect.getsource(cubed), inspect.signature(cubed)

cube = tn.op(
    lambda x, shift=0.0: cubed(x, shift=shift),
    name="cube",
    numpy=cubed,
    x=lambda g, x: g * 3 * x**2,
)


def test_it_gives_the_op_on_tensors_wherever_it_has_been_imported() -> None:
    from package_beside import cubed as after  # type: ignore[import-not-found]

    x = tn.tensor([1.0, 2.0], requires_grad=True)
    for function in (before, after, package.cubed):
        found = function(x)
        assert found.node.op is cube
        assert found.tolist() == [1.0, 8.0]
    cubed(x).sum().backward()
    assert x.grad.tolist() == [3.0, 12.0]
    assert cubed(x=x).node.op is cube
    tn.testing.check_grads(lambda x: cubed(x), [np.array([1.0, 2.0])], order=2)


def test_it_stays_what_it_was_on_everything_else() -> None:
    assert before is cubed is package.cubed
    assert pickle.loads(pickle.dumps(cubed)) is cubed
    assert inspect.getsource(cubed) == source
    for follow in (True, False):
        assert inspect.signature(cubed, follow_wrapped=follow) == signature
    assert cubed.__name__ == cubed.__code__.co_name == "cubed"
    assert type(cubed(np.ones(2), 2.0, shift=1.0)) is np.ndarray
    assert cubed(2.0) == 8
    assert not hasattr(cubed, "__wrapped__")
    assert cubed([1.0, 2.0]).tolist() == [1, 8]
    assert cubed(Foreign()).tolist() == [8, 8]
    with pytest.raises(TypeError, match="no array: dict") as error:
        cubed({})
    begin = cubed.__code__.co_firstlineno
    lines = [(entry.name, entry.lineno + 1, str(entry.path)) for entry in error.traceback]
    assert lines[1] == ("cubed", begin, __file__)  # where it is defined
    assert lines[-1][0] == "cubed"
    assert begin < lines[-1][1] < begin + 5
    with pytest.raises(TypeError, match=r"cubed\(\) missing 1 required positional argument: 'x'"):
        cubed()  # type: ignore[call-arg]


def test_the_op_gets_what_differs_from_the_defaults() -> None:
    x = tn.tensor([2.0])
    assert cubed(x, 1.0, shift=1.0).tolist() == [9.0]
    with pytest.raises(TypeError, match=r"cube\(\) got an unexpected keyword argument 'scale'; it takes: x, shift"):
        cubed(x, 2.0)


def test_it_is_the_op_in_rules_in_compiled_functions_and_over_lanes() -> None:
    def loss(x: Any) -> Any:
        return (cubed(x) * 2).sum()

    x = np.array([1.0, 2.0])
    assert tn.compile(tn.grad(loss))(x).tolist() == [6.0, 24.0]
    assert tn.grad(lambda x: tn.grad(loss)(x).sum())(x).tolist() == [12.0, 24.0]
    assert tn.vmap(lambda x: cubed(x))(np.ones((3, 2))).shape == (3, 2)


def test_functions_of_numpy_are_left_as_they_are() -> None:
    """Also those that are written in Python and ask where they have `like=`."""
    program = "import tapenet as tn; from tapenet.ops import asking; tn.everything(); print(len(asking._originals))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "0\n"


def test_defining_the_op_again_changes_nothing_and_another_is_said() -> None:
    def cubed(x: Any, shift: Any = 0.0) -> Any:
        return np.asarray(x) ** 3 + shift

    def define(name: str) -> Any:
        return tn.op(cubed, name=name, numpy=cubed, nondiff=("shift",), x=lambda g, x: g * 3 * x**2)

    first = define("first")
    code = cubed.__code__
    with pytest.warns(
        UserWarning, match=r"op 'again' takes the place of <op first\(.*it stands for .*test_standing.cubed"
    ):
        define("again")
    again = define("again")
    assert cubed.__code__ is code
    x = tn.tensor([2.0], requires_grad=True)
    assert first is not again
    assert cubed(x).node.op is again
    assert cubed(np.ones(1)) == 1
    tn.testing.check_grads(again, [np.ones(2)], order=2)  # its forward asks too
    with pytest.warns(UserWarning, match="takes the place of <op again") as caught:

        @tn.derived(numpy=cubed)
        def composed(x: Any) -> Any:
            """x³"""
            return x**3

    assert [w.filename for w in caught] == [__file__]
    assert cubed(x).node.name == "power"


def outer(power: int) -> Any:
    def kept(function: Any) -> Any:
        @functools.wraps(function)
        def wrapper(*args: Any, **kwargs: Any) -> Any:
            return function(*args, **kwargs) ** power

        return wrapper

    return kept


@outer(2)
def total(*arrays: Any, scale: Any = 1.0, **more: Any) -> Any:
    """A decorated function of any number of arrays."""
    return sum(np.asarray(a).sum() for a in arrays) * scale + len(more)


def test_decorated_functions_and_those_with_any_number_of_arguments() -> None:
    assert total(np.ones(2), 1.0, a=1) == 16
    tn.derived(numpy=total)(_tensors)
    assert total(np.ones(2), 1.0, a=1) == 16
    assert total(scale=2) == 0
    x = tn.tensor([1.0])
    assert total(x, 2.0, x) == ("tensors", 3, {})
    assert total(np.ones(1), more=[1, (2, x)], scale=3) == ("tensors", 1, {"more": [1, (2, x)], "scale": 3})


def _tensors(*arrays: Any, **options: Any) -> Any:
    """What it was called with."""
    return "tensors", len(arrays), options


def test_types_of_ones_own_answer() -> None:
    class Alone:
        """It takes part in ops and has none of NumPy's protocols."""

        def __tapenet_op__(self, op: Any, args: Any, kwargs: Any) -> Any:
            return op.name

    def function(x: Any) -> Any:
        return x

    tn.op(lambda x: x * 1, name="seen", numpy=function, x=lambda g: g)
    assert function(Alone()) == "seen"
    assert function([1.0, 2.0]) == [1.0, 2.0]


def test_scipys_functions() -> None:
    tn.op(lambda A: linalg.coshm(A), name="coshm", numpy=linalg.coshm, nondiff=True)
    assert linalg.coshm(tn.tensor(np.zeros((2, 2)))).tolist() == [[1, 0], [0, 1]]
    assert type(linalg.coshm(np.zeros((2, 2)))) is np.ndarray
    with pytest.warns(UserWarning, match=r"it stands for scipy\.linalg\.coshm"):
        tn.op(lambda A: linalg.coshm(A), name="another_coshm", numpy=linalg.coshm, nondiff=True)


def test_threads_may_call_it_while_it_is_made_to_ask() -> None:
    made = [eval("lambda x, y=1: x + y") for _ in range(200)]
    wrong: list[object] = []
    done = threading.Event()

    def calls() -> None:
        while not done.is_set():
            wrong.extend(f for f in made if f(1) != 2)

    threads = [threading.Thread(target=calls) for _ in range(2)]
    for thread in threads:
        thread.start()
    for i, function in enumerate(made):
        tn.op(lambda x: x + 1, name=f"asked_{i}", numpy=function, x=lambda g: g)
    done.set()
    for thread in threads:
        thread.join()
    assert not wrong
    assert all(f(tn.tensor(1.0)).item() == 2 for f in made)


@pytest.mark.parametrize(
    ("function", "reason"),
    [
        (math.sin, "<built-in function sin>, which is written in C and never asks"),
        (str.upper, "which is written in C"),
        ("np.sin", "'np.sin', a name: give the function itself"),
        (np.vectorize(cubed), "an object of class vectorize"),
        (functools.partial(cubed, 2), "an object of class partial"),
        (np.ndarray, "a class"),
        (tn.sin, "an object of class Op"),
        (threading.Event().set, "a method of one object"),
        (fft.fft, "an object of class _Function, which never asks"),
        (3, "3, no function"),
    ],
    ids=["C", "a method in C", "a name", "vectorize", "partial", "a class", "an op", "a method", "uarray", "a number"],
)
def test_what_can_never_ask_is_refused(function: Any, reason: str) -> None:
    with pytest.raises(TypeError) as error:
        tn.op(lambda x: x, name="f", numpy=[cubed, function], x=lambda g: g)
    assert reason in str(error.value)
    with pytest.raises(TypeError, match="'g': numpy= is"):

        @tn.derived(numpy=function)
        def g(x: Any) -> Any:
            return x
