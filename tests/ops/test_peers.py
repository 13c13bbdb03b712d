"""Beside other libraries: values and gradients are those of JAX and PyTorch wherever these have the function, and what
autograd, MyGrad or JAX differentiate tapenet differentiates too.

The calls are the samples of the registry, float64 and complex; tests/ops/test_registry.py compares the same with finite
differences. What JAX does otherwise stands in a table, and a test shows that it still does.
"""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
import pytest

import tapenet as tn
from tapenet.ops.derived import Derived, pure
from tapenet.ops.op import Op
from tapenet.ops.registry import Sample, numpy_functions
from tapenet.program.trees import tree_leaves, tree_map
from tests.ops.oracle import close
from tests.ops.test_coverage import PAGE, SPACES, functions


def words(text: str) -> list[str]:
    return text.split()


def _named() -> dict[str, Any]:
    """What stands for each function of NumPy that has a derivative, by its name inside `np`."""
    found = {
        f"{space}.{name}".removeprefix("np."): numpy_functions.get(f)
        for space in SPACES
        for name, f in functions(space)
    }
    return {name: op for name, op in found.items() if isinstance(op, (Op, Derived)) and op.differentiable}


NAMED = _named()


def _distinct() -> list[str]:
    """Of several names of one op the one that it goes by itself."""
    chosen: dict[int, str] = {}
    for name, op in NAMED.items():
        if id(op) not in chosen or name.rpartition(".")[2] == op.name:
            chosen[id(op)] = name
    return sorted(chosen.values())


DISTINCT = _distinct()


def inside(module: Any, name: str) -> Any:
    """A function by its name inside `np`, as it is found in another module; None if that has none."""
    for part in name.split("."):
        module = getattr(module, part, None)
    return module


def _is_float(value: Any) -> bool:
    return isinstance(value, np.ndarray) and value.dtype.kind in "fc"


def _is_complex(value: Any) -> bool:
    return _is_float(value) and value.dtype.kind == "c"


def calls(name: str) -> list[Sample]:
    """The samples of an op that have something to differentiate by."""
    return [c for c in NAMED[name].samples(np.random.default_rng(0)) if arguments(c)]


def _parts(call: Sample) -> list[Any]:
    # Tolerances are constants.
    return [call.args, {k: v for k, v in call.kwargs.items() if k not in ("rcond", "rtol")}]


def arguments(call: Sample) -> list[Any]:
    """The arrays of a call that it is differentiated by."""
    return [v for v in tree_leaves(_parts(call)) if _is_float(v)]


def with_arguments(call: Sample, given: Any) -> Sample:
    stream = iter(given)
    args, kwargs = tree_map(lambda v: next(stream) if _is_float(v) else v, _parts(call))
    return Sample(args, call.kwargs | kwargs)


def cotangents(outs: list[Any]) -> list[Any]:
    rng = np.random.default_rng(1)
    made = []
    for out in outs:
        g = rng.normal(size=np.shape(out))
        made.append(g + 1j * rng.normal(size=np.shape(out)) if np.asarray(out).dtype.kind == "c" else g)
    return made


class Result(NamedTuple):
    """Outputs of a call, and the gradients by its arguments."""

    values: list[Any]
    gradients: list[Any]


def by_tapenet(f: Callable[..., Any], call: Sample) -> Result:
    given = arguments(call)
    values = [np.asarray(v) for v in tree_leaves(f(*call.args, **call.kwargs))]

    def run(*tensors: Any) -> list[Any]:
        made = with_arguments(call, tensors)
        return [t for t in tree_leaves(f(*made.args, **made.kwargs)) if t.dtype.kind in "fc"]

    _, pull = tn.vjp(run, *given)
    gradients = pull(cotangents([v for v in values if v.dtype.kind in "fc"]))
    return Result(values, [t.data for t in (gradients if len(given) > 1 else [gradients])])


