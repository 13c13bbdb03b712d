"""Sparse Jacobians and Hessians: the entries of the dense ones, found once, computed by few products."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from scipy import sparse

import tapenet as tn
from tapenet import nn
from tapenet.ops.op import Op
from tapenet.ops.registry import registry
from tapenet.ops.signatures import bind
from tapenet.program.differentiating import NoDerivative
from tapenet.transforms import sparse_derivatives

R = np.random.default_rng(0)
Array = np.ndarray[Any, Any]
x = R.uniform(0.3, 0.9, 8)


@pytest.fixture(params=["numpy", "native"], autouse=True)
def backend(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    name: str = request.param
    if name == "native":
        pytest.importorskip("llvmlite")
    monkeypatch.setattr(sparse_derivatives, "available_backend", lambda: name)
    return name


def flat(tree: Any, rows: int) -> Array:
    """The dense Jacobian by several arguments as one matrix."""
    return np.concatenate([t.detach().numpy().reshape(rows, -1) for t in tn.tree.leaves(tree)], axis=1)


def assert_dense(f: Callable[..., Any], *args: Any, **options: Any) -> Any:
    """The sparse Jacobian is the dense one; it is returned for more."""
    function = tn.jacobian(f, sparse=True, **options)
    found = function(*args)
    assert isinstance(found, sparse.csr_array)
    assert found.has_canonical_format
    expected = tn.jacobian(f, **{k: v for k, v in options.items() if k == "argnums"})(*args)
    rows = np.size(f(*args))
    np.testing.assert_allclose(found.toarray(), flat(expected, rows), rtol=1e-12, atol=1e-14)
    return function


def chain(x: Any) -> Any:
    return x[1:] * np.sin(x[:-1]) + x[1:] ** 2


def rosenbrock(x: Any) -> Any:
    return np.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2)


# -- Jacobians ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", [None, "forward", "reverse"])
def test_bands(mode: Any) -> None:
    function = assert_dense(chain, x, mode=mode)
    assert function.mode == (mode or "forward")
    assert function.colors.tolist() == ([0, 1] * 4)[: 7 if mode == "reverse" else 8]
    assert function.pattern.nnz == 14


def test_the_mode_with_fewer_colours() -> None:
    """Each result of all numbers in a row of its own: one colour of rows. And the other way round."""
    wide = assert_dense(lambda x: np.sum(x.reshape(2, 4) ** 2, axis=1), x)
    assert (wide.mode, wide.colors.max() + 1) == ("reverse", 1)
    tall = assert_dense(lambda x: np.concatenate([x[:2] ** k for k in range(2, 6)]), x)
    assert (tall.mode, tall.colors.max() + 1) == ("forward", 1)


def test_several_arguments_of_several_axes() -> None:
    camera, point = np.array([0, 2, 1, 0, 2]), np.array([3, 0, 1, 2, 3])

    def f(cameras: Any, points: Any, scale: float) -> Any:
        return scale * np.cos(cameras[camera] * points[point]) + cameras[camera][:, ::-1]

    a, b = R.normal(size=(3, 2)), R.normal(size=(4, 2))
    function = assert_dense(f, a, b, 2.0, argnums=(0, 1))
    assert function.pattern.shape == (10, 14)
    assert function.colors.max() + 1 == 3
    assert_dense(f, a, b, 2.0, argnums=1)


def test_structures_are_flattened_in_their_order() -> None:
    def f(p: Any) -> Any:
        return {"first": p["a"] * p["b"][0], "second": (p["b"][1][:2] ** 2,)}

    p = {"a": x[:3], "b": [np.array(2.0), x[3:7].reshape(4)]}
    found = tn.jacobian(f, sparse=True)(p)
    expected = np.zeros((5, 8))
    expected[:3, :3] = 2 * np.eye(3)
    expected[:3, 3] = x[:3]
    expected[3:, 4:6] = np.diag(2 * x[3:5])
    np.testing.assert_allclose(found.toarray(), expected)


def test_products_are_those_of_jvp() -> None:
    n = 40

    def f(w: Any) -> Any:
        u, v = w
        around = np.roll(u, 1, 0) + np.roll(u, -1, 0) + np.roll(u, 1, 1) + np.roll(u, -1, 1) - 4 * u
        return np.stack([around - u * v**2, u * v**2 - np.where(v > 0.5, v, np.tanh(v))])

    w, t = R.uniform(size=(2, 2, n, n))
    function = tn.jacobian(f, sparse=True)
    np.testing.assert_allclose(function(w) @ t.reshape(-1), tn.jvp(f, (w,), (t,))[1].numpy().reshape(-1), atol=1e-12)
    assert function.pattern.nnz == 8 * n * n  # five neighbours and v; u and v
    assert function.colors.max() + 1 <= 12


def test_layers_and_loops() -> None:
    layer = nn.Conv1d(1, 1, 3, padding=1).double()
    function = assert_dense(lambda x: np.tanh(layer(x.reshape(1, 1, -1))).reshape(-1), x)
    assert function.pattern.nnz == 3 * 8 - 2

    def sums(x: Any) -> Any:
        return tn.scan(lambda carry, item: (carry + item**2, carry * item), 0.0 * x[0], x)[1]

    np.testing.assert_array_equal(assert_dense(sums, x).pattern.toarray(), np.tri(8))


def test_other_dtypes_and_nothing() -> None:
    found = tn.jacobian(chain, sparse=True)(x.astype(np.float32))
    assert found.dtype == np.float32
    assert_dense(lambda x: np.floor(x), x)
    assert tn.jacobian(lambda x: x[:0], sparse=True)(x).shape == (0, 8)
    assert tn.jacobian(lambda x: x**2, sparse=True)(x[:0]).shape == (0, 0)


def test_many_colours_take_several_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sparse_derivatives, "BLOCK", 30)
    lower = np.tri(8)
    assert assert_dense(lambda x: lower @ x**2, x).colors.max() + 1 == 8
    assert assert_dense(lambda x: lower @ x**2, x, mode="reverse").colors.max() + 1 == 8


def test_the_value_comes_with_it() -> None:
    value, found = tn.value_and_jacobian(chain, sparse=True)(tn.tensor(x, requires_grad=True))
    np.testing.assert_array_equal(value.numpy(), chain(x))
    np.testing.assert_allclose(found.toarray(), tn.jacobian(chain)(x).numpy())
    (value, aux), _ = tn.value_and_jacobian(lambda x: (x**2, "said"), has_aux=True, sparse=True)(x)
    assert aux == "said"


def test_aux() -> None:
    found, aux = tn.jacobian(lambda x: (x**2, "said"), has_aux=True, sparse=True)(x)
    np.testing.assert_allclose(found.diagonal(), 2 * x)
    assert aux == "said"


@pytest.mark.slow
def test_every_op_has_the_entries_of_its_dense_jacobian(backend: str) -> None:
    """On the smaller ones of its samples."""
    if backend != "numpy":
        return  # what compiles is held to NumPy elsewhere
    tn.ops.everything()
    held = set()
    for name, op in sorted(registry.items()):
        if not isinstance(op, Op) or not op.samples or op.random or op.effect:
            continue
        for call in list(op.samples(np.random.default_rng(0)))[:2]:
            try:
                args = bind(op, call.args, call.kwargs)
            except TypeError:
                continue  # an option that the op's further forms take
            floats = [n for n in args if isinstance(args[n], np.ndarray) and args[n].dtype.kind == "f"]
            given = [args[n] for n in floats]
            if not 0 < sum(a.size for a in given) <= 30 or not all(a.size for a in given):
                continue

            def f(*given: Any, op: Op = op, args: Any = args, floats: list[str] = floats) -> Any:
                return op.apply(op, {**args, **dict(zip(floats, given, strict=True))})

            outs = tn.tree.leaves(f(*given))
            if any(np.asarray(out).dtype.kind != "f" for out in outs):
                continue
            numbers = tuple(range(len(given)))
            try:
                rows = tn.jacobian(f, argnums=numbers)(*given)
                found = tn.jacobian(f, argnums=numbers, sparse=True)(*given)
            except NoDerivative:
                continue
            rows = rows if len(tn.tree.leaves(rows)) > len(given) else [rows]
            expected = [flat(row, np.size(out)) for row, out in zip(rows, outs, strict=True)]
            np.testing.assert_allclose(found.toarray(), np.concatenate(expected), rtol=1e-9, atol=1e-10, err_msg=name)
            held.add(name)
    assert len(held) > 200


# -- what is kept ------------------------------------------------------------------------------------------------


@pytest.fixture
def found(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Notes each search for a pattern."""
    calls: list[int] = []
    search = sparse_derivatives.sparsity

    def noted(*args: Any) -> Any:
        calls.append(len(calls))
        return search(*args)

    monkeypatch.setattr(sparse_derivatives, "sparsity", noted)
    return calls


