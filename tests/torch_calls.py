"""Calls of PyTorch's functions on samples, made from its own signatures: what names its arguments have, what a call gives."""

from __future__ import annotations

import inspect
import re
import warnings
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

import tapenet as tn
from tapenet.ops.derived import Derived
from tapenet.ops.op import Op

Array = np.ndarray[Any, Any]
Arguments = tuple[tuple[Any, ...], dict[str, Any]]


class Parameter(NamedTuple):
    """An argument of a function of PyTorch's: whether it must be given, and whether by name alone."""

    name: str
    required: bool
    keyword_only: bool


def signatures(function: Any, *names: str) -> list[list[Parameter]]:
    """The signatures of a function of PyTorch's, one for each overload; of what is written in C by its documentation, under
    one of these names."""
    function = next((f for f in _closed_over(function) if inspect.isfunction(f)), function)
    try:
        found = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return _documented(function.__doc__ or "", names)
    if inspect.isbuiltin(function) or any(p.kind in (p.VAR_POSITIONAL, p.VAR_KEYWORD) for p in found):
        return _documented(function.__doc__ or "", names)
    return [[Parameter(p.name, p.default is p.empty, p.kind is p.KEYWORD_ONLY) for p in found if p.name != "self"]]


def _closed_over(function: Any) -> list[Any]:
    """What `boolean_dispatch` chooses among: both take the same arguments."""
    if not inspect.isfunction(function) or "kwargs" not in inspect.signature(function).parameters:
        return []
    return list(inspect.getclosurevars(function).nonlocals.values())


def _documented(text: str, names: tuple[str, ...]) -> list[list[Parameter]]:
    found = []
    for name in names:
        for match in re.finditer(rf"^\s*(?:\.\. function:: )?(?:torch\.)?{re.escape(name)}\(", text, re.MULTILINE):
            parts, rest = _split(text[match.end() :])
            if re.match(r" *(->|:|$)", rest, re.MULTILINE):
                alone = any(p.strip().strip("\\") == "*" for p in parts)
                star = [p.strip().strip("\\") for p in parts].index("*") if alone else len(parts)
                found.append([p for i, part in enumerate(parts) if (p := _parameter(part, i > star))])
    return [parameters for parameters in found if parameters]


def _parameter(part: str, keyword_only: bool) -> Parameter | None:
    words, _, default = part.replace("\\", "").strip().partition("=")
    name = words.partition(":")[0].strip().lstrip("*")
    named = name.isidentifier() and name != "self"
    return Parameter(name, not default and "Optional" not in words, keyword_only) if named else None


def _split(text: str) -> tuple[list[str], str]:
    """The parts of a list of arguments, as far as its closing bracket, and what comes behind that."""
    found, depth, start = [], 0, 0
    for i, letter in enumerate(text):
        depth += (letter in "([{") - (letter in ")]}")
        if depth < 0:
            return [*found, text[start:i]], text[i + 1 :]
        if letter == "," and depth == 0:
            found.append(text[start:i])
            start = i + 1
    return [], ""