def same(ours: Result, theirs: Result) -> None:
    """Values and gradients are equal but for rounding."""
    assert len(ours.values) == len(theirs.values)
    for i, (a, b) in enumerate(zip(ours.values, theirs.values, strict=True)):
        if a.dtype.kind in "iu" and b.dtype.kind in "iu":  # of another width
            b = b.astype(a.dtype)
        close(a, b, f"value {i}")
    for i, (a, b) in enumerate(zip(ours.gradients, theirs.gradients, strict=True)):
        np.testing.assert_allclose(
            a, b, rtol=1e-9, atol=1e-9 * max(1.0, float(np.abs(b).max(initial=0))), err_msg=f"gradient by argument {i}"
        )


# -- the same question to both -----------------------------------------------------------------------------------
# Of a decomposition only what its free signs and phases leave alone, and what reads one triangle of a matrix, on
# Hermitian matrices: others read the other triangle too.


def _adjoint(a: Any) -> Any:
    return a.conj().swapaxes(-1, -2)


def hermitian(f: Any, a: Any, *args: Any, **kwargs: Any) -> Any:
    return f((a + _adjoint(a)) / 2, *args, **kwargs)


def positive(f: Any, a: Any, **kwargs: Any) -> Any:
    return f(a @ _adjoint(a), **kwargs)


def eigh(f: Any, a: Any, *args: Any, **kwargs: Any) -> Any:
    w, v = hermitian(f, a, *args, **kwargs)
    return w, (v * w[..., None, :] ** 3) @ _adjoint(v)


def eig(f: Any, a: Any) -> Any:
    w, v = f(a)
    return w * (1 + 0j), v * v.conj() * (1 + 0j)


def svd(f: Any, a: Any, *args: Any, **kwargs: Any) -> Any:
    found = f((a + _adjoint(a)) / 2 if kwargs.get("hermitian") else a, *args, **kwargs)
    if not isinstance(found, tuple):
        return found
    u, s, vh = found
    return s, (u[..., : s.shape[-1]] * s[..., None, :] ** 3) @ vh[..., : s.shape[-1], :]


def pinv(f: Any, a: Any, *args: Any, hermitian: bool = False, **kwargs: Any) -> Any:
    return f((a + _adjoint(a)) / 2 if hermitian else a, *args, hermitian=hermitian, **kwargs)


def polyfit(f: Any, x: Any, *args: Any, **kwargs: Any) -> Any:
    """Away from 0, where JAX has no derivative of a power."""
    return f(x + 0.5, *args, **kwargs)


def complex_result(f: Any, a: Any) -> Any:
    return f(a) * (1 + 0j)


def solution(f: Any, a: Any, b: Any, rcond: Any = None) -> Any:
    """Leaves out the residuals, which JAX gives where NumPy gives none."""
    found = f(a, b, rcond)
    return found[0], found[3]


THROUGH: dict[str, Callable[..., Any]] = {
    "linalg.cholesky": positive,
    "linalg.eig": eig,
    "linalg.eigh": eigh,
    "linalg.eigvalsh": hermitian,
    "linalg.svd": svd,
    "linalg.pinv": pinv,
    "linalg.lstsq": solution,
    "polyfit": polyfit,
    # JAX gives complex numbers where all are real, too.
    "linalg.eigvals": complex_result,
    "poly": complex_result,
    "roots": complex_result,
}


def question(name: str, f: Callable[..., Any]) -> Callable[..., Any]:
    through = THROUGH.get(name)
    return f if through is None else lambda *args, **kwargs: through(f, *args, **kwargs)


# -- JAX ---------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def jax() -> Iterator[Any]:
    """JAX in double precision, told to compile quickly: each call here is compiled for itself and run once."""
    library = pytest.importorskip("jax")
    options = ("jax_enable_x64", "jax_disable_most_optimizations")
    before = {option: library.config.values[option] for option in options}
    for option in options:
        library.config.update(option, True)
    yield library
    for option, value in before.items():
        library.config.update(option, value)


