"""A traceback shows the user's lines, and those of the package only if they are asked for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tapenet as tn
from tapenet import nn, optim
from tapenet.ops.rule_results import GradientError
from tapenet.ops.tracebacks import boundary


def leaf(*shape: int) -> tn.Tensor:
    return tn.tensor(np.ones(shape), requires_grad=True)


def of_users(x: Any) -> Any:
    return (x @ x).sum()


class Net(nn.Module):
    def __init__(self) -> None:
        self.layers = nn.Sequential(nn.Linear(4, 2))

    def forward(self, x: Any) -> Any:
        return self.layers(x)


folded = tn.op(lambda x: x.reshape(7), name="folded", x=lambda g: g)
wrong = tn.op(lambda x: x * 1, name="wrong", x=lambda g: g[None])
two = tn.op(lambda x: (x, np.reshape(x, 7)), name="two", outputs=2, x=lambda g: g[0])
several = tn.op(lambda x: tuple(np.reshape(x, 7)), name="several", outputs=None, x=lambda g: g[0])

#: Calls that fail, and the functions whose lines show, from the outside.
CALLS: dict[str, tuple[Callable[[], Any], type[Exception], list[str]]] = {
    "an operator": (lambda: leaf(2, 3) @ leaf(2, 3), ValueError, []),
    "the other operator": (lambda: np.ones(5) + leaf(2, 3), ValueError, []),
    "an index": (lambda: leaf(2)[5], IndexError, []),
    "an op": (lambda: tn.exp(leaf(2), 3), TypeError, []),
    "a ufunc": (lambda: np.add(leaf(2), leaf(3)), ValueError, []),
    "a function of NumPy's": (lambda: np.concatenate([leaf(2), leaf(2, 2)]), ValueError, []),
    "a function of ops": (lambda: tn.average(leaf(2), axis=7), np.exceptions.AxisError, []),
    "a module": (lambda: Net()(leaf(2, 3)), ValueError, ["forward"]),
    "an op of one's own": (lambda: folded(leaf(2, 3)), ValueError, ["<lambda>"]),
    "an op of several outputs": (lambda: two(leaf(2, 3)), ValueError, ["<lambda>"]),
    "an op of unknown outputs": (lambda: several(leaf(2, 3)), ValueError, ["<lambda>"]),
    "a gradient rule": (lambda: wrong(leaf(2)).sum().backward(), GradientError, []),
    "backward": (lambda: leaf(2).backward(), ValueError, []),
    "a compiled step": (lambda: tn.compile(of_users)(leaf(2, 3)), ValueError, ["of_users"]),
    "a transformation": (lambda: tn.grad(of_users)(leaf(2, 3)), ValueError, ["of_users"]),
    "the product with a Hessian": (lambda: tn.hvp(of_users)(leaf(2, 3), leaf(2, 3)), ValueError, ["of_users"]),
    "a loop": (lambda: tn.fori(0, 2, lambda i, x: of_users(x), leaf(2, 3)), ValueError, ["<lambda>", "of_users"]),
    "a setting of a layer": (lambda: nn.Linear(2.0, 3), TypeError, []),  # type: ignore[arg-type]
    "a keyword of a layer": (lambda: nn.Linear(2, 3, bais=1), TypeError, []),  # type: ignore[call-arg]
    "a keyword of an optimizer": (lambda: optim.SGD([leaf(1)], lr=1.0, momentm=1), TypeError, []),  # type: ignore[call-arg]
    "a new tensor": (lambda: tn.tensor("a"), TypeError, []),
}


def lines(error: BaseException) -> list[tuple[str, str]]:
    """The file and function of each line of a traceback."""
    found = []
    trace = error.__traceback__
    while trace is not None:
        code = trace.tb_frame.f_code
        found.append((code.co_filename, code.co_name))
        trace = trace.tb_next
    return found


@pytest.mark.parametrize("slow", [False, True])
@pytest.mark.parametrize("name", CALLS)
def test_the_users_lines_alone(name: str, slow: bool) -> None:
    call, kind, shown = CALLS[name]
    for _ in range(2):  # code is made at an op's first call
        with tn.debug() if slow else tn.enable_grad(), pytest.raises(kind) as caught:
            call()
        found = lines(caught.value)[1:]  # but for this one
        assert found == [(__file__, "<lambda>"), *((__file__, function) for function in shown)]
        assert caught.value.__cause__ is None


def test_what_an_error_was_raised_after_is_shown_alike() -> None:
    def mended() -> None:
        try:
            leaf(2) + leaf(3)
        except ValueError:
            tn.exp(leaf(2), 3)

    with pytest.raises(TypeError) as caught:
        mended()
    before = caught.value.__context__
    assert isinstance(before, ValueError)
    assert [function for _, function in lines(before)] == ["mended"]


def test_all_lines_where_they_are_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TAPENET_TRACEBACK", "full")
    with pytest.raises(ValueError, match="matmul") as caught:
        of_users(leaf(2, 3))
    files = [file for file, _ in lines(caught.value)]
    assert "<op tapenet.ops.products.matmul.matmul __call__>" in files
    assert str(caught.value.__cause__).startswith("shapes (2,3) and (2,3) not aligned")


def test_the_words_of_an_error_are_those_of_before(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = []
    for how in ("full", ""):
        monkeypatch.setenv("TAPENET_TRACEBACK", how)
        with pytest.raises(ValueError, match=r"folded\(x: float64 \(2, 3\)\) failed") as caught:
            folded(leaf(2, 3))
        texts.append(str(caught.value))
    assert texts[0] == texts[1]


def test_where_the_package_is_at_fault_all_lines_show() -> None:
    """A failed assertion of ours is of no use without them; one of the user's is as any other error."""

    def own(f: Any) -> Any:
        made: dict[str, Any] = {"__name__": "tapenet.somewhere", "f": f}
        exec("def inner():\n    assert f is None or f()\n    raise AssertionError\ndef outer():\n    inner()", made)
        return boundary(made["outer"])

    def of_users() -> None:
        raise AssertionError

    with pytest.raises(AssertionError) as caught:
        own(None)()
    assert [function for _, function in lines(caught.value)][-2:] == ["outer", "inner"]
    with pytest.raises(AssertionError) as caught:
        own(of_users)()
    assert [function for _, function in lines(caught.value)][1:] == ["of_users"]