def test_functions_inside_are_known_again(found: list[int]) -> None:
    rows = tn.vmap(lambda row: np.sin(row) * np.sum(row))
    compiled = tn.compile(lambda x: x * x)
    function = tn.jacobian(lambda x: compiled(rows(x.reshape(4, 2))), sparse=True)
    for _ in range(2):
        assert function(x).nnz == 16
    assert len(found) == 1


def test_rules_of_whole_functions_are_what_counts(found: list[int]) -> None:
    """Rounding is flat; its rule says that it is not."""

    @tn.custom_vjp
    def through(x: Any) -> Any:
        return np.round(x)

    through.defvjp(lambda x: (np.round(x), None), lambda held, g: (g,))
    again = tn.checkpoint(lambda x: np.sin(x) * x)
    function = tn.jacobian(lambda x: through(4 * x) * again(x[::-1]), sparse=True)
    for value in (x, x + 1):
        slope = np.diag(4 * np.sin(value[::-1]) * value[::-1])
        other = np.diag(np.round(4 * value) * (np.sin(value) + value * np.cos(value))[::-1])[:, ::-1]
        np.testing.assert_allclose(function(value).toarray(), slope + other)
    assert len(found) == 1


def test_the_pattern_is_found_once(found: list[int]) -> None:
    weight = tn.tensor(x, requires_grad=True)
    function = tn.jacobian(lambda x, factor: weight * factor * x[::-1] ** 2, sparse=True)
    for factor in (np.array(1.0), np.array(2.0)):
        for value in (x, 2 * x):
            matrix = function(value, factor)
            np.testing.assert_allclose(matrix.toarray(), np.diag(2 * x * factor * value[::-1])[:, ::-1])
            matrix.data[:] = 0
            matrix.indices[:] = 0  # the caller's own
            with tn.no_grad():
                weight += 0.0
    assert len(found) == 1
    function(x[:1], np.array(1.0))
    assert len(found) == 2