def by_jax(jax: Any, f: Callable[..., Any], calls: list[Sample], changes_in_place: bool) -> list[Result]:
    """All in one program, which takes half the time to compile; each alone where JAX has to see values of one."""
    options = {"inplace": False} if changes_in_place else {}

    def both(call: Sample, *given: Any) -> Any:
        def run(*arrays: Any) -> list[Any]:
            made = with_arguments(call, arrays)
            return [jax.numpy.asarray(v) for v in jax.tree.leaves(f(*made.args, **made.kwargs, **options))]

        outs, pull = jax.vjp(run, *given)
        seeds = iter(cotangents([np.zeros(v.shape, v.dtype) for v in outs if v.dtype.kind in "fc"]))
        # JAX's gradient is the conjugate of ours.
        made = [
            np.conj(next(seeds)).astype(v.dtype) if v.dtype.kind in "fc" else np.zeros(v.shape, jax.dtypes.float0)
            for v in outs
        ]
        return outs, pull(made)

    given = [[jax.numpy.asarray(a) for a in arguments(call)] for call in calls]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            found = jax.jit(lambda given: [both(c, *g) for c, g in zip(calls, given, strict=True)])(given)
        except (jax.errors.JAXTypeError, jax.errors.JAXIndexError):
            found = []
            for call, g in zip(calls, given, strict=True):
                try:
                    found.append(jax.jit(functools.partial(both, call))(*g))
                except (jax.errors.JAXTypeError, jax.errors.JAXIndexError):
                    found.append(both(call, *g))
    return [Result([np.asarray(v) for v in outs], [np.conj(g) for g in gradients]) for outs, gradients in found]


def ours(name: str, call: Sample) -> Result:
    return by_tapenet(question(name, NAMED[name].returning), call)


def jaxs(jax: Any, name: str, calls: list[Sample]) -> list[Result]:
    op = NAMED[name]
    changes = isinstance(op, Derived) and op.inplace
    return by_jax(jax, question(name, inside(jax.numpy, name)), calls, changes)


class Otherwise(NamedTuple):
    """Calls of functions that JAX refuses, or answers in another way."""

    names: str
    why: str
    when: Callable[[Sample], Any] = lambda call: True


def has_list(call: Sample) -> bool:
    """A list of numbers is given for an array."""
    values = [*call.args, *call.kwargs.values()]
    return any(isinstance(v, list) and not any(isinstance(x, np.ndarray) for x in tree_leaves(v)) for v in values)


def has_option(*names: str) -> Callable[[Sample], bool]:
    return lambda call: any(name in call.kwargs for name in names)


def without_axes(call: Sample) -> bool:
    return any(_is_float(a) and a.ndim == 0 for a in call.args)


def without_elements(call: Sample) -> bool:
    return any(np.size(a) == 0 for a in call.args)


def beyond(call: Sample) -> bool:
    """Places to split at that are negative or beyond the end."""
    places = call.args[1]
    return not isinstance(places, int) and (min(places) < 0 or max(places) > max(call.args[0].shape))


def options(call: Sample) -> list[Any]:
    """What is given beside arrays."""
    return [v for v in [*call.args, *call.kwargs.values()] if not isinstance(v, np.ndarray)]


def full_and_not_square(call: Sample) -> bool:
    shape = call.args[0].shape
    return len(call.args) == 1 and not call.kwargs and shape[-1] != shape[-2]


def has_elements(call: Sample) -> bool:
    return call.args[0].size > 0


_QUANTILES = "quantile percentile nanquantile nanpercentile"
_METHODS = words("linear lower higher midpoint nearest inverted_cdf")
_TRANSFORMS = "fft.fftn fft.ifftn fft.rfftn fft.irfftn"

