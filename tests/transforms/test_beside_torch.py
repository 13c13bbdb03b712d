"""Transformations beside torch.func, for every function that both have, under NumPy's name or PyTorch's.

Both libraries have the transformations under the same names, so one text asks both.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
import pytest

import tapenet as tn
from tapenet.ops.registry import Sample
from tapenet.program.trees import tree_leaves, tree_map
from tests.compat.test_torch_walk import PAIRS, UNWARNED
from tests.ops.test_peers import (
    IN_TORCH,
    NAMED,
    arguments,
    calls_in_torch,
    cotangents,
    in_torch,
    question,
    with_arguments,
    words,
)
from tests.torch_calls import calls, converted
from tests.transforms.test_every_op import same

torch = pytest.importorskip("torch")


# -- functions -----------------------------------------------------------------------------------------------------

NUMPYS = [name for name in IN_TORCH if name in NAMED]
#: What PyTorch has under a name of its own.
TORCHS = {p.title: p for p in PAIRS if all(p.ours is not NAMED[name] for name in NUMPYS)}
#: No floats in or none out, or other arguments or results: without a call that both answer alike.
UNLIKE = words("""
all allclose any arange argmax argmin argsort argwhere asarray bitwise_and bitwise_left_shift bitwise_not bitwise_or
bitwise_right_shift bitwise_xor count_nonzero empty equal eye from_numpy full gcd greater greater_equal index_add
inference_mode is_floating_point is_tensor isclose isfinite isin isinf isnan isneginf isposinf isreal lcm less
less_equal histogram histogramdd linspace logical_and logical_not logical_or logical_xor logspace manual_seed median
nanmedian nonzero not_equal numel ones scatter_add searchsorted select signbit tensor transpose unravel_index zeros
F.multi_head_attention_forward F.one_hot fft.fftfreq fft.rfftfreq linalg.lstsq linalg.matrix_rank
""")
#: Further functions that are not compared, by the reason.
LEFT_OUT = {
    "random": UNWARNED["random"] + " F.fractional_max_pool2d F.fractional_max_pool3d F.gumbel_softmax",
    "shapes depend on values": "unique",
    "a constant here": "nextafter",
    "the derivative has 1/6 in single precision there": "F.hardsigmoid",
}
COMPARED = sorted({*NUMPYS, *TORCHS} - {*UNLIKE, *words(" ".join(LEFT_OUT.values()))})
#: Arguments that are held constant, here or there.
CONSTANT = {
    "F.batch_norm": {"running_mean", "running_var"},
    "F.margin_ranking_loss": {"target"},
    "F.soft_margin_loss": {"target"},
}


def ctc_loss(f: Any, log_probs: Any, *args: Any, **kwargs: Any) -> Any:
    """Of a softmax, for which alone PyTorch's gradient is right."""
    softmax = tn.log_softmax if isinstance(log_probs, tn.Tensor) else torch.log_softmax
    return f(softmax(log_probs, -1), *args, **kwargs)


class Case(NamedTuple):
    """A call of a function that both have."""

    call: Sample
    constant: dict[str, Any]
    ours: Callable[..., Any]
    theirs: Callable[..., Any]

    def by_tapenet(self, *given: Any) -> list[Any]:
        """The results that are inexact, for these instead of the arrays that are."""
        made = with_arguments(self.call, given)
        found = self.ours(*made.args, **made.kwargs, **self.constant)
        return [t for t in tree_leaves(found) if t.dtype.kind in "fc"]

    def by_torch(self, *given: Any) -> list[Any]:
        made = with_arguments(self.call, given)
        args, kwargs = tree_map(torchs, [made.args, made.kwargs | self.constant])
        with torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.MATH):  # others have no forward mode
            found = tree_leaves(self.theirs(*args, **kwargs))
        return [t for t in found if t.dtype.is_floating_point or t.dtype.is_complex]


def torchs(value: Any) -> Any:
    return converted(value, torch.from_numpy, lambda d: getattr(torch, np.dtype(d).name))


def cases(name: str) -> Iterator[Case]:
    if name in NUMPYS:
        for call in calls_in_torch(name):
            yield Case(call, {}, question(name, NAMED[name].returning), in_torch(torch, name))
    else:
        pair = TORCHS[name]
        for found in calls(torch, pair.name, pair.theirs, *pair.names[1:]):
            constant = {n: v for n, v in found.kwargs.items() if n in CONSTANT.get(name, ())}
            varied = {n: v for n, v in found.kwargs.items() if n not in constant}
            through = functools.partial(functools.partial, ctc_loss) if name == "F.ctc_loss" else lambda f: f
            yield Case(Sample(found.args, varied), constant, through(pair.ours), through(pair.theirs))


@functools.cache
def case(name: str) -> Case | None:
    """The first call that has floats in and out, and that both answer alike."""
    for found in cases(name):
        given = arguments(found.call)
        try:
            theirs = found.by_torch(*map(torch.tensor, given))
            ours = found.by_tapenet(*map(tn.tensor, given))
            same(ours, plain(theirs))
        except (AssertionError, AttributeError, TypeError, ValueError, IndexError, RuntimeError):
            continue
        if given and ours:
            return found
    return None