def test_another_index_is_another_pattern(found: list[int]) -> None:
    index = np.array([0, 3, 5])
    function = tn.jacobian(lambda x, i: np.sin(x[i]), sparse=True)
    for _ in range(2):
        np.testing.assert_allclose(function(x, index).toarray(), np.cos(x)[index][:, None] * np.eye(8)[index])
    assert len(found) == 1
    index[0] = 7  # in place
    np.testing.assert_allclose(function(x, index).toarray(), np.cos(x)[index][:, None] * np.eye(8)[index])
    assert len(found) == 2
    index[0] = 0
    function(x, index)
    assert len(found) == 2


def test_another_function_is_another_pattern() -> None:
    """What the function reads may change: numbers, slices, modes."""
    shift = 1

    def f(x: Any) -> Any:
        return np.roll(x, shift) * x if shift else x

    function = tn.jacobian(f, sparse=True)
    for shift in (1, 2, 0, 1):  # noqa: B007
        np.testing.assert_allclose(function(x).toarray(), np.asarray(tn.jacobian(f)(x)))


def test_values_that_decide_what_is_read() -> None:
    """The pattern holds for every value of the argument."""
    function = tn.jacobian(lambda x: x[np.argmax(x)] * x, sparse=True)
    for value in (x, x[::-1].copy()):
        np.testing.assert_allclose(
            function(value).toarray(), np.asarray(tn.jacobian(lambda x: x[np.argmax(x)] * x)(value))
        )


# -- patterns that are given -------------------------------------------------------------------------------------


def test_a_pattern_that_is_given(found: list[int]) -> None:
    pattern = np.tri(7, 8, 1) - np.tri(7, 8, -2)
    assert_dense(chain, x, pattern=pattern)
    assert_dense(chain, x, pattern=sparse.coo_array(pattern), mode="reverse")
    assert not found