#: The JAX of the tables below.
JAX_VERSION = "0.10.2"
#: Not in jax.numpy.
MISSING = words("""
asanyarray ascontiguousarray asfortranarray copyto emath.arccos emath.arcsin emath.arctanh emath.log emath.log10
emath.log2 emath.logn emath.power emath.sqrt fix putmask real_if_close require
""")
#: JAX raises.
REFUSED = (
    Otherwise(
        f"compress cov delete extract insert partition place polyint polyval put repeat take {_QUANTILES}",
        "takes no lists for arrays",
        has_list,
    ),
    Otherwise(_QUANTILES, "has six of NumPy's methods", lambda c: c.kwargs.get("method", "linear") not in _METHODS),
    Otherwise("apply_over_axes", "wants a sequence of axes", lambda c: isinstance(c.args[2], int)),
    Otherwise("array full", "have one memory order", has_option("order")),
    Otherwise("array_split vsplit", "splits at places inside alone", beyond),
    Otherwise("concat", "takes the axis by name, and no dtype", lambda c: len(c.args) > 1 or "dtype" in c.kwargs),
    Otherwise("concatenate hstack vstack", "has no casting=", has_option("casting")),
    Otherwise("clip", "has no dtype", has_option("dtype")),
    Otherwise("convolve polyadd polysub polymul polydiv", "takes no arrays without axes", without_axes),
    Otherwise("polyadd polysub", "takes no empty polynomials", without_elements),
    Otherwise("copy", "has no memory order", lambda c: len(c.args) > 1),
    Otherwise("einsum", "takes no given path", lambda c: isinstance(c.kwargs.get("optimize"), list)),
    Otherwise("fill_diagonal", "does not wrap", has_option("wrap")),
    Otherwise("fromiter", "might use an iterator up"),
    Otherwise("gradient", "has no edge_order", has_option("edge_order")),
    Otherwise(
        "histogram histogram2d histogramdd",
        "takes weights before density, and no rules",
        lambda c: len(c.args) > 4 or "auto" in options(c),
    ),
    Otherwise("histogram_bin_edges", "has no rules", lambda c: any(isinstance(v, str) for v in options(c))),
    Otherwise("insert", "takes no mask", lambda c: getattr(c.args[1], "dtype", None) == np.bool),
    Otherwise("matvec vecmat", "have no axes=", has_option("axes")),
    Otherwise("median nanmedian", "overwrite nothing", has_option("overwrite_input")),
    Otherwise("meshgrid", "copies, and takes vectors alone", lambda c: "copy" in c.kwargs or without_axes(c)),
    Otherwise("nanstd nanvar", "have no correction=", has_option("correction")),
    Otherwise(
        "partition sort", "has no kinds", lambda c: "kind" in c.kwargs or any(isinstance(a, str) for a in c.args)
    ),
    Otherwise("permute_dims", "wants axes, none negative", lambda c: len(c.args) < 2 or min(c.args[1]) < 0),
    Otherwise("trapezoid linalg.det", "do not work without elements", lambda c: 0 in c.args[0].shape[-1:]),
    Otherwise("tril triu", "take no vectors", lambda c: c.args[0].ndim == 1),
    Otherwise("linalg.eig", "has no derivative"),
    Otherwise("linalg.eigh linalg.eigvalsh", "takes capital letters alone", lambda c: {"l", "u"} & set(options(c))),
    Otherwise("linalg.svd", "has no derivative for full matrices", full_and_not_square),
    Otherwise(
        _TRANSFORMS,
        "wants the lengths",
        lambda c: any(isinstance(v, tuple) and -1 in v for v in options(c._replace(kwargs={}))),
    ),
    Otherwise(_TRANSFORMS, "transforms no axis twice", lambda c: c.kwargs.get("axes") == (0, 0)),
)
#: JAX gives another value or gradient.
DIFFERENT = (
    Otherwise("arange", "counts its ends as constant", lambda c: len(c.args) < 4 and c.args[0] != 3),
    Otherwise("fft.fftn fft.ifftn", "NumPy keeps a number as it is, without axes to transform", without_axes),
    Otherwise("geomspace", "takes 4.99… for 4 as an integer, where NumPy gives the end itself", has_option("dtype")),
    Otherwise(
        "histogram histogram2d histogramdd",
        "counts in another dtype",
        lambda c: len(c.args) < 4 and "auto" not in options(c),
    ),
    Otherwise("logspace", "has bases along no axis of their own", lambda c: np.ndim(c.args[4:] or 0) > 1),
    Otherwise("polydiv", "leaves zeros in front of the remainder", lambda c: c.args[0].size >= c.args[1].size > 1),
    Otherwise("vander", "has nan by x at 0", lambda c: 0 in c.args[0]),
    Otherwise("roots", "gives roots that are 0 first", lambda c: c.args[0][-1] == 0),
    Otherwise("sign", "counts z / |z| as constant", lambda c: c.args[0].dtype.kind == "c"),
    Otherwise(
        "union1d unique unique_all unique_counts unique_inverse unique_values", "counts it as constant", has_elements
    ),
)