_rng = np.random.default_rng(0)
_SQUARE = np.round(_rng.normal(size=(4, 4)), 2) + 3 * np.eye(4)
_IMAGES = np.round(_rng.normal(size=(2, 4, 6, 6)), 2)
#: Values of arguments, by name.
VALUES: dict[str, Any] = {
    "input": _SQUARE,
    "other": np.round(_rng.normal(size=(4, 4)), 2),
    "tensors": [_SQUARE, _SQUARE + 1],
    "dim": 1,
    "dims": (0, 1),
    "dim0": 0,
    "dim1": 1,
    "dim2": 0,
    "keepdim": True,
    "axis": 0,
    "axis0": 0,
    "axis1": 1,
    "correction": 0,
    "exponent": 2.0,
    "size": (2, 3),
    "fill_value": 2.0,
    "dtype": np.float32,
    "out": None,
    "n": 3,
    "m": 2,
    "start": 1.0,
    "end": 7.0,
    "step": 2.0,
    "steps": 4,
    "base": 2.0,
    "offset": 1,
    "diagonal": 1,
    "k": 1,
    "shifts": 1,
    "q": 0.3,
    "interpolation": "lower",
    "decimals": 1,
    "condition": _SQUARE > 0,
    "equal_nan": True,
    "rtol": 0.1,
    "atol": 0.2,
    "weights": None,
    "minlength": 5,
    "p": 1.0,
    "eps": 0.1,
    "nan": 1.0,
    "posinf": 2.0,
    "neginf": 3.0,
    "source": 0,
    "destination": 1,
    "values": np.arange(4.0),
    "side": "right",
    "right": True,
    "elements": np.arange(4),
    "test_elements": np.array([1, 2]),
    "invert": True,
    "assume_unique": False,
    "vec2": np.arange(3.0),
    "indices_or_sections": 2,
    "split_size_or_sections": 2,
    "tensor": _SQUARE,
    "descending": True,
    "stable": True,
    "sorted": True,
    "return_inverse": True,
    "return_counts": True,
    "min": -1.0,
    "max": 1.0,
    "alpha": 0.5,
    "rounding_mode": "floor",
    "threshold": 0.5,
    "value": -1.0,
    "shape": (2, 8),
    "prepend": None,
    "append": None,
    "fweights": None,
    "aweights": None,
    "x": _SQUARE,
    "y": _SQUARE,
    "dx": 0.5,
    "N": 3,
    "increasing": True,
    "as_tuple": True,
    "lambd": 0.3,
    "beta": 2.0,
    "negative_slope": 0.2,
    "approximate": "tanh",
    "training": False,
    "inplace": False,
    "kernel_size": 2,
    "stride": 1,
    "padding": 1,
    "ceil_mode": True,
    "count_include_pad": False,
    "divisor_override": 3,
    "dilation": 2,
    "return_indices": True,
    "output_size": 2,
    "groups": 2,
    "target": np.abs(_SQUARE) / 10,
    "reduction": "sum",
    "delta": 0.5,
    "weight": None,
    "bias": None,
    "margin": 0.5,
    "log_target": True,
    "log_input": False,
    "full": True,
    "ignore_index": 1,
    "label_smoothing": 0.1,
    "num_groups": 2,
    "normalized_shape": (4,),
    "mode": None,
    "align_corners": None,
    "hard": True,
    "tau": 2.0,
    "index": np.array([0, 2]),
    "requires_grad": True,
    "device": "cpu",
    "min_val": -0.5,
    "max_val": 0.5,
    "upscale_factor": 2,
    "downscale_factor": 2,
    "norm_type": 2.0,
    "lower": 0.1,
    "upper": 0.2,
    "num_classes": 5,
    "x1": _SQUARE,
    "x2": _SQUARE + 1,
    "input1": _SQUARE,
    "input2": _SQUARE - 1,
    "anchor": _SQUARE,
    "positive": _SQUARE + 1,
    "negative": _SQUARE - 1,
    "swap": True,
    "size_average": None,
    "reduce": None,
    "generator": None,
    "A": _SQUARE,
    "B": _SQUARE + 1,
    "a": _SQUARE,
    "b": _SQUARE,
    "UPLO": "U",
    "ord": 2,
    "s": (2, 2),
    "norm": "ortho",
    "d": 0.5,
    "hermitian": False,
    "full_matrices": False,
    "antialias": False,
    "edge_order": 2,
    "spacing": 2.0,
    "data": [1.0, 2.0],
    "obj": [1.0, 2.0],
    "copy": True,
    "dividend": _SQUARE,
    "divisor": _SQUARE,
    "blank": 0,
    "zero_infinity": True,
    "reps": 2,
    "arrays": [_SQUARE, _SQUARE],
    "mat1": _SQUARE,
    "mat2": _SQUARE + 1,
    "batch1": _IMAGES[0],
    "batch2": _IMAGES[1],
    "chunks": 2,
    "repeats": 2,
}


def _each(names: list[str], value: Any) -> dict[str, Any]:
    """The same for several functions."""
    return {name: value for name in names}  # noqa: C420  # `dict.fromkeys` is for what does not change


