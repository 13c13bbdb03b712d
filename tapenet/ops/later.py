"""The ops that are loaded when a program first asks for one of them, so that `import tapenet` costs little."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

from tapenet.ops.registry import numpy_functions

#: Modules that are loaded at first use, and their public names: those of `tn`.
LATER: dict[str, tuple[str, ...]] = {
    "elementwise.further": (
        "acos",
        "acosh",
        "asin",
        "asinh",
        "atan",
        "atan2",
        "atanh",
        "copysign",
        "deg2rad",
        "degrees",
        "divmod",
        "fabs",
        "float_power",
        "fmax",
        "fmin",
        "fmod",
        "frexp",
        "heaviside",
        "i0",
        "iv",
        "ldexp",
        "logaddexp2",
        "mod",
        "modf",
        "nan_to_num",
        "rad2deg",
        "radians",
        "sinc",
        "sinc_derivative",
        "true_divide",
    ),
    "elementwise.steps": (
        "allclose",
        "around",
        "array_equal",
        "array_equiv",
        "bitwise_count",
        "bitwise_invert",
        "bitwise_left_shift",
        "bitwise_not",
        "bitwise_right_shift",
        "fix",
        "gcd",
        "isclose",
        "iscomplex",
        "isneginf",
        "isposinf",
        "isreal",
        "lcm",
        "left_shift",
        "nextafter",
        "right_shift",
        "round",
        "spacing",
    ),
    "elementwise.complex": ("angle", "conj", "conjugate", "imag", "real", "real_if_close"),
    "reductions.basic": ("amax", "amin", "ptp"),
    "reductions.counting": ("count_nonzero",),
    "reductions.nan": (
        "nanargmax",
        "nanargmin",
        "nanmax",
        "nanmean",
        "nanmin",
        "nanprod",
        "nanstd",
        "nansum",
        "nanvar",
    ),
    "reductions.quantiles": ("median", "nanmedian", "nanpercentile", "nanquantile", "percentile", "quantile"),
    "reductions.statistics": ("average", "bincount", "corrcoef", "cov"),
    "reductions.cumulative": (
        "cumprod",
        "cumsum",
        "cumulative_max",
        "cumulative_min",
        "cumulative_prod",
        "cumulative_sum",
        "logcumsumexp",
        "nancumprod",
        "nancumsum",
    ),
    "calculus.sampled": (
        "convolve",
        "correlate",
        "diff",
        "ediff1d",
        "gradient",
        "trapezoid",
    ),
    "calculus.interpolation": ("interp", "unwrap"),
    "calculus.polynomials": (
        "poly",
        "polyadd",
        "polyder",
        "polydiv",
        "polyint",
        "polymul",
        "polysub",
        "polyval",
        "roots",
    ),
    "calculus.fitting": ("polyfit", "vander"),
    "indexing.sorting": (
        "argpartition",
        "argsort",
        "digitize",
        "lexsort",
        "partition",
        "searchsorted",
        "sort",
        "sort_complex",
        "trim_zeros",
    ),
    "indexing.sets": (
        "intersect1d",
        "isin",
        "setdiff1d",
        "setxor1d",
        "union1d",
        "unique",
        "unique_all",
        "unique_counts",
        "unique_inverse",
        "unique_values",
    ),
    "indexing.selecting": ("choose", "compress", "extract", "select", "take", "take_along_axis"),
    "indexing.editing": ("append", "delete", "insert", "resize"),
    "indexing.applying": ("apply_along_axis", "apply_over_axes", "piecewise"),
    "indexing.places": (
        "argwhere",
        "diag_indices_from",
        "flatnonzero",
        "nonzero",
        "packbits",
        "ravel_multi_index",
        "tril_indices_from",
        "triu_indices_from",
        "unpackbits",
        "unravel_index",
    ),
    "indexing.writing": ("copyto", "fill_diagonal", "place", "put", "put_along_axis", "putmask"),
    "shapes.joining": (
        "block",
        "column_stack",
        "dstack",
        "hstack",
        "row_stack",
        "vstack",
    ),
    "shapes.cutting": (
        "array_split",
        "dsplit",
        "hsplit",
        "unstack",
        "vsplit",
    ),
    "shapes.repeating": (
        "repeat",
        "tile",
    ),
    "shapes.arranging": (
        "diag",
        "diagflat",
        "diagonal",
        "fliplr",
        "flipud",
        "roll",
        "rollaxis",
        "rot90",
        "trace",
        "tril",
        "triu",
    ),
    "shapes.grids": ("atleast_1d", "atleast_2d", "atleast_3d", "broadcast_arrays", "ix_", "meshgrid"),
    "shapes.windows": ("fold_windows", "sliding_window_view"),
    "shapes.padding": ("pad", "pad_constant"),
    "shapes.tricks": ("c_", "r_"),
    "shapes.creation": (
        "empty_like",
        "full",
        "full_like",
        "geomspace",
        "kaiser",
        "linspace",
        "logspace",
    ),
    "products.contractions": ("contract", "einsum", "einsum_path", "tensordot"),
    "products.vectors": ("cross", "inner", "kron", "matvec", "outer", "vdot", "vecdot", "vecmat"),
    "layers.activations": (
        "elu",
        "gelu",
        "hardtanh",
        "leaky_relu",
        "log_softmax",
        "logsigmoid",
        "mish",
        "relu",
        "relu6",
        "sigmoid",
        "silu",
        "softmax",
        "softplus",
        "softsign",
        "tanhshrink",
    ),
    "layers.convolution": ("conv2d", "conv2d_input_grad", "conv2d_weight_grad"),
    "layers.embedding": ("embedding", "one_hot"),
    "layers.losses": (
        "binary_cross_entropy",
        "binary_cross_entropy_with_logits",
        "cross_entropy",
        "huber_loss",
        "kl_div",
        "l1_loss",
        "mse_loss",
        "nll_loss",
        "smooth_l1_loss",
    ),
    "layers.normalization": ("batch_norm", "batch_norm_train", "layer_norm"),
    "layers.pooling": ("avg_pool2d", "avg_pool2d_grad", "max_pool2d", "max_pool2d_grad", "max_pool2d_pick"),
    "protocol": (),
    "questions": (),
    "refused": (),
}
#: Modules that are loaded at first use and whose names belong to namespaces of their own, `tn.linalg` and `tn.fft`.
SPACES: tuple[str, ...] = ("linalg", "fft")

#: By public name: the module that has it.
_HOMES = {name: module for module, names in LATER.items() for name in names}


def home(name: str) -> Any:
    """The module that has a public name, loaded; None if no module of `LATER` does."""
    return importlib.import_module(f"tapenet.ops.{_HOMES[name]}") if name in _HOMES else None


def everything() -> None:
    """Load what is left to first use, so that `registry` and `numpy_functions` hold all ops."""
    for module in (*LATER, *SPACES):
        importlib.import_module(f"tapenet.ops.{module}")


def stands_for(function: Any) -> Callable[..., Any] | None:
    """What stands for a NumPy function on tensors, or None if nothing does."""
    if function not in numpy_functions:
        everything()
    return numpy_functions.get(function)