def exceptions(name: str, call: Sample) -> list[Otherwise]:
    return [entry for entry in REFUSED + DIFFERENT if name in words(entry.names) and entry.when(call)]


IN_JAX = [name for name in DISTINCT if name not in MISSING and not all(exceptions(name, c) for c in calls(name))]


def under_all_names(distinct: list[str]) -> int:
    ops = {id(NAMED[name]) for name in distinct if name in NAMED}
    return sum(id(op) in ops for op in NAMED.values())


def test_how_many_functions_are_compared() -> None:
    assert under_all_names(IN_JAX) >= 250
    assert under_all_names(IN_TORCH) >= 150


def is_an_exception(jax: Any, name: str, entry: Otherwise, call: Sample) -> None:
    expected = ours(name, call)
    if jax.__version__.split(".")[:2] != JAX_VERSION.split(".")[:2]:
        return  # may have come nearer
    with pytest.raises(
        AssertionError if entry in DIFFERENT else (TypeError, ValueError, IndexError, NotImplementedError)
    ):
        same(expected, *jaxs(jax, name, [call]))


@pytest.mark.parametrize(
    ("name", "entry"),
    [(name, entry) for entry in REFUSED + DIFFERENT for name in words(entry.names) if name in NAMED],
    ids=lambda v: v if isinstance(v, str) else v.why,
)
def test_a_sample_shows_what_jax_does_otherwise(name: str, entry: Otherwise) -> None:
    """Then it is asked below: of several entries that hold for a sample the first is."""
    assert any(exceptions(name, call)[:1] == [entry] for call in calls(name))


@pytest.mark.parametrize("name", [name for name in DISTINCT if name not in MISSING])
def test_values_and_gradients_are_jaxs(jax: Any, name: str) -> None:
    alike = [call for call in calls(name) if not exceptions(name, call)]
    for call, theirs in zip(alike, jaxs(jax, name, alike), strict=True):
        same(ours(name, call), theirs)
    for call in calls(name):
        if found := exceptions(name, call):
            is_an_exception(jax, name, found[0], call)


def test_what_is_not_in_jax(jax: Any) -> None:
    assert [name for name in DISTINCT if inside(jax.numpy, name) is None] == MISSING


# -- PyTorch -----------------------------------------------------------------------------------------------------

#: Functions that PyTorch has under NumPy's name, with arguments in NumPy's order.
IN_TORCH = words("""
absolute add angle arccos arccosh arcsin arcsinh arctan arctan2 arctanh atleast_1d atleast_2d atleast_3d
broadcast_to ceil clip column_stack concatenate copysign corrcoef cos cosh cov cross cumprod cumsum diag diagflat
diagonal diff divide dot dsplit dstack einsum exp exp2 expm1 fft.fft fft.fft2 fft.fftn fft.fftshift fft.hfft
fft.ifft fft.ifft2 fft.ifftn fft.ifftshift fft.ihfft fft.irfft fft.irfft2 fft.irfftn fft.rfft fft.rfft2 fft.rfftn
fix flip fliplr flipud float_power floor fmax fmin fmod frexp gradient hsplit hstack hypot i0 imag
inner kron
linalg.cholesky linalg.cond linalg.cross linalg.det linalg.diagonal linalg.eig linalg.eigh linalg.eigvals
linalg.eigvalsh linalg.inv linalg.matmul linalg.matrix_norm linalg.matrix_power linalg.multi_dot linalg.norm
linalg.pinv linalg.qr linalg.slogdet linalg.solve linalg.svd linalg.svdvals linalg.tensorinv linalg.tensorsolve
linalg.vecdot linalg.vector_norm log log10 log1p log2 logaddexp logaddexp2 maximum mean minimum moveaxis multiply
nan_to_num nanmean nanquantile nansum negative outer positive prod put quantile ravel real reciprocal remainder
reshape roll rot90 round sign sin sinc sinh split sqrt square squeeze stack subtract sum swapaxes take tan tanh tile
trace trapezoid tril triu trunc vdot vsplit vstack where
""")
#: Calls that PyTorch takes and answers in another way.
OTHERWISE_IN_TORCH = (
    Otherwise("fft.fftn fft.ifftn", "complex numbers without axes, too", without_axes),
    Otherwise("linalg.det", "no gradient of a singular matrix", lambda c: np.linalg.matrix_rank(c.args[0]).min() < 2),
    Otherwise("mean sum", "no axes are all axes", lambda c: c.kwargs.get("axis") == ()),
    Otherwise(
        "nan_to_num", "from 2.15 on no gradient of the finite part of a number", lambda c: _is_complex(c.args[0])
    ),
    Otherwise("take", "the shape of an index without axes", without_axes),
)
_TORCH_OPTIONS = {"axis": "dim", "keepdims": "keepdim"}