_WHOLE = np.array([[1, 2, 3, 6], [4, 5, 6, 8]])
_IMAGE = {"input": _IMAGES}
#: Those of single functions.
OF: dict[str, dict[str, Any]] = {
    **_each(["gcd", "lcm", "bitwise_and", "bitwise_or", "bitwise_xor"], {"input": _WHOLE, "other": _WHOLE + 3}),
    **_each(["bitwise_left_shift", "bitwise_right_shift"], {"input": _WHOLE, "other": _WHOLE}),
    **_each(["bitwise_not", "one_hot"], {"input": _WHOLE, "tensor": np.array([0, 3, 1])}),
    **_each(["acos", "arccos", "asin", "arcsin", "atanh", "arctanh"], {"input": _SQUARE / 10}),
    **_each(["acosh", "arccosh"], {"input": np.abs(_SQUARE) + 1}),
    **_each(["log", "log2", "log10", "log1p", "sqrt", "logit", "float_power", "rsqrt"], {"input": np.abs(_SQUARE) + 1}),
    **_each(["dot", "vdot", "inner"], {"input": np.arange(3.0), "tensor": np.arange(3.0), "other": np.arange(3.0)}),
    "outer": {"input": np.arange(3.0)},
    "baddbmm": {"input": _IMAGES[0]},
    "bmm": {"input": _IMAGES[0], "mat2": _IMAGES[1]},
    "gather": {"index": np.array([[0, 2], [3, 1]])},
    "lerp": {"end": _SQUARE + 1, "weight": _SQUARE / 2},
    "bincount": {"input": np.array([0, 1, 1, 3]), "weights": np.arange(4.0)},
    "cross": {"input": np.arange(6.0).reshape(2, 3), "other": np.ones((2, 3))},
    "reshape": {"input": _SQUARE},
    "broadcast_to": {"shape": (2, 4, 4)},
    "squeeze": {"input": np.ones((3, 1, 2))},
    "ldexp": {"other": np.array([1, 2, 3, 4])},
    "nextafter": {},
    "unravel_index": {"indices": np.array([3, 7]), "shape": (4, 4)},
    "searchsorted": {"sorted_sequence": np.arange(5.0), "values": np.array([0.5, 2.0])},
    "take": {"index": np.array([0, 5])},
    "vander": {"x": np.arange(3.0)},
    "tensordot": {"dims": 1},
    "rot90": {"dims": (1, 0)},
    "cumprod": {},
    "tile": {"dims": (2, 1)},
    "dsplit": {"input": np.ones((2, 2, 4))},
    "isin": {},
    "quantile": {},
    "heaviside": {"values": _SQUARE},
    "swapaxes": {},
    "diff": {"n": 1},
    "imag": {"input": _SQUARE + 1j},
    "eye": {},
    "full": {},
    "kron": {},
    "frexp": {},
    "gradient": {"input": np.arange(16.0).reshape(4, 4) ** 2, "edge_order": 1},
    **{
        f"{kind}_pool{n}d": {
            "input": _rng.normal(size=(2, 3, *(6,) * n)),
            "output_size": 3,
            "divisor_override": 2 if n > 1 else None,
            "dilation": 1,
        }
        for n in (1, 2, 3)
        for kind in ("avg", "max", "lp", "adaptive_avg", "adaptive_max")
    },
    **{
        f"conv{n}d": {
            "input": _rng.normal(size=(2, 4, *(6,) * n)),
            "weight": _rng.normal(size=(4, 4, *(3,) * n)),
            "bias": np.arange(4.0),
            "groups": 1,
        }
        for n in (1, 2, 3)
    },
    **{
        f"conv_transpose{n}d": {
            "input": _rng.normal(size=(2, 4, *(6,) * n)),
            "weight": _rng.normal(size=(4, 4, *(3,) * n)),
            "bias": np.arange(4.0),
            "groups": 1,
            "output_padding": 1,
            "stride": 2,
            "dilation": 1,
        }
        for n in (1, 2, 3)
    },
    "channel_shuffle": _IMAGE,
    "pixel_shuffle": _IMAGE,
    "pixel_unshuffle": _IMAGE,
    "group_norm": _IMAGE,
    "local_response_norm": {**_IMAGE, "size": 3},
    "instance_norm": _IMAGE,
    "batch_norm": {**_IMAGE, "running_mean": np.zeros(4), "running_var": np.ones(4), "momentum": 0.3},
    "interpolate": {**_IMAGE, "size": (3, 3), "scale_factor": None, "mode": "bilinear", "align_corners": True},
    "unfold": {**_IMAGE, "dilation": 1},
    "fold": {"input": np.ones((2, 12, 4)), "output_size": (3, 3), "dilation": 1, "padding": 0},
    "pad": {"pad": (1, 2), "mode": "constant", "value": 3.0},
    "grid_sample": {
        **_IMAGE,
        "grid": np.zeros((2, 3, 3, 2)),
        "mode": "nearest",
        "padding_mode": "border",
        "align_corners": False,
    },
    "affine_grid": {"theta": np.ones((1, 2, 3)), "size": (1, 1, 3, 3), "align_corners": False},
    "linear": {"weight": np.ones((3, 4)), "bias": np.arange(3.0)},
    "bilinear": {"weight": np.ones((2, 4, 4)), "bias": np.arange(2.0)},
    "prelu": {"weight": np.array([0.3])},
    "embedding": {
        "input": np.array([0, 2]),
        "weight": _SQUARE,
        "padding_idx": 0,
        "max_norm": None,
        "scale_grad_by_freq": False,
        "sparse": False,
    },
    "embedding_bag": {"input": np.array([[0, 2]]), "weight": _SQUARE, "mode": "sum", "padding_idx": 1},
    **_each(["cross_entropy", "nll_loss"], {"target": np.array([0, 2, 1, 3]), "weight": np.arange(1.0, 5)}),
    "multi_margin_loss": {"target": np.array([0, 2, 1, 3]), "p": 2},
    "multilabel_margin_loss": {"target": np.array([[0, 2, -1, 0]] * 4)},
    "binary_cross_entropy": {"input": np.abs(_SQUARE) / 10},
    "binary_cross_entropy_with_logits": {"pos_weight": np.arange(1.0, 5)},
    **_each(["soft_margin_loss", "hinge_embedding_loss"], {"target": np.sign(_SQUARE)}),
    "multilabel_soft_margin_loss": {"target": (_SQUARE > 0) * 1.0},
    "cosine_embedding_loss": {"target": np.array([1.0, -1, 1, -1])},
    "margin_ranking_loss": {"target": np.sign(_SQUARE)},
    "gaussian_nll_loss": {"var": np.abs(_SQUARE) + 0.1},
    "scaled_dot_product_attention": {k: _rng.normal(size=(1, 2, 4, 4)) for k in ("query", "key", "value")}
    | {"is_causal": True, "scale": 0.2},
    "layer_norm": {},
    "rms_norm": {},
    "cosine_similarity": {"dim": 0},
    "normalize": {"p": 1.0, "dim": 0},
    "gelu": {},
    "threshold": {},
    "softmax": {},
    "hardtanh": {},
    "poisson_nll_loss": {},
    "kl_div": {},
    "cholesky": {"A": _SQUARE @ _SQUARE.T, "input": _SQUARE @ _SQUARE.T, "upper": True},
    "eigh": {"A": _SQUARE + _SQUARE.T},
    "eigvalsh": {"A": _SQUARE + _SQUARE.T},
    "inv": {},
    "matrix_power": {"n": 2},
    "tensorinv": {"A": np.eye(4).reshape(4, 2, 2), "ind": 1},
    "multi_dot": {"tensors": [_SQUARE, _SQUARE]},
    "arange": {"start": 1, "end": 7, "step": 2},
    "split": {"split_size_or_sections": 1},
    "ctc_loss": {
        "log_probs": np.log(np.full((4, 1, 3), 1 / 3)),
        "targets": np.array([[1, 2]]),
        "input_lengths": np.array([4]),
        "target_lengths": np.array([2]),
    },
    **{
        f"max_unpool{n}d": {
            "input": np.ones((1, 1, *(2,) * n)),
            "indices": np.arange(2**n).reshape(1, 1, *(2,) * n),
            "padding": 0,
            "stride": 2,
            "output_size": (4,) * n,
        }
        for n in (1, 2, 3)
    },
    "linear_cross_entropy": {"linear_weight": _SQUARE, "target": np.array([0, 2, 1, 3]), "linear_bias": np.arange(4.0)},
    "tensorsolve": {"A": _SQUARE.reshape(2, 2, 4), "B": np.ones((2, 2)), "dims": (0,)},
    "dropout2d": {"input": _IMAGES},
    "dropout3d": {"input": _IMAGES[:, None]},
    **{f"{i}{kind}": {"dim": (0, 1)} for i in ("", "i", "r", "ir") for kind in ("fft2", "fftn")},
    "matrix_norm": {"dim": (-2, -1)},
}
_ROW = np.array([3.0, 1.0, 3.0])
#: Calls of functions whose signature takes whatever comes, or which differ on further samples.
FURTHER: dict[str, list[Arguments]] = {
    "atleast_1d": [((_ROW,), {})],
    "atleast_2d": [((_ROW,), {})],
    "atleast_3d": [((_ROW,), {}), ((_SQUARE,), {})],
    "meshgrid": [((_ROW, np.arange(2.0)), {}), ((_ROW, np.arange(2.0)), {"indexing": "xy"})],
    "unique": [
        ((_ROW,), {}),
        ((_ROW,), {"return_inverse": True}),
        ((_ROW,), {"return_counts": True}),
        ((_ROW.reshape(3, 1),), {"return_inverse": True}),
        ((_SQUARE,), {"dim": 0}),
        ((_ROW,), {"sorted": True}),
    ],
    "einsum": [(("ij,jk->ik", _SQUARE, _SQUARE), {})],
    "cross": [((np.arange(9.0).reshape(3, 3), np.ones((3, 3))), {})],
    "take": [((_SQUARE, np.array([1])), {})],
    **_each(["softmax", "log_softmax", "softmin"], [((_IMAGES[0],), {})]),
    **_each(
        ["scaled_dot_product_attention"],
        [
            (tuple(_IMAGES[None, 0] + i for i in range(3)), {}),
            (tuple(_IMAGES[None, 0] + i for i in range(3)), {"is_causal": True, "scale": 0.2}),
        ],
    ),
    "sum": [((_WHOLE,), {})],
    "prod": [((_WHOLE,), {})],
    "cumsum": [((_WHOLE, 0), {})],
    "select": [((_SQUARE, 0, 1), {})],
    "index_add": [((_SQUARE, 0, np.array([0]), _SQUARE[:1]), {})],
    "scatter_add": [((_SQUARE, 0, np.array([[0]]), _SQUARE[:1, :1]), {})],
}