def plain(tree: Any) -> Any:
    return tree_map(lambda t: t.numpy(force=True), tree)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", UNLIKE)
def test_what_is_unlike_has_no_call_to_compare(name: str) -> None:
    assert name not in NUMPYS
    assert name not in TORCHS or case(name) is None


# -- transformations -----------------------------------------------------------------------------------------------


class Function(NamedTuple):
    """A function in one of the libraries, with arguments for it.

    Attributes:
        small: whether its whole Hessian is asked for.
        of: its results.
        total: a number made of them, by which gradients are taken.
        xs: its arguments.
        vs: tangents of them.
        lanes: two of each argument.
        lane_vs: tangents of these.
    """

    small: bool
    of: Callable[..., Any]
    total: Callable[..., Any]
    xs: tuple[Any, ...]
    vs: tuple[Any, ...]
    lanes: tuple[Any, ...]
    lane_vs: tuple[Any, ...]

    @property
    def argnums(self) -> tuple[int, ...]:
        return tuple(range(len(self.xs)))


def jvp(library: Any, f: Function) -> Any:
    return library.jvp(f.of, f.xs, f.vs)


def vmap(library: Any, f: Function) -> Any:
    return library.vmap(f.of)(*f.lanes)


def jvp_of_vmap(library: Any, f: Function) -> Any:
    return library.jvp(library.vmap(f.of), f.lanes, f.lane_vs)


def vmap_of_grad(library: Any, f: Function) -> Any:
    return library.vmap(library.grad(f.total, f.argnums))(*f.lanes)


def hessian(library: Any, f: Function) -> Any:
    """Whole where it is small, else along the tangents."""
    if f.small:
        return library.hessian(f.total, f.argnums)(*f.xs)
    return library.jvp(library.grad(f.total, f.argnums), f.xs, f.vs)[1]


TRANSFORMATIONS = (jvp, vmap, jvp_of_vmap, vmap_of_grad, hessian)


class Refused(NamedTuple):
    """What torch.func does not do: the error, the transformations, and the functions."""

    text: str
    transformations: str
    functions: str


TORCH_VERSION = "2.13"
REFUSED = (
    Refused(
        "Trying to use forward AD",
        "jvp jvp_of_vmap hessian",
        "bincount floor_divide heaviside F.ctc_loss F.embedding_bag F.grid_sample F.multi_margin_loss "
        "F.multilabel_margin_loss F.pdist pdist",
    ),
    Refused("Trying to use forward AD with .*_backward", "hessian", "F.huber_loss F.soft_margin_loss"),
    Refused("derivative for .* is not implemented", "vmap_of_grad", "bincount floor_divide heaviside"),
    Refused("Batching rule not implemented", "vmap jvp_of_vmap", "column_stack moveaxis"),
    Refused("data-dependent control flow", "vmap jvp_of_vmap vmap_of_grad", "F.gaussian_nll_loss"),
    Refused("we do not yet support", "vmap jvp_of_vmap vmap_of_grad", "F.rrelu"),
    Refused("inplace", "vmap_of_grad hessian", "vander"),
)


def refused(name: str, transformation: str) -> str | None:
    """The error of torch.func, if it raises one."""
    found = (r for r in REFUSED if name in words(r.functions) and transformation in words(r.transformations))
    return next((r.text for r in found), None)


def functions(name: str) -> tuple[Function, Function]:
    """A function here and there."""
    found = case(name)
    assert found is not None, "no call is answered alike"
    xs = arguments(found.call)
    lanes = [np.stack([x, np.flip(x)]) for x in xs]
    given = xs, cotangents(xs), lanes, cotangents(lanes)
    small = sum(x.size for x in xs) <= 6 and not any(np.iscomplexobj(x) for x in xs)
    weights = cotangents([t.numpy().real for t in found.by_tapenet(*map(tn.tensor, xs))])

    def side(of: Callable[..., Any], made: Callable[[Any], Any]) -> Function:
        def total(*xs: Any) -> Any:
            return sum((made(w) * (out + out * out)).real.sum() for w, out in zip(weights, of(*xs), strict=True))

        return Function(small, of, total, *(tuple(map(made, arrays)) for arrays in given))

    return side(found.by_tapenet, tn.tensor), side(found.by_torch, torch.tensor)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", COMPARED)
def test_transformations_are_torchs(name: str) -> None:
    ours, theirs = functions(name)
    for transformation in TRANSFORMATIONS:
        found, error = transformation(tn, ours), refused(name, transformation.__name__)
        if error is None:
            same(found, plain(transformation(torch.func, theirs)))
        elif torch.__version__.startswith(TORCH_VERSION):  # another one may do more
            with pytest.raises(RuntimeError, match=error):
                transformation(torch.func, theirs)