def in_torch(torch: Any, name: str) -> Callable[..., Any]:
    """PyTorch's function of that name inside `np`, called as NumPy's."""
    f = inside(torch, name) or inside(torch.special, name)
    return question(name, lambda *args, **kwargs: f(*args, **{_TORCH_OPTIONS.get(k, k): v for k, v in kwargs.items()}))


def calls_in_torch(name: str) -> list[Sample]:
    """The calls that PyTorch answers as NumPy, if it takes them."""
    return [c for c in calls(name) if not any(name in words(e.names) and e.when(c) for e in OTHERWISE_IN_TORCH)]


def by_torch(torch: Any, f: Callable[..., Any], call: Sample) -> Result:
    given = [torch.tensor(a.copy("C"), requires_grad=True) for a in arguments(call)]
    made = with_arguments(call, given)
    args, kwargs = tree_map(lambda v: torch.tensor(v.copy("C")) if isinstance(v, np.ndarray) else v, list(made))
    outs = tree_leaves(f(*args, **kwargs))
    values = [_plain(t) for t in outs]
    inexact = [t for t, v in zip(outs, values, strict=True) if v.dtype.kind in "fc"]
    seeds = [torch.tensor(g) for g in cotangents([v for v in values if v.dtype.kind in "fc"])]
    gradients = torch.autograd.grad(inexact, given, seeds, allow_unused=True)
    return Result(
        values, [_plain(torch.zeros_like(a) if g is None else g) for a, g in zip(given, gradients, strict=True)]
    )


def _plain(t: Any) -> Any:
    return t.detach().resolve_conj().resolve_neg().numpy()


@pytest.mark.parametrize("name", [name for name in IN_TORCH if name in NAMED])
def test_value_and_gradients_are_pytorchs(name: str) -> None:
    torch = pytest.importorskip("torch")
    theirs = in_torch(torch, name)
    compared = 0
    for call in calls_in_torch(name):
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                found = by_torch(torch, theirs, call)
        except (TypeError, ValueError, IndexError, RuntimeError):  # it takes other arguments
            continue
        same(ours(name, call), found)
        compared += 1
    assert compared


# -- what other libraries differentiate --------------------------------------------------------------------------
# Measured on the samples: the function gives a gradient that is somewhere other than 0.