class Call(NamedTuple):
    """A call that PyTorch takes, with what it gives."""

    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    result: Any

    def __repr__(self) -> str:
        texts = [_text(a) for a in self.args] + [f"{n}={_text(a)}" for n, a in self.kwargs.items()]
        return f"({', '.join(texts)})"


def _text(value: Any) -> str:
    if isinstance(value, list) and value and isinstance(value[0], np.ndarray):
        return "[" + ", ".join(map(_text, value)) + "]"
    return f"{value.dtype}{list(value.shape)}" if isinstance(value, np.ndarray) else repr(value)


def converted(value: Any, tensor: Callable[[Array], Any], dtype: Callable[[Any], Any] = lambda d: d) -> Any:
    """A value with its arrays made tensors."""
    if isinstance(value, np.ndarray):
        return tensor(value.copy())
    if isinstance(value, type) and issubclass(value, np.generic):
        return dtype(value)
    if isinstance(value, list) and value and isinstance(value[0], np.ndarray):
        return [tensor(v.copy()) for v in value]
    return value


def calls(torch: Any, name: str, function: Any, *names: str) -> Iterator[Call]:
    """Calls that PyTorch takes: by name, what is required and each option alone; by position, as far as each option."""
    values = VALUES | OF.get(name, {})
    for signature in signatures(function, name, *names):
        required = [p for p in signature if p.required]
        options = [p for p in signature if not p.required]
        if any(p.name not in values for p in required):
            continue
        given_alone: list[list[Parameter]] = [[], *([p] for p in options if values.get(p.name) is not None)]
        made: list[Arguments] = [((), {p.name: values[p.name] for p in [*required, *more]}) for more in given_alone]
        names = {p.name for p in required}
        if names and names <= {"input", "other"}:  # dtypes that are not those of the samples
            narrow = _SQUARE[:2].astype(np.float32)
            made += [
                ((), dict(zip(sorted(names), values, strict=False))) for values in ((_WHOLE, _WHOLE), (_WHOLE, narrow))
            ]
            made.append(((), dict(zip(sorted(names), (narrow, np.array(2.0)), strict=False))))
        place = [p for p in signature if not p.keyword_only]
        for count in range(len([p for p in place if p.required]), len(place) + 1):
            given = place[:count]
            rest = [p for p in required if p not in given]
            if given and all(p.name in values for p in [*given, *rest]):
                made.append((tuple(values[p.name] for p in given), {p.name: values[p.name] for p in rest}))
        yield from _taken(torch, function, made)
    yield from _taken(torch, function, FURTHER.get(name, []))