def test_a_pattern_that_does_not_fit() -> None:
    with pytest.raises(ValueError, match=r"shape \(8, 8\), and the matrix \(7, 8\)"):
        tn.jacobian(chain, sparse=True, pattern=np.eye(8))(x)
    with pytest.raises(ValueError, match="misses entries that are not 0, in row 0 and 6 others"):
        tn.jacobian(chain, sparse=True, pattern=np.eye(7, 8))(x)
    with pytest.raises(ValueError, match="misses entries that are not 0, in row 0"):  # small ones too
        tn.jacobian(lambda x: 1e-9 * chain(x), sparse=True, pattern=np.eye(7, 8))(x)
    with pytest.raises(ValueError, match="misses entries"):
        tn.hessian(rosenbrock, sparse=True, pattern=np.eye(8))(x)
    with pytest.raises(ValueError, match="sparse=True too"):
        tn.jacobian(chain, pattern=np.eye(8))


# -- Hessians ----------------------------------------------------------------------------------------------------


def test_hessians() -> None:
    function = tn.hessian(rosenbrock, sparse=True)
    found = function(x)
    np.testing.assert_allclose(found.toarray(), np.asarray(tn.hessian(rosenbrock)(x)), rtol=1e-12)
    np.testing.assert_array_equal(found.toarray(), found.toarray().T)
    assert function.mode == "symmetric"
    assert function.pattern.nnz == 3 * 8 - 2
    assert function.colors.max() + 1 == 3


def test_symmetry_saves_passes() -> None:
    """An arrow: all depends on the last argument, which nothing in one row tells apart from others."""

    def f(p: Any) -> Any:
        return np.sum(np.exp(p["each"] * p["all"]) + p["each"] ** 3)

    p = {"each": x.reshape(2, 4), "all": np.array(0.7)}
    function = tn.hessian(f, sparse=True)
    found = function(p).toarray()
    assert function.colors.max() + 1 == 2
    each, common = x, 0.7
    e = np.exp(each * common)
    np.testing.assert_allclose(found[:8, :8], np.diag(common**2 * e + 6 * each), rtol=1e-12)
    np.testing.assert_allclose(found[8, :8], e * (1 + each * common), rtol=1e-12)
    np.testing.assert_allclose(found[:8, 8], found[8, :8], rtol=0)
    np.testing.assert_allclose(found[8, 8], np.sum(each**2 * e), rtol=1e-12)


def test_a_rule_that_looks_at_values_is_looked_at_anew(found: list[int]) -> None:
    """Its second derivative is that of the branch that was taken."""
    energy = tn.op(lambda x: np.sum(x**2), name="energy", x=lambda g, x: g * 2 * (x if x[0] > 0 else x[::-1]))
    dense, function = tn.hessian(lambda x: energy(x)), tn.hessian(lambda x: energy(x), sparse=True)
    for value in (x, -x, x, -x):
        expected = 2 * np.eye(8)[:: 1 if value[0] > 0 else -1]
        np.testing.assert_array_equal(function(value).toarray(), expected)
        np.testing.assert_array_equal(dense(value).numpy(), expected)
    assert len(found) == 2


# -- errors ------------------------------------------------------------------------------------------------------


def test_nothing_is_known_before_the_first_call() -> None:
    with pytest.raises(AttributeError, match="at the first call"):
        _ = tn.jacobian(chain, sparse=True).pattern


def test_a_dense_jacobian(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tapenet.program.sparsity.LIMIT", 60)
    with pytest.raises(ValueError, match=r"tn\.jacobian: the pattern .* has 64 entries or more; leave out sparse=True"):
        tn.jacobian(lambda x: x / np.sum(x), sparse=True)(x)


def test_what_is_no_real_float() -> None:
    with pytest.raises(TypeError, match="complex128"):
        tn.jacobian(lambda x: x * 1j, sparse=True)(x)
    with pytest.raises(TypeError, match="int64"):
        tn.jacobian(lambda x: x * 1.0, sparse=True)(np.arange(3))


def test_no_gradient_flows_through_a_sparse_matrix() -> None:
    function = tn.jacobian(chain, sparse=True)

    def f(x: Any) -> Any:
        return tn.tensor(function(x).data).sum()

    for transformed in (tn.grad(f), tn.compile(f), lambda v: tn.jvp(f, (v,), (v,)), lambda v: tn.vmap(f)(v[None])):
        with pytest.raises(TypeError, match="plain numbers"):
            transformed(x)
    factor = tn.tensor(2.0, requires_grad=True) * 1
    with pytest.raises(TypeError, match="what the function reads"):
        tn.jacobian(lambda x: x * factor, sparse=True)(x)
    leaf = tn.tensor(x, requires_grad=True)
    np.testing.assert_array_equal(function(leaf).toarray(), function(x).toarray())
