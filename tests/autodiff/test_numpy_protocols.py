"""np.f(tensor), ndarray op tensor and tensor op ndarray: all are tapenet's ops, with NumPy's dtypes."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import scipy.cluster.vq
import scipy.linalg
import scipy.spatial
import scipy.special
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import tapenet as tn
from tapenet.ops.derived import Derived
from tapenet.ops.op import Op
from tapenet.ops.registry import Question, Refused, numpy_functions, registry
from tapenet.program.derivatives import safe_mul
from tapenet.testing import check_grads

ARITHMETIC: dict[str, Callable[[Any, Any], Any]] = {
    "add": operator.add,
    "subtract": operator.sub,
    "multiply": operator.mul,
    "divide": operator.truediv,
    "power": operator.pow,
    "remainder": operator.mod,
    "matmul": operator.matmul,
}
STEPS: dict[str, Callable[[Any, Any], Any]] = {
    "floor_divide": operator.floordiv,
    "equal": operator.eq,
    "not_equal": operator.ne,
    "less": operator.lt,
    "less_equal": operator.le,
    "greater": operator.gt,
    "greater_equal": operator.ge,
}
BITS: dict[str, Callable[[Any, Any], Any]] = {
    "bitwise_and": operator.and_,
    "bitwise_or": operator.or_,
    "bitwise_xor": operator.xor,
}
A = np.array([[1.5, 2.0], [0.5, 3.0]])
B = np.array([[2.0, 0.5], [1.5, 2.5]])


def leaf(values: Any) -> tn.Tensor:
    return tn.tensor(values, requires_grad=True)


@pytest.mark.parametrize("name", ARITHMETIC)
def test_arithmetic_records_on_either_side_of_an_array(name: str) -> None:
    f = ARITHMETIC[name]
    both_a, both_b = leaf(A), leaf(B)
    (f(both_a, both_b) * A).sum().backward()
    left, right = leaf(A), leaf(B)
    results = [f(left, B), f(A, right)]
    for result in results:
        assert type(result) is tn.Tensor
        assert result.node.name == name
        np.testing.assert_array_equal(result.data, f(A, B))
        (result * A).sum().backward()
    np.testing.assert_array_equal(left.grad.data, both_a.grad.data)
    np.testing.assert_array_equal(right.grad.data, both_b.grad.data)


@pytest.mark.parametrize("name", STEPS)
def test_comparisons_give_tensors_without_gradient_on_either_side(name: str) -> None:
    f = STEPS[name]
    for result in (f(leaf(A), leaf(B)), f(leaf(A), B), f(A, leaf(B)), f(leaf(A), 2), f(leaf(A), 2.0)):
        assert type(result) is tn.Tensor
        assert result.requires_grad == (name == "floor_divide")  # whose derivative is 0
    np.testing.assert_array_equal(f(A, leaf(B)).data, f(A, B))
    np.testing.assert_array_equal(f(2.0, leaf(B)).data, f(2.0, B))
    with tn.Tape() as tape:
        f(A, leaf(B))
    assert [n.name for n in tape] == [name]


@pytest.mark.parametrize("name", BITS)
def test_bitwise_operators(name: str) -> None:
    f = BITS[name]
    for a, b in ((np.array([6, 3]), np.array([3, 5])), (np.array([True, False]), np.array([True, True]))):
        for result in (f(tn.tensor(a), tn.tensor(b)), f(tn.tensor(a), b), f(a, tn.tensor(b))):
            assert type(result) is tn.Tensor
            assert result.dtype == a.dtype
            np.testing.assert_array_equal(result.data, f(a, b))
    assert f(tn.tensor([6]), 3).item() == f(6, 3)
    assert f(6, tn.tensor([3])).item() == f(6, 3)


def test_unary_operators() -> None:
    x = leaf(-A)
    assert (+x).data.tolist() == x.data.tolist()
    (-x * abs(x)).sum().backward()
    np.testing.assert_allclose(x.grad.data, -2 * A)  # -x |x| is x² here
    assert (~tn.tensor([True, False])).tolist() == [False, True]
    assert (~tn.tensor([5])).item() == ~5


SCALARS = [np.float64, np.float32, np.int64, "scalar array"]


@pytest.mark.parametrize(
    ("name", "kind"),
    [(n, "list") for n in [*ARITHMETIC, *STEPS]]
    + [(n, k) for n in [*ARITHMETIC, *STEPS] if n != "matmul" for k in SCALARS],
)
def test_numpy_scalars_and_lists_on_the_left(name: str, kind: Any) -> None:
    f = {**ARITHMETIC, **STEPS}[name]
    left: Any = [[1.0, 2.0], [3.0, 4.0]] if kind == "list" else np.array(2.0) if kind == "scalar array" else kind(2)
    x = leaf(B)
    result = f(left, x)
    assert type(result) is tn.Tensor
    expected = f(np.asarray(left), B)
    assert result.dtype == expected.dtype
    np.testing.assert_array_equal(result.data, expected)
    assert result.requires_grad == (name in ARITHMETIC or name == "floor_divide")


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
@pytest.mark.parametrize("scalar", [2, 2.0, 0.5, True, 3])
@pytest.mark.parametrize("name", [n for n in ARITHMETIC if n != "matmul"])
@pytest.mark.parametrize("shape", [(2,), ()])
def test_python_scalars_are_weak(name: str, scalar: Any, dtype: Any, shape: tuple[int, ...]) -> None:
    f = ARITHMETIC[name]
    x = leaf(np.full(shape, 1.5, dtype))
    for y in (f(x, scalar), f(scalar, x)):
        assert y.dtype == dtype
        x.grad = None
        y.sum().backward(create_graph=True)
        assert x.grad.dtype == dtype
        gradient, x.grad = x.grad, None
        if gradient.requires_grad:
            gradient.sum().backward()
            assert x.grad is None or x.grad.dtype == dtype


def test_strong_scalars_promote_as_in_numpy() -> None:
    x = leaf(np.ones(2, np.float32))
    assert (x * np.float64(2)).dtype == np.float64
    assert (x * np.float32(2)).dtype == np.float32
    assert (x * np.ones(2)).dtype == np.float64
    assert (x * tn.tensor(2.0)).dtype == np.float64
    (x * np.ones(2)).sum().backward()
    assert x.grad.dtype == np.float32
    assert (tn.tensor([1, 2]) * 1.5).dtype == np.float64
    assert (tn.tensor([1, 2]) * 2).dtype == np.int64


CHAINS: dict[str, Callable[[Any], Any]] = {
    "functions": lambda x: np.exp(np.sin(x) * 0.5) + np.log(2 + np.tanh(x)) - np.sqrt(1 + x * x) / 3,
    "where": lambda x: np.where(x > 0, x, 0.1 * x) + np.where(x > 0, 1.0, x),
    "clip": lambda x: np.clip(x, -1, 1) + np.maximum(x, 0.5) - np.minimum(1, x),
    "reductions": lambda x: x.mean(axis=0) + np.var(x, axis=0) + x.std(axis=0, ddof=1) + np.prod(x, 0) + x.max(0),
    "powers": lambda x: abs(x) ** 0.5 + x**2 + x**3 + 2**x + (1 + x * x) ** -1,
    "shapes": lambda x: np.pad(x, 1)[1:-1, 1:-1] + np.broadcast_to(x[0], x.shape) + np.stack([x, x], 0)[1],
    "matmul": lambda x: x @ x.T @ x / 2 + np.dot(x, np.eye(4, dtype=x.dtype)) * 2,
    "mixed": lambda x: 1 - 1 / (1 + np.exp(-x)) * 2.0 % 3 + np.logaddexp(0, x) + np.hypot(x, 1) + np.arctan2(x, 2),
}


@pytest.mark.parametrize("f", CHAINS.values(), ids=CHAINS)
def test_float32_stays_float32(f: Callable[[Any], Any]) -> None:
    r = np.random.default_rng(0)
    x = leaf(r.normal(size=(3, 4)).astype(np.float32))
    y = f(x)
    assert y.dtype == np.float32
    y.sum().backward(create_graph=True)
    gradient, x.grad = x.grad, None
    assert gradient.dtype == np.float32
    if gradient.requires_grad:  # not where `f` is linear
        gradient.sum().backward()
        assert x.grad.dtype == np.float32
    assert not [n.name for n in tn.tape() if n.number > x.node.number and n.dtype == np.float64]
    x64 = leaf(x.data.astype(np.float64))
    y64 = f(x64)
    y64.sum().backward(create_graph=True)
    np.testing.assert_allclose(y.data, y64.data, rtol=2e-5, atol=1e-5)
    np.testing.assert_allclose(gradient.data, x64.grad.data, rtol=2e-4, atol=1e-4)


# -- the protocols themselves ------------------------------------------------------------------------------------


def test_every_registered_numpy_function_belongs_to_an_op() -> None:
    for function, op in numpy_functions.items():
        if isinstance(op, (Question, Refused)):
            continue
        assert isinstance(op, (Op, Derived)), function
        if op.__module__.startswith("tapenet."):
            # The ufunc that ndarray.clip calls takes no None as np.clip does, and is none of the op's names. `safe_mul` is no
            # NumPy function: the rules of primitives hand it over as NumPy would.
            assert function in op.numpy or function is safe_mul or repr(function) == "<ufunc 'clip'>"
            assert registry[f"{op.__module__}.{op.name}"] is op


UFUNCS = sorted(name for name, f in vars(np).items() if isinstance(f, np.ufunc) and f.nout == 1)


@pytest.mark.parametrize("name", UFUNCS)
def test_ufuncs_are_recorded_or_say_that_they_are_not_supported(name: str) -> None:
    f = getattr(np, name)
    integers = not any(c in "efd" for types in f.types for c in types.partition("->")[0])
    kind: Any = bool if name.startswith(("bitwise", "invert")) else np.uint8 if integers else float
    shapes = {"matvec": [(3, 3), (3,)], "vecmat": [(3,), (3, 3)]}.get(name, [(3,)] * f.nin)
    values = [np.full(shape, 1.2 if name in ("arccosh", "acosh") else 0.4).astype(kind) for shape in shapes]
    if name == "ldexp":
        values[1] = np.array([1, 2, 3])
    args = [tn.tensor(v) for v in values]
    if isinstance(numpy_functions[f], Refused):
        with pytest.raises(TypeError, match=rf"np\.{f.__name__} is not supported on tensors"):
            f(*args)
        return
    result = f(*args)
    assert type(result) is tn.Tensor
    np.testing.assert_array_equal(result.data, f(*[a.data for a in args]))


ISSUE = [
    "add", "subtract", "multiply", "divide", "true_divide", "power", "remainder", "mod", "negative", "absolute",
    "abs", "square", "sqrt", "exp", "exp2", "expm1", "log", "log2", "log10", "log1p", "sin", "cos", "tan",
    "arcsin", "arccos", "arctan", "sinh", "cosh", "tanh", "arcsinh", "arccosh", "arctanh", "maximum", "minimum",
    "where", "clip", "matmul", "sum", "mean", "var", "std", "max", "min", "prod", "reshape", "transpose",
    "swapaxes", "moveaxis", "squeeze", "expand_dims", "broadcast_to", "concatenate", "stack", "split", "flip",
    "pad", "sign", "floor_divide", "equal", "not_equal", "less", "less_equal", "greater", "greater_equal",
    "astype", "copy", "dot", "amax", "amin",
]  # fmt: skip


@pytest.mark.parametrize("name", ISSUE)
def test_what_the_issue_names_is_there_under_both_names(name: str) -> None:
    op = numpy_functions[getattr(np, name)]
    canonical = {"true_divide": "divide", "mod": "remainder", "abs": "absolute", "amax": "max", "amin": "min"}.get(
        name, name
    )
    assert getattr(tn, canonical) is op


CALLS: dict[str, tuple[Callable[..., Any], tuple[Any, ...], dict[str, Any]]] = {
    "sum": (np.sum, (A,), {"axis": (0, 1), "keepdims": True}),
    "sum dtype": (np.sum, (A,), {"dtype": np.float32}),
    "mean": (np.mean, (A, 0), {}),
    "var": (np.var, (A,), {"axis": 1, "ddof": 1}),
    "std": (np.std, (A,), {"axis": -1, "keepdims": True}),
    "max": (np.max, (A,), {"axis": 0}),
    "amax": (np.amax, (A,), {"axis": 0}),
    "prod": (np.prod, (A,), {"axis": 0}),
    "concatenate": (np.concatenate, ([A, B],), {"axis": 1}),
    "concatenate tuple": (np.concatenate, ((A, B), 0), {}),
    "stack": (np.stack, ([A, B],), {"axis": -1}),
    "reshape": (np.reshape, (A, (4,)), {}),
    "reshape shape=": (np.reshape, (A,), {"shape": -1}),
    "transpose": (np.transpose, (A,), {"axes": (1, 0)}),
    "moveaxis": (np.moveaxis, (A, 0, 1), {}),
    "swapaxes": (np.swapaxes, (A, 0, 1), {}),
    "squeeze": (np.squeeze, (A[:, :1],), {"axis": 1}),
    "expand_dims": (np.expand_dims, (A,), {"axis": (0, 2)}),
    "broadcast_to": (np.broadcast_to, (A, (3, 2, 2)), {}),
    "flip": (np.flip, (A,), {"axis": 1}),
    "pad": (np.pad, (A, ((1, 0), (0, 2))), {"constant_values": 1.5}),
    "clip": (np.clip, (A, 1.0, None), {}),
    "clip kw": (np.clip, (A,), {"a_min": None, "a_max": 2}),
    "where": (np.where, (A > 1, A, 0), {}),
    "dot": (np.dot, (A, B), {}),
    "matmul": (np.matmul, (A, B), {}),
    "astype": (np.astype, (A, np.float32), {}),
    "copy": (np.copy, (A,), {}),
    "argmax": (np.argmax, (A,), {"axis": 1}),
    "all": (np.all, (A > 1,), {"axis": 0}),
    "zeros_like": (np.zeros_like, (A,), {}),
    "ones_like": (np.ones_like, (A,), {}),
}


@pytest.mark.parametrize("name", CALLS)
def test_numpy_functions_take_numpys_arguments(name: str) -> None:
    f, args, kwargs = CALLS[name]

    def convert(value: Any) -> Any:
        if isinstance(value, (list, tuple)):
            return type(value)(convert(v) for v in value)
        return tn.tensor(value, requires_grad=value.dtype.kind == "f") if isinstance(value, np.ndarray) else value

    got, expected = f(*convert(args), **kwargs), f(*args, **kwargs)
    assert type(got) is tn.Tensor
    assert got.dtype == np.asarray(expected).dtype
    np.testing.assert_array_equal(got.data, expected)


def test_split_gives_a_list_of_tensors() -> None:
    parts = np.split(leaf(np.arange(6.0)), [1, 4])
    assert [p.tolist() for p in parts] == [[0.0], [1.0, 2.0, 3.0], [4.0, 5.0]]
    assert all(p.requires_grad for p in parts)


REFUSED: dict[str, tuple[Callable[[tn.Tensor], Any], str]] = {
    "np.save": (lambda t: np.save("nowhere", t), "state_dict()"),
    "np.isnat": (np.isnat, "dates"),
    "np.frompyfunc": (lambda t: np.frompyfunc(abs, 1, 1)(t), "tn.op"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_functions_without_an_op_say_so_and_what_to_write(name: str) -> None:
    call, advice = REFUSED[name]
    with pytest.raises(TypeError, match=r"np\..* not supported on tensors") as error:
        call(leaf(A))
    assert advice in str(error.value)


#: Functions and classes that NumPy hands to no other type: they make arrays.
MAKE_ARRAYS: dict[str, tuple[Callable[[tn.Tensor], Any], str]] = {
    "vectorize": (lambda t: np.vectorize(lambda x: x * 2)(t), "tn.apply_along_axis"),
    "r_": (lambda t: np.r_[t, t], "np.concatenate"),
    "c_": (lambda t: np.c_[t, t], "np.column_stack"),
    "full": (lambda t: np.full(2, t[0, 0]), "tn.full"),
    "require": (np.require, "use tn.require, or np.require(..., like=t)"),
    "arange": (lambda t: np.arange(t[0, 0], 3), "(np.f(..., like=t) is tn.f)"),
    "as_strided": (lambda t: np.lib.stride_tricks.as_strided(t, (2,), (8,)), "use tn.sliding_window_view"),
    "ogrid": (lambda t: np.ogrid[0 : t[0, 0]], "np.meshgrid of tn.arange"),
    "asarray_chkfinite": (np.asarray_chkfinite, "tn.isfinite"),
    "array": (lambda t: np.array([t, t]), "tn.stack"),
    "asarray": (np.asarray, "t.numpy()"),
    "ndenumerate": (np.ndenumerate, "np.ndindex(t.shape)"),
    "polynomial": (lambda t: np.polynomial.polynomial.polyval(2.0, t), "np.polyval"),
    "a polynomial": (lambda t: np.polynomial.Legendre(t[0]), "the highest power down"),
    "masked arrays": (lambda t: np.ma.masked_where(A > 1, t), "where="),
    "comparisons of tests": (lambda t: np.testing.assert_allclose(t, A), "np.testing compares arrays"),
    "scipy": (scipy.cluster.vq.whiten, "scipy computes with arrays"),
    "a function of scipy by one of NumPy": (lambda t: scipy.spatial.procrustes(t, t), "scipy computes with arrays"),
    "what tn.scipy has": (scipy.special.logsumexp, "tn.scipy.special.logsumexp is the same on tensors"),
    "what SciPy decorates": (lambda t: scipy.linalg.eigh(t @ t.T), "tn.scipy.linalg.eigh is the same on tensors"),
    "a method of a distribution": (scipy.stats.norm.logpdf, "tn.scipy.stats has the same distributions"),
}


@pytest.mark.parametrize("name", MAKE_ARRAYS)
def test_functions_that_make_arrays_say_what_to_write(name: str) -> None:
    call, advice = MAKE_ARRAYS[name]
    with pytest.raises(TypeError, match="not turned into an ndarray in silence: ") as error:
        call(leaf(A))
    assert advice in str(error.value)


QUESTIONS: dict[str, Callable[[Any], Any]] = {
    "shape": np.shape,
    "ndim": np.ndim,
    "size": np.size,
    "size of an axis": lambda a: np.size(a, -1),
    "iscomplexobj": np.iscomplexobj,
    "isrealobj": np.isrealobj,
    "result_type": lambda a: np.result_type(a, np.float32, 1j),
    "can_cast": lambda a: np.can_cast(np.float32, np.result_type(a)),
    "common_type": lambda a: np.common_type(a, np.float32(1)),
    "min_scalar_type": np.min_scalar_type,
    "may_share_memory": lambda a: np.may_share_memory(a, a),
    "shares_memory": lambda a: np.shares_memory(a, a),
    "array2string": lambda a: np.array2string(a, precision=2),
    "array_repr": np.array_repr,
    "array_str": np.array_str,
}


@pytest.mark.parametrize("name", QUESTIONS)
def test_questions_have_plain_answers(name: str) -> None:
    ask = QUESTIONS[name]
    found = ask(leaf(A))
    assert type(found) is type(ask(A))
    assert found == ask(A)


LISTS: dict[str, Callable[[Any, Any], Any]] = {
    "ufunc": lambda t, u: tn.exp([t, u]),
    "two arguments": lambda t, u: tn.add([t, u], (u, t)),
    "reduction": lambda t, u: tn.sum([t, u], axis=0),
    "of numbers": lambda t, u: tn.mean([[t[0], 1.0], [u[0], 2.0]]),
    "matrix product": lambda t, u: tn.matmul([t, u], t),
    "linalg": lambda t, u: tn.linalg.inv([t, u]),
    "sequence of lists": lambda t, u: tn.vstack([t, [u[0], 1.0]]),
}


@pytest.mark.parametrize("name", LISTS)
def test_a_list_of_tensors_is_an_array(name: str) -> None:
    check_grads(LISTS[name], [np.array([1.0, 2.0]), np.array([3.0, 4.5])], order=2)


def test_two_types_with_the_protocol_are_settled_by_tapenet() -> None:
    class Prior(np.ndarray):
        __array_priority__ = 1e9

    x, prior = leaf([1.0, 2.0]), np.array([1.0, 2.0]).view(Prior)
    assert type(x * prior) is type(prior * x) is type(np.multiply(prior, x)) is tn.Tensor


# -- broadcasting ------------------------------------------------------------------------------------------------

PAIRS = hnp.mutually_broadcastable_shapes(num_shapes=2, max_dims=3, max_side=3)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    shapes=PAIRS,
    name=st.sampled_from(
        ["add", "subtract", "multiply", "divide", "power", "maximum", "hypot", "logaddexp", "arctan2"]
    ),
    seed=st.integers(0, 1000),
    kinds=st.sampled_from(["tt", "ta", "at"]),
)
def test_broadcasting_follows_numpy_and_gradients_come_back(shapes: Any, name: str, seed: int, kinds: str) -> None:
    r = np.random.default_rng(seed)
    a, b = (r.uniform(0.5, 2.0, s) for s in shapes.input_shapes)
    f = getattr(np, name)
    x = leaf(a) if kinds[0] == "t" else a
    y = leaf(b) if kinds[1] == "t" else b
    out = f(x, y)
    expected = f(a, b)
    assert out.shape == expected.shape == shapes.result_shape
    np.testing.assert_array_equal(out.data, expected)
    g = r.normal(size=out.shape)
    out.backward(g)
    # The same by hand: expand first, then sum what was expanded.
    wide_a, wide_b = (leaf(np.broadcast_to(v, out.shape).copy()) for v in (a, b))
    f(wide_a, wide_b).backward(g)
    for t, wide in ((x, wide_a), (y, wide_b)):
        if isinstance(t, tn.Tensor):
            assert t.grad.shape == t.shape
            np.testing.assert_allclose(t.grad.data, _fold(wide.grad.data, t.shape), rtol=1e-12, atol=1e-12)


def _fold(g: Any, shape: tuple[int, ...]) -> Any:
    g = g.sum(axis=tuple(range(g.ndim - len(shape))))
    return g.sum(axis=tuple(i for i, n in enumerate(shape) if n == 1), keepdims=True).reshape(shape)


@settings(max_examples=30, deadline=None, derandomize=True)
@given(shapes=hnp.mutually_broadcastable_shapes(num_shapes=3, max_dims=3, max_side=3), seed=st.integers(0, 1000))
def test_where_broadcasts_its_three_arguments(shapes: Any, seed: int) -> None:
    r = np.random.default_rng(seed)
    c, a, b = (r.normal(size=s) for s in shapes.input_shapes)
    x, y = leaf(a), leaf(b)
    out = np.where(tn.tensor(c) > 0, x, y)
    np.testing.assert_array_equal(out.data, np.where(c > 0, a, b))
    g = r.normal(size=out.shape)
    out.backward(g)
    mask = np.broadcast_to(c > 0, out.shape)
    np.testing.assert_allclose(x.grad.data, _fold(np.where(mask, g, 0), a.shape), atol=1e-12)
    np.testing.assert_allclose(y.grad.data, _fold(np.where(mask, 0, g), b.shape), atol=1e-12)


@settings(max_examples=40, deadline=None, derandomize=True)
@given(shapes=hnp.mutually_broadcastable_shapes(signature=np.matmul.signature, max_dims=2, max_side=3, min_side=1),
       seed=st.integers(0, 1000))  # fmt: skip
def test_matmul_broadcasts_batches_and_takes_vectors(shapes: Any, seed: int) -> None:
    r = np.random.default_rng(seed)
    a, b = (r.normal(size=s) for s in shapes.input_shapes)
    x, y = leaf(a), leaf(b)
    out = x @ y
    np.testing.assert_allclose(out.data, a @ b, rtol=1e-13)
    tn.testing.check_grads(tn.matmul, [a, b], order=1)


def test_shapes_that_do_not_broadcast_are_explained() -> None:
    with pytest.raises(ValueError, match=r"add\(x: float64 \(2, 3\), y: float64 \(2,\)\) failed.*x\[:, None\]"):
        leaf(np.ones((2, 3))) + np.ones(2)
    with pytest.raises(ValueError, match=r"matmul.*\(2, 3\).*did you mean x @ y\.T"):
        leaf(np.ones((2, 3))) @ np.ones((2, 3))
    with pytest.raises(ValueError, match=r"use \* instead"):
        leaf(np.ones(2)) @ 2.0