#: jax.numpy 0.10.2.
JAX = words("""
abs absolute acos acosh add amax amin angle append apply_along_axis apply_over_axes arccos arccosh arcsin arcsinh
arctan arctan2 arctanh array array_split asarray asin asinh astype atan atan2 atanh atleast_1d atleast_2d
atleast_3d average bincount block broadcast_arrays broadcast_to cbrt choose clip column_stack compress concat
concatenate conj conjugate convolve copy copysign corrcoef correlate cos cosh cov cross cumprod cumsum
cumulative_prod cumulative_sum deg2rad degrees delete diag diagflat diagonal diff divide divmod dot dsplit dstack
ediff1d einsum exp exp2 expand_dims expm1 extract fabs fft.fft fft.fft2 fft.fftfreq fft.fftn fft.fftshift fft.hfft
fft.ifft fft.ifft2 fft.ifftn fft.ifftshift fft.ihfft fft.irfft fft.irfft2 fft.irfftn fft.rfft fft.rfft2
fft.rfftfreq fft.rfftn fill_diagonal flip fliplr flipud float_power fmax fmin fmod frexp fromfunction frompyfunc
full full_like geomspace gradient histogram histogram2d histogram_bin_edges histogramdd hsplit hstack hypot i0
imag inner insert interp ix_ kaiser kron ldexp linalg.cholesky linalg.cond linalg.cross linalg.det linalg.diagonal
linalg.eigh linalg.eigvals linalg.eigvalsh linalg.inv linalg.lstsq linalg.matmul linalg.matrix_norm
linalg.matrix_power linalg.matrix_transpose linalg.multi_dot linalg.norm linalg.outer linalg.pinv linalg.qr
linalg.slogdet linalg.solve linalg.svd linalg.svdvals linalg.tensordot linalg.tensorinv linalg.tensorsolve
linalg.trace linalg.vecdot linalg.vector_norm linspace log log10 log1p log2 logaddexp logaddexp2 logspace matmul
matrix_transpose matvec max maximum mean median meshgrid min minimum mod modf moveaxis multiply nan_to_num
nancumprod nancumsum nanmax nanmean nanmedian nanmin nanpercentile nanprod nanquantile nanstd nansum nanvar
negative outer pad partition percentile permute_dims piecewise place poly polyadd polyder polydiv polyfit polyint
polymul polysub polyval positive pow power prod ptp put put_along_axis quantile rad2deg radians ravel real
reciprocal remainder repeat reshape resize roll rollaxis roots rot90 select setdiff1d setxor1d sin sinc sinh sort
sort_complex split sqrt square squeeze stack std subtract sum swapaxes take take_along_axis tan tanh tensordot
tile trace transpose trapezoid tril trim_zeros triu true_divide unstack unwrap vander var vdot vecdot vecmat
vsplit vstack where
""")
#: autograd.numpy 1.9.1: what has a vjp, or is made of what has one.
AUTOGRAD = words("""
abs absolute acos acosh add amax amin angle append arccos arccosh arcsin arcsinh arctan arctan2 arctanh array
array_split asin asinh astype atan atan2 atanh atleast_1d atleast_2d atleast_3d block broadcast_to choose clip
column_stack concat concatenate conj conjugate cos cosh cross cumsum deg2rad degrees diag diagonal diff divide dot
dsplit dstack einsum exp exp2 expand_dims expm1 fabs fft.fft fft.fft2 fft.fftn fft.fftshift fft.ifft fft.ifft2
fft.ifftn fft.ifftshift fft.irfft fft.irfft2 fft.irfftn fft.rfft fft.rfft2 fft.rfftn fliplr flipud fmax fmin full
gradient hsplit hstack hypot imag inner kron linalg.cholesky linalg.det linalg.eig linalg.eigh linalg.inv
linalg.multi_dot linalg.norm linalg.pinv linalg.slogdet linalg.solve linalg.svd linspace log log10 log1p log2
logaddexp logaddexp2 matmul max maximum mean min minimum mod moveaxis multiply nan_to_num negative outer pad
partition permute_dims pow power prod rad2deg radians ravel real real_if_close reciprocal remainder repeat reshape
roll rollaxis rot90 row_stack select sin sinc sinh sort split sqrt square squeeze stack std subtract sum swapaxes
tan tanh tensordot tile trace transpose tril triu true_divide var vsplit vstack where
""")
#: What autograd 1.9.1 differentiates beside these, by `np.f` on arrays of objects, element after element.
AUTOGRAD_OBJECTS = words("""
apply_along_axis apply_over_axes average broadcast_arrays convolve copy correlate cumulative_prod cumulative_sum
delete diagflat ediff1d extract flip full_like insert ix_ linalg.cross linalg.diagonal linalg.matmul
linalg.matrix_norm linalg.matrix_power linalg.matrix_transpose linalg.outer linalg.tensordot linalg.trace
linalg.vector_norm logspace matrix_transpose median meshgrid nancumprod nancumsum nanmax nanmean nanmin
nanpercentile nanprod nanquantile nansum nanvar percentile piecewise poly polyadd polyder polyint polymul polysub
polyval quantile resize setdiff1d setxor1d take_along_axis trapezoid trim_zeros union1d unique unique_all
unique_counts unique_inverse unique_values unstack unwrap vander
""")
#: MyGrad 2.5.0, by `mygrad.f` or `np.f`.
MYGRAD = words("""
abs absolute acos acosh add amax amin arccos arccosh arcsin arcsinh arctan arctan2 arctanh asin asinh atan atan2
atanh atleast_1d atleast_2d atleast_3d broadcast_to cbrt clip concat concatenate cos cosh cumprod cumsum divide
einsum exp exp2 expand_dims expm1 linalg.norm log log10 log1p log2 logaddexp logaddexp2 matmul max maximum mean
min minimum moveaxis multiply negative permute_dims positive pow power prod ravel reciprocal repeat reshape roll
sin sinc sinh sqrt square squeeze stack std subtract sum swapaxes tan tanh transpose true_divide var where
""")

