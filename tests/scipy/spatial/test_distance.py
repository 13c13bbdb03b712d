"""`tn.scipy.spatial.distance` against SciPy and finite differences."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scipy.spatial.distance

import tapenet as tn
from tapenet.testing import check_grads
from tests.scipy.linalg.cases import Case, has_derivatives, has_scipys_values, one_each, runs_in_every_way

T: Any = tn.scipy.spatial.distance
R = np.random.default_rng(0)
A, B = R.uniform(0.1, 1, (4, 3)), R.uniform(0.1, 1, (5, 3))
W, V = R.uniform(0.5, 1.5, 3), R.uniform(0.5, 1.5, 3)
VI = np.eye(3) + 0.1 * (A.T @ A)
SMOOTH = ["braycurtis", "canberra", "chebyshev", "cityblock", "correlation", "cosine", "euclidean", "sqeuclidean"]
COUNTS = ["dice", "rogerstanimoto", "russellrao", "sokalsneath", "yule"]


def case(name: str, *args: Any, by: Any = None, **options: Any) -> Case:
    """A call; `by` names the last argument."""

    def of(f: Any) -> Any:
        if by is None:
            return lambda *a: f(*a, **options)
        return lambda *a: f(*a[:-1], **options, **{by: a[-1]})

    return Case(of(getattr(T, name)), of(getattr(scipy.spatial.distance, name)), args, tolerance=1e-5)


CASES = {
    **{name: case(name, A[0], B[0]) for name in [*SMOOTH, *COUNTS]},
    **{f"{name} with weights": case(name, A[0], B[0], W)
       for name in [*SMOOTH, *COUNTS]},
    **{f"minkowski {p}": case("minkowski", A[0], B[0], p=p) for p in (1, 1.5, 2, np.inf)},
    "minkowski with weights": case("minkowski", A[0], B[0], W, by="w", p=3),
    "mahalanobis": case("mahalanobis", A[0], B[0], VI),
    "seuclidean": case("seuclidean", A[0], B[0], V),
    "correlation about 0": case("correlation", A[0], B[0], centered=False),
    "jensenshannon": case("jensenshannon", A[0], B[0]),
    "jensenshannon axis": case("jensenshannon", A, B[:4], base=2.0, axis=1, keepdims=True),
    **{f"cdist_{m}": case("cdist", A, B, metric=m) for m in [*SMOOTH, "jensenshannon"]},
    **{f"pdist {m}": case("pdist", A, metric=m) for m in [*SMOOTH, "jensenshannon"]},
    "cdist minkowski": case("cdist", A, B, metric="minkowski", p=2.5),
    "cdist by weights": case("cdist", A, B, W, by="w", metric="minkowski", p=2.5),
    "cdist by variances": case("cdist", A, B, V, by="V", metric="seuclidean"),
    "cdist mahalanobis": case("cdist", A, B, VI, by="VI", metric="mahalanobis"),
    "pdist mahalanobis": case("pdist", B, VI, by="VI", metric="mahalanobis"),
    "pdist by weights": case("pdist", A, W, by="w", metric="sqeuclidean"),
    "squareform": case("squareform", R.normal(size=6)),
    "directed_hausdorff": Case(
        lambda a, b: T.directed_hausdorff(a, b), scipy.spatial.distance.directed_hausdorff, [A, B], lambda out: out[0]
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_values_and_derivatives(name: str) -> None:
    if "directed" not in name:  # SciPy takes 64 bits alone there
        has_scipys_values(CASES[name])
    has_derivatives(CASES[name])


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_second_derivatives(name: str) -> None:
    has_derivatives(CASES[name], order=2)


@pytest.mark.slow
@pytest.mark.parametrize("name", one_each(CASES))
def test_every_way_to_run(name: str) -> None:
    runs_in_every_way(CASES[name])


def test_what_the_points_give_themselves() -> None:
    """Variances and covariances of the points, through which gradients flow."""
    for name, f in (("cdist", lambda f: lambda a, b, m: f(a, b, m)), ("pdist", lambda f: lambda a, _, m: f(a, m))):
        ours, theirs = f(getattr(T, name)), f(getattr(scipy.spatial.distance, name))
        for metric in ("seuclidean", "mahalanobis"):
            np.testing.assert_allclose(ours(tn.tensor(B), A, metric).numpy(), theirs(B, A, metric), rtol=1e-12)
            narrow = B.astype(np.float32), A.astype(np.float32)
            np.testing.assert_allclose(
                ours(tn.tensor(narrow[0]), narrow[1], metric).numpy(), theirs(*narrow, metric), rtol=1e-12
            )
            check_grads(lambda b, ours=ours, metric=metric: ours(b, A, metric), [B], order=2, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("metric", ["hamming", "jaccard", *COUNTS])
def test_metrics_of_booleans_have_values_alone(metric: str) -> None:
    x = R.integers(0, 2, (4, 5)).astype(float)
    given = tn.tensor(x, requires_grad=True)
    found = T.pdist(given, metric)
    np.testing.assert_array_equal(found.numpy(), scipy.spatial.distance.pdist(x, metric))
    (found.sum() + 0 * given.sum()).backward()
    assert not given.grad.numpy().any()
    np.testing.assert_array_equal(T.cdist(x > 0, x[:2] > 0, metric), scipy.spatial.distance.cdist(x, x[:2], metric))


@pytest.mark.parametrize("metric", ["euclidean", "minkowski", "cityblock", "mahalanobis", "seuclidean", "chebyshev"])
def test_equal_points_have_the_gradient_0(metric: str) -> None:
    options = {"VI": VI} if metric == "mahalanobis" else {"V": V} if metric == "seuclidean" else {}
    x = tn.tensor(A, requires_grad=True)
    T.cdist(x, A, metric, **options).sum().backward()
    y = np.array(A)
    expected = np.zeros_like(A)
    for i in range(4):  # without the points themselves
        others = np.delete(A, i, 0)
        expected[i] = tn.grad(lambda a, others=others: T.cdist(a, others, metric, **options).sum())(
            y[i : i + 1]
        ).numpy()
    np.testing.assert_allclose(x.grad.numpy(), expected, rtol=1e-9, atol=1e-9)


def test_functions_short_names_and_bad_input() -> None:
    def metric(u: Any, v: Any) -> Any:
        return ((u - v) ** 4).sum()

    np.testing.assert_allclose(
        T.cdist(tn.tensor(A), B, metric).numpy(), scipy.spatial.distance.cdist(A, B, metric), rtol=1e-14
    )
    check_grads(lambda a: T.pdist(a, metric), [A], order=2)
    np.testing.assert_array_equal(T.cdist(A, B, "cb"), T.cdist(A, B, "cityblock"))
    np.testing.assert_array_equal(T.cdist(A, B, "test_cosine"), T.cdist(A, B, "cosine"))
    with pytest.raises(ValueError, match="Unknown Distance Metric: nearest; it is one of braycurtis"):
        T.cdist(A, B, "nearest")
    with pytest.raises(
        ValueError,
        match=r"cdist\(XA: float64 \(4, 3\), XB: float64 \(5, 2\)\) failed: XA and XB must have the same number",
    ):
        T.cdist(tn.tensor(A), B[:, :2])
    with pytest.raises(TypeError, match="out= is not there"):
        T.pdist(A, out=np.zeros(6))
    square = scipy.spatial.distance.squareform(np.arange(6.0))
    np.testing.assert_array_equal(T.squareform(tn.tensor(square)).numpy(), np.arange(6.0))
    with pytest.raises(ValueError, match="symmetric"):
        T.squareform(tn.tensor(A[:3] - np.diag(np.diag(A[:3]))))
    with pytest.raises(ValueError, match="Incompatible vector size"):
        T.squareform(tn.tensor(np.ones(4)))