#: What methods are called with on the tensors there, beside what their signatures say.
_ROWS = np.array([0, 1])
METHODS: dict[str, list[Arguments]] = {
    "transpose": [((0, 1), {}), ((1, 0), {})],
    "reshape": [((2, 8), {}), (((2, 8),), {})],
    "repeat": [((2,), {}), ((2, 1), {})],
    "flatten": [((1,), {})],
    "max": [((1, True), {})],
    "sum": [((1, True), {})],
    "put": [((np.array([0]), np.array([5.0])), {})],
    "__getitem__": [
        ((i,), {}) for i in (0, slice(1, 3), (0, 1), (slice(None), [0, 1]), (None, 0), (..., 0), [0, 1], _ROWS)
    ],
    "__contains__": [((1.0,), {})],
    **_each(
        ["__add__", "__sub__", "__rsub__", "__mul__", "__truediv__", "__floordiv__", "__mod__", "__pow__"],
        [((2,), {}), ((2.0,), {})],
    ),
    **_each(["__matmul__", "__eq__", "__lt__", "__and__"], [((_SQUARE,), {}), ((_WHOLE,), {})]),
    **_each(["__neg__", "__abs__", "__invert__", "__len__"], [((), {})]),
}
TENSORS = (_SQUARE, _WHOLE, _IMAGES[0], _SQUARE.astype(np.float32), _SQUARE > 0)