#: What NumPy hands to no other type unasked: how it is written for a tensor.
ELSEWHERE: dict[str, Callable[[Any], Any]] = {
    "fft.fftfreq": lambda t: np.fft.fftfreq(4, t),
    "fft.rfftfreq": lambda t: np.fft.rfftfreq(4, t),
    "fromfunction": lambda t: np.fromfunction(lambda i: i * t, (3,), like=t),
    "kaiser": lambda t: tn.kaiser(4, t),
    "row_stack": lambda t: tn.row_stack([t, t]),
}
#: What tapenet leaves out, and why.
LEFT_OUT = {
    "frompyfunc": "calls Python once for each element; the function takes the whole tensor as it is",
}


def everyones() -> list[str]:
    """Without the functions that an older NumPy lacks."""
    return sorted(name for name in {*JAX, *AUTOGRAD, *AUTOGRAD_OBJECTS, *MYGRAD} if inside(np, name) is not None)


def gradient_is_there(f: Callable[..., Any], call: Sample) -> bool:
    return any(np.any(g != 0) for g in by_tapenet(f, call).gradients)


@pytest.mark.parametrize("name", everyones())
def test_what_others_differentiate_has_a_gradient_here(name: str) -> None:
    """By NumPy's own function, where that asks what stands for it."""
    if name in " ".join(LEFT_OUT).split():
        assert name not in NAMED, "it is not left out"
        return
    if name in ELSEWHERE:
        assert name not in NAMED, "NumPy's own function will do"
        assert np.any(tn.grad(lambda t: ELSEWHERE[name](t).sum())(2.0).data != 0)
        return
    function = inside(np, name)
    op = NAMED[name]
    f = pure(function) if isinstance(op, Derived) and op.inplace else function
    if isinstance(op, Derived) and op.makes and not hasattr(function, "_implementation"):  # else its arguments ask
        f = functools.partial(function, like=tn.tensor(0.0))
    assert any(gradient_is_there(f, c) for c in calls(name))


def test_what_is_left_out_is_refused_with_what_to_write() -> None:
    t = tn.tensor([1.0, 2.0], requires_grad=True)
    with pytest.raises(TypeError, match="not supported on tensors"):
        np.frompyfunc(lambda x: x, 1, 1)(t)


def test_the_numbers_in_the_documentation() -> None:
    page = PAGE.read_text(encoding="utf-8")
    text = " ".join(page.split())
    counts = {"JAX 0.10.2": JAX, "autograd 1.9.1": {*AUTOGRAD, *AUTOGRAD_OBJECTS}, "MyGrad 2.5.0": MYGRAD}
    if np.__version__.startswith("2.4."):
        counts["tapenet"] = {*(name for name, op in NAMED.items() if not getattr(op, "flat", False)), *ELSEWHERE}
        steps = sum(bool(getattr(op, "flat", False)) for op in NAMED.values())
        differentiable = len(counts["tapenet"] - {"kaiser"}) + steps
        assert (
            f"the {differentiable} differentiable functions of the tables below without {steps} steps, such as" in text
        )
        assert f"| all functions | {differentiable} |" in page
        assert f"values and gradients are JAX's for {under_all_names(IN_JAX)} functions, steps among them;" in text
        assert f"PyTorch's for {under_all_names(IN_TORCH)}." in text
    for library, names in counts.items():
        assert f"| {library} | {len(names)} |" in page
    assert f"{len(AUTOGRAD)} as `autograd.numpy.f`" in page