def method_calls(torch: Any, name: str) -> Iterator[Call]:
    """Calls of a tensor's method that PyTorch takes; the tensor is the first argument."""
    method = getattr(torch.Tensor, name)
    made: list[Arguments] = [((), {}), *METHODS.get(name, [])]
    for signature in [] if name.startswith("_") else signatures(method, name):
        required = [p.name for p in signature if p.required]
        for option in [None, *(p.name for p in signature if not p.required)]:
            chosen = [*required, *([] if option is None else [option])]
            if all(VALUES.get(n) is not None for n in chosen):
                made.append(((), {n: VALUES[n] for n in chosen}))
        for count in range(1, len(signature) + 1):
            names = [p.name for p in signature[:count]]
            if all(VALUES.get(n) is not None for n in names):
                made.append((tuple(VALUES[n] for n in names), {}))
    for x in TENSORS:
        yield from _taken(torch, method, [((x, *args), kwargs) for args, kwargs in made])


def _taken(torch: Any, function: Any, made: list[Arguments]) -> Iterator[Call]:
    def given(value: Any) -> Any:
        return converted(value, torch.from_numpy, lambda d: getattr(torch, np.dtype(d).name))

    for args, kwargs in made:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # PyTorch's about itself
                result = function(*map(given, args), **{n: given(a) for n, a in kwargs.items()})
        except Exception:  # what PyTorch does not take is no call of its users
            continue
        yield Call(args, kwargs, result)


def same(ours: Any, theirs: Any) -> bool:
    """Whether two results are alike: their structure, shapes, dtypes and values."""
    if isinstance(theirs, (tuple, list)):
        return isinstance(ours, (tuple, list)) and len(ours) == len(theirs) and all(map(same, ours, theirs))
    if theirs is None or isinstance(theirs, (bool, int, float, str)):
        return bool(np.all(np.asarray(_plain(ours)) == theirs))
    if isinstance(ours, (tuple, list)) or ours is None:
        return False
    if not hasattr(theirs, "resolve_conj"):  # no tensor
        return False
    left, right = np.asarray(_plain(ours)), theirs.detach().resolve_conj().numpy()
    if left.shape != right.shape or left.dtype != right.dtype:
        return False
    return bool(np.allclose(left, right, 1e-5, 1e-6, equal_nan=True))


def _plain(value: Any) -> Any:
    return value.detach().numpy() if hasattr(value, "detach") else value


class Pair(NamedTuple):
    """A function of PyTorch's, and the one here under the same name."""

    space: str
    name: str
    ours: Any
    theirs: Any

    @property
    def title(self) -> str:
        """What its users call it: "sum", "F.relu", "linalg.inv"."""
        return ".".join(part for part in (self.space.replace("nn.functional", "F"), self.name) if part)

    @property
    def names(self) -> tuple[str, str, str]:
        """What PyTorch's documentation calls it."""
        return self.name, f"{self.space}_{self.name}", f"{self.space}.{self.name}"


def pairs(torch: Any) -> Iterator[Pair]:
    """Every function here that PyTorch documents, too, by name: of `tn`, `nn.functional`, `linalg` and `fft`."""
    spaces = {"": (tn, torch), "nn.functional": (tn.nn.functional, torch.nn.functional)}
    spaces |= {name: (getattr(tn, name), getattr(torch, name)) for name in ("linalg", "fft")}
    for space, (here, there) in spaces.items():
        for name in sorted(dir(here)):
            ours, theirs = getattr(here, name), getattr(there, name, None)
            plain = inspect.isfunction(ours) and (space or ours.__module__.startswith("tapenet.compat."))
            own = ours is tn.tensor or isinstance(ours, (Op, Derived)) or plain
            documented = space or inspect.isfunction(theirs) or getattr(theirs, "__doc__", None)
            if own and not name.startswith("_") and callable(theirs) and documented:
                yield Pair(space, name, ours, theirs)
