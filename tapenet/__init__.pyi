# Made by `python -m tests.stubs`.
from collections.abc import Callable
from collections.abc import Sequence
from numpy import broadcast_shapes as broadcast_shapes
from numpy import can_cast as can_cast
from numpy import e as e
from numpy import inf as inf
from numpy import nan as nan
from numpy import newaxis as newaxis
from numpy import pi as pi
from numpy import result_type as result_type
from numpy.typing import ArrayLike
from numpy.typing import DTypeLike
from tapenet import autograd as autograd
from tapenet import cuda as cuda
from tapenet import data as data
from tapenet import drawing as drawing
from tapenet import emath as emath
from tapenet import fft as fft
from tapenet import files as files
from tapenet import implicit as implicit
from tapenet import linalg as linalg
from tapenet import metrics as metrics
from tapenet import nn as nn
from tapenet import optim as optim
from tapenet import optimize as optimize
from tapenet import parallel as parallel
from tapenet import random as random
from tapenet import scipy as scipy
from tapenet import special as special
from tapenet import testing as testing
from tapenet import training as training
from tapenet import tree as tree
from tapenet.autodiff.control.flow import cond as cond
from tapenet.autodiff.control.flow import fori as fori
from tapenet.autodiff.control.flow import scan as scan
from tapenet.autodiff.control.flow import while_loop as while_loop
from tapenet.autodiff.creation import from_dlpack as from_dlpack
from tapenet.autodiff.creation import tensor as tensor
from tapenet.autodiff.observe.anomaly import debug as debug
from tapenet.autodiff.observe.autocast import autocast as autocast
from tapenet.autodiff.observe.tape import CaptureError as CaptureError
from tapenet.autodiff.observe.tape import Tape as Tape
from tapenet.autodiff.observe.tape import tape as tape
from tapenet.autodiff.state import enable_grad as enable_grad
from tapenet.autodiff.state import is_grad_enabled as is_grad_enabled
from tapenet.autodiff.state import no_grad as no_grad
from tapenet.autodiff.telling import debug_print as debug_print
from tapenet.autodiff.tensor import Tensor as Tensor
from tapenet.autodiff.tensor import backward as backward
from tapenet.compat.torch_dtypes import bfloat16 as bfloat16
from tapenet.compat.torch_dtypes import bool as bool
from tapenet.compat.torch_dtypes import complex128 as complex128
from tapenet.compat.torch_dtypes import complex64 as complex64
from tapenet.compat.torch_dtypes import double as double
from tapenet.compat.torch_dtypes import float as float
from tapenet.compat.torch_dtypes import float16 as float16
from tapenet.compat.torch_dtypes import float32 as float32
from tapenet.compat.torch_dtypes import float64 as float64
from tapenet.compat.torch_dtypes import half as half
from tapenet.compat.torch_dtypes import int as int
from tapenet.compat.torch_dtypes import int16 as int16
from tapenet.compat.torch_dtypes import int32 as int32
from tapenet.compat.torch_dtypes import int64 as int64
from tapenet.compat.torch_dtypes import int8 as int8
from tapenet.compat.torch_dtypes import long as long
from tapenet.compat.torch_dtypes import short as short
from tapenet.compat.torch_dtypes import uint16 as uint16
from tapenet.compat.torch_dtypes import uint32 as uint32
from tapenet.compat.torch_dtypes import uint64 as uint64
from tapenet.compat.torch_dtypes import uint8 as uint8
from tapenet.compat.torch_functions import addmm as addmm
from tapenet.compat.torch_functions import baddbmm as baddbmm
from tapenet.compat.torch_functions import bernoulli as bernoulli
from tapenet.compat.torch_functions import bmm as bmm
from tapenet.compat.torch_functions import cat as cat
from tapenet.compat.torch_functions import chunk as chunk
from tapenet.compat.torch_functions import clamp as clamp
from tapenet.compat.torch_functions import device as device
from tapenet.compat.torch_functions import div as div
from tapenet.compat.torch_functions import flatten as flatten
from tapenet.compat.torch_functions import from_numpy as from_numpy
from tapenet.compat.torch_functions import gather as gather
from tapenet.compat.torch_functions import index_select as index_select
from tapenet.compat.torch_functions import inference_mode as inference_mode
from tapenet.compat.torch_functions import is_floating_point as is_floating_point
from tapenet.compat.torch_functions import is_tensor as is_tensor
from tapenet.compat.torch_functions import lerp as lerp
from tapenet.compat.torch_functions import manual_seed as manual_seed
from tapenet.compat.torch_functions import masked_fill as masked_fill
from tapenet.compat.torch_functions import mm as mm
from tapenet.compat.torch_functions import movedim as movedim
from tapenet.compat.torch_functions import mul as mul
from tapenet.compat.torch_functions import multinomial as multinomial
from tapenet.compat.torch_functions import neg as neg
from tapenet.compat.torch_functions import norm as norm
from tapenet.compat.torch_functions import numel as numel
from tapenet.compat.torch_functions import permute as permute
from tapenet.compat.torch_functions import rand as rand
from tapenet.compat.torch_functions import rand_like as rand_like
from tapenet.compat.torch_functions import randint as randint
from tapenet.compat.torch_functions import randn as randn
from tapenet.compat.torch_functions import randn_like as randn_like
from tapenet.compat.torch_functions import randperm as randperm
from tapenet.compat.torch_functions import repeat_interleave as repeat_interleave
from tapenet.compat.torch_functions import rsqrt as rsqrt
from tapenet.compat.torch_functions import set_grad_enabled as set_grad_enabled
from tapenet.compat.torch_functions import sub as sub
from tapenet.compat.torch_functions import swapdims as swapdims
from tapenet.compat.torch_functions import t as t
from tapenet.compat.torch_functions import topk as topk
from tapenet.compat.torch_functions import unbind as unbind
from tapenet.compat.torch_functions import unsqueeze as unsqueeze
from tapenet.compiler.compile import CompileWarning as CompileWarning
from tapenet.compiler.compile import compile as compile
from tapenet.drawing.draw_call import draw as draw
from tapenet.files.saving import load as load
from tapenet.files.saving import save as save
from tapenet.lifting.lift import lift as lift
from tapenet.llvm.workers import deterministic as deterministic
from tapenet.llvm.workers import get_num_threads as get_num_threads
from tapenet.llvm.workers import set_num_threads as set_num_threads
from tapenet.nn.functional import adaptive_avg_pool1d as adaptive_avg_pool1d
from tapenet.nn.functional import adaptive_avg_pool2d as adaptive_avg_pool2d
from tapenet.nn.functional import adaptive_avg_pool3d as adaptive_avg_pool3d
from tapenet.nn.functional import adaptive_max_pool1d as adaptive_max_pool1d
from tapenet.nn.functional import adaptive_max_pool2d as adaptive_max_pool2d
from tapenet.nn.functional import adaptive_max_pool3d as adaptive_max_pool3d
from tapenet.nn.functional import affine_grid as affine_grid
from tapenet.nn.functional import alibi_bias as alibi_bias
from tapenet.nn.functional import alpha_dropout as alpha_dropout
from tapenet.nn.functional import avg_pool1d as avg_pool1d
from tapenet.nn.functional import avg_pool2d as avg_pool2d
from tapenet.nn.functional import avg_pool3d as avg_pool3d
from tapenet.nn.functional import bilinear as bilinear
from tapenet.nn.functional import binary_cross_entropy as binary_cross_entropy
from tapenet.nn.functional import binary_cross_entropy_with_logits as binary_cross_entropy_with_logits
from tapenet.nn.functional import celu as celu
from tapenet.nn.functional import channel_shuffle as channel_shuffle
from tapenet.nn.functional import conv1d as conv1d
from tapenet.nn.functional import conv2d as conv2d
from tapenet.nn.functional import conv3d as conv3d
from tapenet.nn.functional import conv_transpose1d as conv_transpose1d
from tapenet.nn.functional import conv_transpose2d as conv_transpose2d
from tapenet.nn.functional import conv_transpose3d as conv_transpose3d
from tapenet.nn.functional import cosine_embedding_loss as cosine_embedding_loss
from tapenet.nn.functional import cosine_similarity as cosine_similarity
from tapenet.nn.functional import cross_entropy as cross_entropy
from tapenet.nn.functional import ctc_loss as ctc_loss
from tapenet.nn.functional import dropout as dropout
from tapenet.nn.functional import dropout1d as dropout1d
from tapenet.nn.functional import dropout2d as dropout2d
from tapenet.nn.functional import dropout3d as dropout3d
from tapenet.nn.functional import elu as elu
from tapenet.nn.functional import feature_alpha_dropout as feature_alpha_dropout
from tapenet.nn.functional import fold as fold
from tapenet.nn.functional import fractional_max_pool2d as fractional_max_pool2d
from tapenet.nn.functional import fractional_max_pool3d as fractional_max_pool3d
from tapenet.nn.functional import gaussian_nll_loss as gaussian_nll_loss
from tapenet.nn.functional import gelu as gelu
from tapenet.nn.functional import glu as glu
from tapenet.nn.functional import grid_sample as grid_sample
from tapenet.nn.functional import group_norm as group_norm
from tapenet.nn.functional import gumbel_softmax as gumbel_softmax
from tapenet.nn.functional import hardshrink as hardshrink
from tapenet.nn.functional import hardsigmoid as hardsigmoid
from tapenet.nn.functional import hardswish as hardswish
from tapenet.nn.functional import hardtanh as hardtanh
from tapenet.nn.functional import hinge_embedding_loss as hinge_embedding_loss
from tapenet.nn.functional import huber_loss as huber_loss
from tapenet.nn.functional import interpolate as interpolate
from tapenet.nn.functional import kl_div as kl_div
from tapenet.nn.functional import l1_loss as l1_loss
from tapenet.nn.functional import layer_norm as layer_norm
from tapenet.nn.functional import leaky_relu as leaky_relu
from tapenet.nn.functional import linear as linear
from tapenet.nn.functional import linear_cross_entropy as linear_cross_entropy
from tapenet.nn.functional import local_response_norm as local_response_norm
from tapenet.nn.functional import log_softmax as log_softmax
from tapenet.nn.functional import logsigmoid as logsigmoid
from tapenet.nn.functional import lp_pool1d as lp_pool1d
from tapenet.nn.functional import lp_pool2d as lp_pool2d
from tapenet.nn.functional import lp_pool3d as lp_pool3d
from tapenet.nn.functional import margin_ranking_loss as margin_ranking_loss
from tapenet.nn.functional import max_pool1d as max_pool1d
from tapenet.nn.functional import max_pool2d as max_pool2d
from tapenet.nn.functional import max_pool3d as max_pool3d
from tapenet.nn.functional import max_unpool1d as max_unpool1d
from tapenet.nn.functional import max_unpool2d as max_unpool2d
from tapenet.nn.functional import max_unpool3d as max_unpool3d
from tapenet.nn.functional import mish as mish
from tapenet.nn.functional import mse_loss as mse_loss
from tapenet.nn.functional import multi_head_attention_forward as multi_head_attention_forward
from tapenet.nn.functional import multi_margin_loss as multi_margin_loss
from tapenet.nn.functional import multilabel_margin_loss as multilabel_margin_loss
from tapenet.nn.functional import multilabel_soft_margin_loss as multilabel_soft_margin_loss
from tapenet.nn.functional import nll_loss as nll_loss
from tapenet.nn.functional import normalize as normalize
from tapenet.nn.functional import one_hot as one_hot
from tapenet.nn.functional import pairwise_distance as pairwise_distance
from tapenet.nn.functional import pdist as pdist
from tapenet.nn.functional import pixel_shuffle as pixel_shuffle
from tapenet.nn.functional import pixel_unshuffle as pixel_unshuffle
from tapenet.nn.functional import poisson_nll_loss as poisson_nll_loss
from tapenet.nn.functional import prelu as prelu
from tapenet.nn.functional import relu as relu
from tapenet.nn.functional import relu6 as relu6
from tapenet.nn.functional import rms_norm as rms_norm
from tapenet.nn.functional import rotary_embedding as rotary_embedding
from tapenet.nn.functional import rrelu as rrelu
from tapenet.nn.functional import scaled_dot_product_attention as scaled_dot_product_attention
from tapenet.nn.functional import selu as selu
from tapenet.nn.functional import sigmoid as sigmoid
from tapenet.nn.functional import sigmoid_focal_loss as sigmoid_focal_loss
from tapenet.nn.functional import silu as silu
from tapenet.nn.functional import sinusoidal_positions as sinusoidal_positions
from tapenet.nn.functional import smooth_l1_loss as smooth_l1_loss
from tapenet.nn.functional import soft_margin_loss as soft_margin_loss
from tapenet.nn.functional import softmax as softmax
from tapenet.nn.functional import softmin as softmin
from tapenet.nn.functional import softplus as softplus
from tapenet.nn.functional import softshrink as softshrink
from tapenet.nn.functional import softsign as softsign
from tapenet.nn.functional import tanh as tanh
from tapenet.nn.functional import tanhshrink as tanhshrink
from tapenet.nn.functional import threshold as threshold
from tapenet.nn.functional import triplet_margin_loss as triplet_margin_loss
from tapenet.nn.functional import triplet_margin_with_distance_loss as triplet_margin_with_distance_loss
from tapenet.nn.functional import unfold as unfold
from tapenet.nn.functional_call import functional_call as functional_call
from tapenet.ops.derived import array_like as array_like
from tapenet.ops.derived import derived as derived
from tapenet.ops.derived import known as known
from tapenet.ops.dtypes import finfo as finfo
from tapenet.ops.dtypes import iinfo as iinfo
from tapenet.ops.dtypes import isdtype as isdtype
from tapenet.ops.formula import derive as derive
from tapenet.ops.indexing.positions import diag_indices_from as diag_indices_from
from tapenet.ops.indexing.positions import tril_indices_from as tril_indices_from
from tapenet.ops.indexing.positions import triu_indices_from as triu_indices_from
from tapenet.ops.indexing.sorting import SortKind
from tapenet.ops.namespace_info import __array_namespace_info__ as __array_namespace_info__
from tapenet.ops.native_functions import native as native
from tapenet.ops.op import Op as Op
from tapenet.ops.op import Scatter as Scatter
from tapenet.ops.op import op as op
from tapenet.ops.operators import Operand as Operand
from tapenet.ops.products.einsum import einsum_path as einsum_path
from tapenet.ops.reductions.histograms import Range
from tapenet.ops.registry import Sample as Sample
from tapenet.ops.registry import sample as sample
from tapenet.ops.rule_results import GradientError as GradientError
from tapenet.ops.shapes.filling import Order
from tapenet.ops.shapes.padding import Widths
from tapenet.ops.shapes.tricks import c_ as c_
from tapenet.ops.shapes.tricks import r_ as r_
from tapenet.ops.user_primitives import primitive as primitive
from tapenet.profiling.profile import profile as profile
from tapenet.training.network import Network as Network
from tapenet.transforms.checkpoint import checkpoint as checkpoint
from tapenet.transforms.custom import custom_jvp as custom_jvp
from tapenet.transforms.custom import custom_vjp as custom_vjp
from tapenet.transforms.forward import jvp as jvp
from tapenet.transforms.forward import linearize as linearize
from tapenet.transforms.gradients import elementwise_grad as elementwise_grad
from tapenet.transforms.gradients import grad as grad
from tapenet.transforms.gradients import value_and_grad as value_and_grad
from tapenet.transforms.gradients import vjp as vjp
from tapenet.transforms.graph_gradients import gradients as gradients
from tapenet.transforms.jacobians import hessian as hessian
from tapenet.transforms.jacobians import hvp as hvp
from tapenet.transforms.jacobians import jacfwd as jacfwd
from tapenet.transforms.jacobians import jacobian as jacobian
from tapenet.transforms.jacobians import jacrev as jacrev
from tapenet.transforms.jacobians import value_and_jacobian as value_and_jacobian
from tapenet.transforms.vectorize import vmap as vmap
from tapenet.typing import Axis
from tapenet.typing import Casting
from tapenet.typing import Shape
from tapenet.typing import UfuncOptions
from typing import Any
from typing import Literal
from typing import NamedTuple
from typing import Unpack
from typing import overload
import builtins
import numpy as np

__version__: str
__array_api_version__: str
__all__ = [
    "CaptureError",
    "CompileWarning",
    "GradientError",
    "Network",
    "Op",
    "Operand",
    "Sample",
    "Scatter",
    "Tape",
    "Tensor",
    "abs",
    "absolute",
    "acos",
    "acosh",
    "adaptive_avg_pool1d",
    "adaptive_avg_pool2d",
    "adaptive_avg_pool3d",
    "adaptive_max_pool1d",
    "adaptive_max_pool2d",
    "adaptive_max_pool3d",
    "add",
    "addmm",
    "affine_grid",
    "alibi_bias",
    "all",
    "allclose",
    "alpha_dropout",
    "amax",
    "amin",
    "angle",
    "any",
    "append",
    "apply_along_axis",
    "apply_over_axes",
    "arange",
    "arccos",
    "arccosh",
    "arcsin",
    "arcsinh",
    "arctan",
    "arctan2",
    "arctanh",
    "argmax",
    "argmin",
    "argpartition",
    "argsort",
    "argwhere",
    "around",
    "array",
    "array_equal",
    "array_equiv",
    "array_like",
    "array_split",
    "asanyarray",
    "asarray",
    "ascontiguousarray",
    "asfortranarray",
    "asin",
    "asinh",
    "astype",
    "atan",
    "atan2",
    "atanh",
    "atleast_1d",
    "atleast_2d",
    "atleast_3d",
    "autocast",
    "autograd",
    "average",
    "avg_pool1d",
    "avg_pool2d",
    "avg_pool3d",
    "backward",
    "baddbmm",
    "batch_norm",
    "bernoulli",
    "bilinear",
    "binary_cross_entropy",
    "binary_cross_entropy_with_logits",
    "bincount",
    "bitwise_and",
    "bitwise_count",
    "bitwise_invert",
    "bitwise_left_shift",
    "bitwise_not",
    "bitwise_or",
    "bitwise_right_shift",
    "bitwise_xor",
    "block",
    "bmm",
    "broadcast_arrays",
    "broadcast_shapes",
    "broadcast_to",
    "c_",
    "can_cast",
    "cat",
    "cbrt",
    "ceil",
    "celu",
    "channel_shuffle",
    "checkpoint",
    "choose",
    "chunk",
    "clamp",
    "clip",
    "column_stack",
    "compile",
    "complex128",
    "complex64",
    "compress",
    "concat",
    "concatenate",
    "cond",
    "conj",
    "conjugate",
    "conv1d",
    "conv2d",
    "conv3d",
    "conv_transpose1d",
    "conv_transpose2d",
    "conv_transpose3d",
    "convolve",
    "copy",
    "copysign",
    "copyto",
    "corrcoef",
    "correlate",
    "cos",
    "cosh",
    "cosine_embedding_loss",
    "cosine_similarity",
    "count_nonzero",
    "cov",
    "cross",
    "cross_entropy",
    "ctc_loss",
    "cuda",
    "cumprod",
    "cumsum",
    "cumulative_max",
    "cumulative_min",
    "cumulative_prod",
    "cumulative_sum",
    "custom_jvp",
    "custom_vjp",
    "data",
    "debug",
    "debug_print",
    "deg2rad",
    "degrees",
    "delete",
    "derive",
    "derived",
    "deterministic",
    "device",
    "diag",
    "diag_indices_from",
    "diagflat",
    "diagonal",
    "diff",
    "digitize",
    "div",
    "divide",
    "divmod",
    "dot",
    "double",
    "draw",
    "drawing",
    "dropout",
    "dropout1d",
    "dropout2d",
    "dropout3d",
    "dsplit",
    "dstack",
    "e",
    "ediff1d",
    "einsum",
    "einsum_path",
    "elementwise_grad",
    "elu",
    "emath",
    "embedding",
    "embedding_bag",
    "empty",
    "empty_like",
    "enable_grad",
    "equal",
    "erf",
    "exp",
    "exp2",
    "expand_dims",
    "expm1",
    "extract",
    "eye",
    "fabs",
    "feature_alpha_dropout",
    "fft",
    "files",
    "fill_diagonal",
    "finfo",
    "fix",
    "flatnonzero",
    "flatten",
    "flip",
    "fliplr",
    "flipud",
    "float16",
    "float32",
    "float64",
    "float_power",
    "floor",
    "floor_divide",
    "fmax",
    "fmin",
    "fmod",
    "fold",
    "fori",
    "fractional_max_pool2d",
    "fractional_max_pool3d",
    "frexp",
    "from_dlpack",
    "from_numpy",
    "fromfunction",
    "fromiter",
    "full",
    "full_like",
    "functional_call",
    "gather",
    "gaussian_nll_loss",
    "gcd",
    "gelu",
    "geomspace",
    "get_num_threads",
    "glu",
    "grad",
    "gradient",
    "gradients",
    "greater",
    "greater_equal",
    "grid_sample",
    "group_norm",
    "gru",
    "gru_cell",
    "gumbel_softmax",
    "half",
    "hardshrink",
    "hardsigmoid",
    "hardswish",
    "hardtanh",
    "heaviside",
    "hessian",
    "hinge_embedding_loss",
    "histogram",
    "histogram2d",
    "histogram_bin_edges",
    "histogramdd",
    "hsplit",
    "hstack",
    "huber_loss",
    "hvp",
    "hypot",
    "i0",
    "identity",
    "iinfo",
    "imag",
    "implicit",
    "index_add",
    "index_select",
    "inf",
    "inference_mode",
    "inner",
    "insert",
    "instance_norm",
    "int16",
    "int32",
    "int64",
    "int8",
    "interp",
    "interpolate",
    "intersect1d",
    "invert",
    "is_floating_point",
    "is_grad_enabled",
    "is_tensor",
    "isclose",
    "iscomplex",
    "isdtype",
    "isfinite",
    "isin",
    "isinf",
    "isnan",
    "isneginf",
    "isposinf",
    "isreal",
    "ix_",
    "jacfwd",
    "jacobian",
    "jacrev",
    "jvp",
    "kaiser",
    "kl_div",
    "known",
    "kron",
    "l1_loss",
    "layer_norm",
    "lcm",
    "ldexp",
    "leaky_relu",
    "left_shift",
    "lerp",
    "less",
    "less_equal",
    "lexsort",
    "lift",
    "linalg",
    "linear",
    "linear_cross_entropy",
    "linearize",
    "linspace",
    "load",
    "local_response_norm",
    "log",
    "log10",
    "log1p",
    "log2",
    "log_softmax",
    "logaddexp",
    "logaddexp2",
    "logcumsumexp",
    "logical_and",
    "logical_not",
    "logical_or",
    "logical_xor",
    "logsigmoid",
    "logspace",
    "logsumexp",
    "long",
    "lp_pool1d",
    "lp_pool2d",
    "lp_pool3d",
    "lstm",
    "lstm_cell",
    "manual_seed",
    "margin_ranking_loss",
    "masked_fill",
    "matmul",
    "matrix_transpose",
    "matvec",
    "max",
    "max_pool1d",
    "max_pool2d",
    "max_pool3d",
    "max_unpool1d",
    "max_unpool2d",
    "max_unpool3d",
    "maximum",
    "mean",
    "median",
    "meshgrid",
    "metrics",
    "min",
    "minimum",
    "mish",
    "mm",
    "mod",
    "modf",
    "moveaxis",
    "movedim",
    "mse_loss",
    "mul",
    "multi_head_attention_forward",
    "multi_margin_loss",
    "multilabel_margin_loss",
    "multilabel_soft_margin_loss",
    "multinomial",
    "multiply",
    "nan",
    "nan_to_num",
    "nanargmax",
    "nanargmin",
    "nancumprod",
    "nancumsum",
    "nanmax",
    "nanmean",
    "nanmedian",
    "nanmin",
    "nanpercentile",
    "nanprod",
    "nanquantile",
    "nanstd",
    "nansum",
    "nanvar",
    "native",
    "neg",
    "negative",
    "newaxis",
    "nextafter",
    "nll_loss",
    "nn",
    "no_grad",
    "nonzero",
    "norm",
    "normalize",
    "not_equal",
    "numel",
    "one_hot",
    "ones",
    "ones_like",
    "op",
    "optim",
    "optimize",
    "outer",
    "packbits",
    "pad",
    "pairwise_distance",
    "parallel",
    "partition",
    "pdist",
    "percentile",
    "permute",
    "permute_dims",
    "pi",
    "piecewise",
    "pixel_shuffle",
    "pixel_unshuffle",
    "place",
    "poisson_nll_loss",
    "poly",
    "polyadd",
    "polyder",
    "polydiv",
    "polyfit",
    "polyint",
    "polymul",
    "polysub",
    "polyval",
    "positive",
    "pow",
    "power",
    "prelu",
    "primitive",
    "prod",
    "profile",
    "ptp",
    "put",
    "put_along_axis",
    "putmask",
    "quantile",
    "quantized_linear",
    "r_",
    "rad2deg",
    "radians",
    "rand",
    "rand_like",
    "randint",
    "randn",
    "randn_like",
    "random",
    "randperm",
    "ravel",
    "ravel_multi_index",
    "real",
    "real_if_close",
    "reciprocal",
    "relu",
    "relu6",
    "remainder",
    "repeat",
    "repeat_interleave",
    "require",
    "reshape",
    "resize",
    "result_type",
    "right_shift",
    "rint",
    "rms_norm",
    "rnn",
    "rnn_relu_cell",
    "rnn_tanh_cell",
    "roll",
    "rollaxis",
    "roots",
    "rot90",
    "rotary_embedding",
    "round",
    "row_stack",
    "rrelu",
    "rsqrt",
    "safe_mul",
    "sample",
    "save",
    "scaled_dot_product_attention",
    "scan",
    "scatter_add",
    "scipy",
    "searchsorted",
    "select",
    "selu",
    "set_grad_enabled",
    "set_num_threads",
    "setdiff1d",
    "setxor1d",
    "short",
    "sigmoid",
    "sigmoid_focal_loss",
    "sign",
    "signbit",
    "silu",
    "sin",
    "sinc",
    "sinh",
    "sinusoidal_positions",
    "sliding_window_view",
    "smooth_l1_loss",
    "soft_margin_loss",
    "softmax",
    "softmin",
    "softplus",
    "softshrink",
    "softsign",
    "sort",
    "sort_complex",
    "spacing",
    "special",
    "split",
    "sqrt",
    "square",
    "squeeze",
    "stack",
    "std",
    "stop_gradient",
    "sub",
    "subtract",
    "sum",
    "swapaxes",
    "swapdims",
    "t",
    "take",
    "take_along_axis",
    "tan",
    "tanh",
    "tanhshrink",
    "tape",
    "tensor",
    "tensordot",
    "testing",
    "threshold",
    "tile",
    "topk",
    "trace",
    "training",
    "transpose",
    "trapezoid",
    "tree",
    "tri",
    "tril",
    "tril_indices_from",
    "trim_zeros",
    "triplet_margin_loss",
    "triplet_margin_with_distance_loss",
    "triu",
    "triu_indices_from",
    "true_divide",
    "trunc",
    "uint16",
    "uint32",
    "uint64",
    "uint8",
    "unbind",
    "unfold",
    "union1d",
    "unique",
    "unique_all",
    "unique_counts",
    "unique_inverse",
    "unique_values",
    "unpackbits",
    "unravel_index",
    "unsqueeze",
    "unstack",
    "unwrap",
    "value_and_grad",
    "value_and_jacobian",
    "vander",
    "var",
    "vdot",
    "vecdot",
    "vecmat",
    "vjp",
    "vmap",
    "vsplit",
    "vstack",
    "where",
    "while_loop",
    "zeros",
    "zeros_like",
]

def abs(x: ArrayLike, **options: Unpack[UfuncOptions]) -> Tensor:
    """The absolute value |x|, element by element."""

def absolute(x: ArrayLike, **options: Unpack[UfuncOptions]) -> Tensor:
    """The absolute value |x|, element by element."""

def acos(x: ArrayLike, **options: Unpack[UfuncOptions]) -> Tensor:
    """The inverse cosine, in radians, element by element."""

def acosh(x: ArrayLike, **options: Unpack[UfuncOptions]) -> Tensor:
    """The inverse hyperbolic cosine, element by element."""

def add(x: ArrayLike, y: ArrayLike, **options: Unpack[UfuncOptions]) -> Tensor:
    """The sum x + y, element by element."""

def all(a: ArrayLike, axis: Axis = None, *, keepdims: builtins.bool = False, where: ArrayLike = True, out: Tensor | np.ndarray[Any, Any] | None = None) -> Tensor:
    """Whether all elements over `axis` are true. Returns a tensor without gradient."""

def allclose(a: ArrayLike, b: ArrayLike, rtol: ArrayLike = 1e-05, atol: ArrayLike = 1e-08, equal_nan: builtins.bool = False) -> Tensor:
    """Whether all of a and b are equal but for a tolerance, |a - b| <= atol + rtol · |b|: a tensor without axes and without gradient, which `bool(...)` and `if` turn into a Python bool."""

def amax(a: ArrayLike, axis: Axis = None, *, keepdims: builtins.bool = False, initial: ArrayLike | None = None, where: ArrayLike = True, out: Tensor | np.ndarray[Any, Any] | None = None) -> Tensor:
    """The largest element over `axis`; equal ones share the gradient evenly (`initial`, if equal, has half of it)."""

def amin(a: ArrayLike, axis: Axis = None, *, keepdims: builtins.bool = False, initial: ArrayLike | None = None, where: ArrayLike = True, out: Tensor | np.ndarray[Any, Any] | None = None) -> Tensor:
    """The smallest element over `axis`; equal ones share the gradient evenly (`initial`, if equal, has half of it)."""

def angle(z: ArrayLike, deg: builtins.bool = False) -> Tensor:
    """The angle of a complex number from the positive real axis, element by element, in (-π, π]."""

def any(a: ArrayLike, axis: Axis = None, *, keepdims: builtins.bool = False, where: ArrayLike = True, out: Tensor | np.ndarray[Any, Any] | None = None) -> Tensor:
    """Whether any element over `axis` is true. Returns a tensor without gradient."""

def append(arr: ArrayLike, values: ArrayLike, axis: builtins.int | None = None) -> Tensor:
    """An array with values behind it along an axis."""

def apply_along_axis(func1d: Callable[..., ArrayLike], axis: builtins.int, arr: ArrayLike, *args: ArrayLike, **kwargs: Any) -> Tensor:
    """A function applied to each of the slices of one axis that make up an array."""

def apply_over_axes(func: Callable[..., ArrayLike], a: ArrayLike, axes: builtins.int | Sequence[builtins.int]) -> Tensor:
    """A function applied over several axes, one after the other."""

def arange(start: Any = None, stop: Any = None, step: Any = 1, dtype: DTypeLike | None = None, *, device: object | None = None, like: Tensor | None = None) -> Tensor:
    """The numbers start, start + step, start + 2 step ... before `stop`, as a tensor."""

def arccos(x: ArrayLike, **options: Unpack[UfuncOptions]) -> Tensor:
    """The inverse cosine, in radians, element by element."""

def arccosh(x: ArrayLike, **options: Unpack[UfuncOptions]) -> Tensor:
    """The inverse hyperbolic cosine, element by element."""

def arcsin(x: ArrayLike, **options: Unpack[UfuncOptions]) -> Tensor:
    """The inverse sine, in radians, element by element."""

def arcsinh(x: ArrayLike, **options: Unpack[UfuncOptions]) -> Tensor:
    """The inverse hyperbolic sine, element by element."""

def arctan(x: ArrayLike, **options: Unpack[UfuncOptions]) -> Tensor:
    """The inverse tangent, in radians, element by element."""

def arctan2(x: ArrayLike, y: ArrayLike, **options: Unpack[UfuncOptions]) -> Tensor:
    """The angle of the point (y, x), in radians: arctan2(x, y) is the inverse tangent of x / y, element by element."""

def arctanh(x: ArrayLike, **options: Unpack[UfuncOptions]) -> Tensor:
    """The inverse hyperbolic tangent, element by element."""

def argmax(a: ArrayLike, axis: builtins.int | None = None, *, keepdims: builtins.bool = False, out: Tensor | np.ndarray[Any, Any] | None = None) -> Tensor:
    """The index of the largest element along `axis`. Returns a tensor without gradient."""

def argmin(a: ArrayLike, axis: builtins.int | None = None, *, keepdims: builtins.bool = False, out: Tensor | np.ndarray[Any, Any] | None = None) -> Tensor:
    """The index of the smallest element along `axis`. Returns a tensor without gradient."""

def argpartition(a: ArrayLike, kth: ArrayLike, axis: builtins.int | None = -1, kind: Literal['introselect'] = 'introselect', order: None = None) -> Tensor:
    """The indices that bring each of the elements `kth` to where it would stand if `a` were sorted, smaller ones before it and larger ones behind. Returns a tensor without gradient."""

def argsort(a: ArrayLike, axis: builtins.int | None = -1, kind: SortKind | None = None, order: str | None = None, *, stable: builtins.bool | None = None, descending: builtins.bool = False) -> Tensor:
    """The indices that sort `a` along an axis (None: all elements in one). Returns a tensor without gradient."""

def argwhere(a: ArrayLike) -> Tensor:
    """The indices of the elements that are not zero, a row for each. Returns a tensor without gradient."""

def around(a: ArrayLike, decimals: builtins.int = 0, *, out: Tensor | np.ndarray[Any, Any] | None = None) -> Tensor:
    """The nearest number with so many decimals, halves to the even one, element by element; also called `around`. The gradient is 0."""

def array(object: ArrayLike, dtype: DTypeLike | None = None, *, copy: builtins.bool | None = True, order: str | None = 'K', subok: builtins.bool = False, ndmin: builtins.int = 0, ndmax: builtins.int = 0, like: Tensor | None = None) -> Tensor:
    """A tensor of numbers, arrays and tensors, in nested lists of equal lengths. Tensors stay in their graph."""

def array_equal(a1: ArrayLike, a2: ArrayLike, equal_nan: builtins.bool = False) -> Tensor:
    """Whether a1 and a2 have the same shape and elements: a tensor without axes and without gradient, which `bool(...)` and `if` turn into a Python bool."""

def array_equiv(a1: ArrayLike, a2: ArrayLike) -> Tensor:
    """Whether a1 and a2 broadcast, and have the same elements then: a tensor without axes and without gradient, which `bool(...)` and `if` turn into a Python bool."""

def array_split(ary: ArrayLike, indices_or_sections: ArrayLike, axis: builtins.int = 0) -> list[Tensor]:
    """Split into sections as equal as can be, the longer ones first, or before the given indices, along an axis."""

def asanyarray(a: ArrayLike, dtype: DTypeLike | None = None, order: str | None = None, *, device: object | None = None, copy: builtins.bool | None = None, like: Tensor | None = None) -> Tensor:
    """`asarray`: tensors have no subclasses."""

def asarray(a: ArrayLike, dtype: DTypeLike | None = None, order: str | None = None, *, device: object | None = None, copy: builtins.bool | None = None, like: Tensor | None = None) -> Tensor:
    """A tensor of numbers, arrays and tensors, as `array` makes it; a tensor is returned as it is, and an array shares its memory."""

def ascontiguousarray(a: ArrayLike, dtype: DTypeLike | None = None, *, like: Tensor | None = None) -> Tensor:
    """`asarray` by rows in memory, and with one axis at least."""

def asfortranarray(a: ArrayLike, dtype: DTypeLike | None = None, *, like: Tensor | None = None) -> Tensor:
    """`asarray` by columns in memory, and with one axis at least."""

def asin(x: ArrayLike, **options: Unpack[UfuncOptions]) -> Tensor:
    """The inverse sine, in radians, element by element."""

def asinh(x: ArrayLike, **options: Unpack[UfuncOptions]) -> Tensor:
    """The inverse hyperbolic sine, element by element."""

def astype(a: ArrayLike, dtype: DTypeLike, *, copy: builtins.bool = True, device: Any = None) -> Tensor:
    """The values in another dtype. The gradient comes back in the dtype of `a`; to integers there is none."""

def atan(x: ArrayLike, **options: Unpack[UfuncOptions]) -> Tensor:
    """The inverse tangent, in radians, element by element."""

def atan2(x: ArrayLike, y: ArrayLike, **options: Unpack[UfuncOptions]) -> Tensor:
    """The angle of the point (y, x), in radians: arctan2(x, y) is the inverse tangent of x / y, element by element."""

def atanh(x: ArrayLike, **options: Unpack[UfuncOptions]) -> Tensor:
    """The inverse hyperbolic tangent, element by element."""

def atleast_1d(*arys: ArrayLike) -> Any:
    """An array with one axis or more: a number becomes an array of length one. Of several arrays a tuple."""

def atleast_2d(*arys: ArrayLike) -> Any:
    """An array with two axes or more: a vector becomes a row. Of several arrays a tuple."""

def atleast_3d(*arys: ArrayLike) -> Any:
    """An array with three axes or more: a vector of n becomes (1, n, 1), a matrix (m, n, 1). Of several arrays a tuple."""

@overload
def average(a: ArrayLike, axis: Axis = None, weights: ArrayLike | None = None, returned: Literal[False] = False, *, keepdims: builtins.bool = False) -> Tensor:
    """The mean over `axis`, weighted if weights are given: Σ a w / Σ w."""

@overload
def average(a: ArrayLike, axis: Axis = None, weights: ArrayLike | None = None, *, returned: Literal[True], keepdims: builtins.bool = False) -> tuple[Tensor, Tensor]:
    """The mean over `axis`, weighted if weights are given: Σ a w / Σ w."""

@overload
def average(a: ArrayLike, axis: Axis = None, weights: ArrayLike | None = None, returned: builtins.bool = False, *, keepdims: builtins.bool = False) -> Any:
    """The mean over `axis`, weighted if weights are given: Σ a w / Σ w."""

def batch_norm(x: ArrayLike, mean: ArrayLike, var: ArrayLike, weight: ArrayLike | None = None, bias: ArrayLike | None = None, eps: builtins.float = 1e-05, axis: builtins.int = 1) -> Tensor:
    """Each channel normalised by the given statistics, then scaled and shifted: out = (x - mean) / √(var + eps) · weight + bias, as in evaluation with running averages."""

def bincount(x: ArrayLike, weights: ArrayLike | None = None, minlength: builtins.int = 0) -> Tensor:
    """How often each number from 0 occurs in `x`, or the sum of the weights where it does."""

def bitwise_and(x: ArrayLike, y: ArrayLike, **options: Unpack[UfuncOptions]) -> Tensor:
    """Bitwise x & y, element by element. Returns a tensor without gradient."""

def bitwise_count(x: ArrayLike, **options: Unpack[UfuncOptions]) -> Tensor:
    """How many bits of |x| are set, x being integers, element by element. Returns a tensor without gradient."""

def bitwise_invert(x: ArrayLike, **options: Unpack[UfuncOptions]) -> Tensor:
    """Bitwise not, element by element. Returns a tensor without gradient."""

def bitwise_left_shift(x: ArrayLike, y: ArrayLike, **options: Unpack[UfuncOptions]) -> Tensor:
    """The bits of x moved y places up; also called `bitwise_left_shift`, element by element. Returns a tensor without gradient."""

def bitwise_not(x: ArrayLike, **options: Unpack[UfuncOptions]) -> Tensor:
    """Bitwise not, element by element. Returns a tensor without gradient."""

def bitwise_or(x: ArrayLike, y: ArrayLike, **options: Unpack[UfuncOptions]) -> Tensor:
    """Bitwise x | y, element by element. Returns a tensor without gradient."""

def bitwise_right_shift(x: ArrayLike, y: ArrayLike, **options: Unpack[UfuncOptions]) -> Tensor:
    """The bits of x moved y places down; also called `bitwise_right_shift`, element by element. Returns a tensor without gradient."""

def bitwise_xor(x: ArrayLike, y: ArrayLike, **options: Unpack[UfuncOptions]) -> Tensor:
    """Bitwise x ^ y, element by element. Returns a tensor without gradient."""

def block(arrays: ArrayLike) -> Tensor:
    """An array put together from blocks, given as nested lists: the innermost lists are joined along the last axis, the lists of these along the one before it, and so on."""

def broadcast_arrays(*args: ArrayLike, subok: builtins.bool = False) -> tuple[Tensor, ...]:
    """Arrays repeated, without a copy, to the one shape they broadcast to."""

def broadcast_to(array: ArrayLike, shape: builtins.int | Sequence[builtins.int], *, subok: builtins.bool = False) -> Tensor:
    """The array repeated to a shape it broadcasts to, without a copy; read-only."""

def cbrt(x: ArrayLike, **options: Unpack[UfuncOptions]) -> Tensor:
    """The cube root, element by element."""

def ceil(x: ArrayLike, **options: Unpack[UfuncOptions]) -> Tensor:
    """The smallest integer not below x, element by element. The gradient is 0."""

def choose(a: ArrayLike, choices: ArrayLike, mode: Literal['raise', 'wrap', 'clip'] = 'raise', *, out: Tensor | np.ndarray[Any, Any] | None = None) -> Tensor:
    """For each element of `a`, that of the choice it names."""

def clip(a: ArrayLike, a_min: ArrayLike | None = None, a_max: ArrayLike | None = None, *, min: ArrayLike | None = None, max: ArrayLike | None = None, dtype: DTypeLike | None = None, out: Tensor | np.ndarray[Any, Any] | None = None) -> Tensor:
    """The values of `a` limited to [a_min, a_max]; either limit may be None or an array. They are also called min and max. `dtype` is that of the result."""

def column_stack(tup: Sequence[ArrayLike]) -> Tensor:
    """Arrays joined along the second axis, those of one axis as columns."""

def compress(condition: ArrayLike, a: ArrayLike, axis: builtins.int | None = None, *, out: Tensor | np.ndarray[Any, Any] | None = None) -> Tensor:
    """The parts of `a` along an axis whose condition holds."""

def concat(arrays: ArrayLike, axis: builtins.int | None = 0, *, dtype: DTypeLike | None = None, casting: str = 'same_kind', out: Tensor | np.ndarray[Any, Any] | None = None) -> Tensor:
    """Arrays joined along an axis they share (None: flattened first)."""

def concatenate(arrays: ArrayLike, axis: builtins.int | None = 0, *, dtype: DTypeLike | None = None, casting: str = 'same_kind', out: Tensor | np.ndarray[Any, Any] | None = None) -> Tensor:
    """Arrays joined along an axis they share (None: flattened first)."""

def conj(x: ArrayLike, **options: Unpack[UfuncOptions]) -> Tensor:
    """The complex conjugate, element by element; a real number is its own. Also called `conj`."""

def conjugate(x: ArrayLike, **options: Unpack[UfuncOptions]) -> Tensor:
    """The complex conjugate, element by element; a real number is its own. Also called `conj`."""

def convolve(a: ArrayLike, v: ArrayLike, mode: Literal['full', 'same', 'valid'] = 'full') -> Tensor:
    """The discrete convolution of two sequences, as the product of two polynomials has it."""

def copy(a: ArrayLike, order: Literal['K', 'A', 'C', 'F'] = 'K', *, subok: builtins.bool = False) -> Tensor:
    """A copy with storage of its own, in the same memory order or another: "C" by rows, "F" by columns."""

def copysign(x: ArrayLike, y: ArrayLike, **options: Unpack[UfuncOptions]) -> Tensor:
    """|x| with the sign of y; at x = 0 the gradient is 0, and so is that by y, element by element."""

def copyto(dst: ArrayLike, src: ArrayLike, casting: Casting = 'same_kind', where: ArrayLike = True) -> None:
    """Write an array into another, in place."""

def corrcoef(x: ArrayLike, y: ArrayLike | None = None, rowvar: builtins.bool = True, *, dtype: DTypeLike | None = None) -> Tensor:
    """The correlations of variables: their covariances over their standard deviations, from -1 to 1."""

def correlate(a: ArrayLike, v: ArrayLike, mode: Literal['full', 'same', 'valid'] = 'valid') -> Tensor:
    """The correlation of two sequences, out[k] = Σⱼ a[j + k] · conj(v[j])."""

def cos(x: ArrayLike, **options: Unpack[UfuncOptions]) -> Tensor:
    """The cosine, of radians, element by element."""

def cosh(x: ArrayLike, **options: Unpack[UfuncOptions]) -> Tensor:
    """The hyperbolic cosine, element by element."""

def count_nonzero(a: ArrayLike, axis: Axis = None, *, keepdims: builtins.bool = False) -> Tensor:
    """How many elements over `axis` are not zero. Returns a tensor without gradient."""

def cov(m: ArrayLike, y: ArrayLike | None = None, rowvar: builtins.bool = True, bias: builtins.bool = False, ddof: builtins.float | None = None, fweights: ArrayLike | None = None, aweights: ArrayLike | None = None, *, dtype: DTypeLike | None = None) -> Tensor:
    """The covariances of variables: Σ (x − μ)(y − ν)* / (n − ddof) over n observations."""

def cross(a: ArrayLike, b: ArrayLike, axisa: builtins.int = -1, axisb: builtins.int = -1, axisc: builtins.int = -1, axis: builtins.int | None = None) -> Tensor:
    """The cross product a × b of vectors in space; the axes beside the vectors' broadcast."""

def cumprod(a: ArrayLike, axis: builtins.int | None = None, dtype: DTypeLike | None = None, *, out: Tensor | np.ndarray[Any, Any] | None = None) -> Tensor:
    """The running product: each element times all before it. The gradient is right with zeros among them, and takes a number of steps that is linear in the length. It is infinite where the product of what follows alone overflows."""

def cumsum(a: ArrayLike, axis: builtins.int | None = None, dtype: DTypeLike | None = None, *, out: Tensor | np.ndarray[Any, Any] | None = None) -> Tensor:
    """The running sum: each element and all before it."""

def cumulative_max(array: ArrayLike, axis: Axis = 0, dtype: DTypeLike | None = None) -> Tensor:
    """The largest element so far, as `np.maximum.accumulate` gives it."""

def cumulative_min(array: ArrayLike, axis: Axis = 0, dtype: DTypeLike | None = None) -> Tensor:
    """The smallest element so far, as `np.minimum.accumulate` gives it."""

def cumulative_prod(x: ArrayLike, *, axis: builtins.int | None = None, dtype: DTypeLike | None = None, include_initial: builtins.bool = False, out: Tensor | np.ndarray[Any, Any] | None = None) -> Tensor:
    """The running product as the array API has it."""

def cumulative_sum(x: ArrayLike, *, axis: builtins.int | None = None, dtype: DTypeLike | None = None, include_initial: builtins.bool = False, out: Tensor | np.ndarray[Any, Any] | None = None) -> Tensor:
    """The running sum as the array API has it."""

def deg2rad(x: ArrayLike, **options: Unpack[UfuncOptions]) -> Tensor:
    """An angle in degrees, in radians; also called `deg2rad`, element by element."""

def degrees(x: ArrayLike, **options: Unpack[UfuncOptions]) -> Tensor:
    """An angle in radians, in degrees; also called `rad2deg`, element by element."""

def delete(arr: ArrayLike, obj: ArrayLike, axis: builtins.int | None = None) -> Tensor:
    """An array without some of its parts along an axis."""

def diag(v: ArrayLike, k: builtins.int = 0) -> Tensor:
    """A square matrix with a vector on its `k`-th diagonal; or the `k`-th diagonal of a matrix."""

def diagflat(v: ArrayLike, k: builtins.int = 0) -> Tensor:
    """A square matrix with all elements of an array, in row-major order, on its `k`-th diagonal."""

def diagonal(a: ArrayLike, offset: builtins.int = 0, axis1: builtins.int = 0, axis2: builtins.int = 1) -> Tensor:
    """The diagonal of a matrix, or of each matrix that two axes span."""

def diff(a: ArrayLike, n: builtins.int = 1, axis: builtins.int = -1, prepend: ArrayLike | None = None, append: ArrayLike | None = None) -> Tensor:
    """The differences of neighbours along an axis, a[i+1] - a[i], taken n times over."""

def digitize(x: ArrayLike, bins: ArrayLike, right: builtins.bool = False) -> Tensor:
    """The index of the bin that each element falls into. Returns a tensor without gradient."""

def divide(x: ArrayLike, y: ArrayLike, **options: Unpack[UfuncOptions]) -> Tensor:
    """The quotient x / y, element by element."""

def divmod(x: ArrayLike, y: ArrayLike, **options: Any) -> tuple[Tensor, Tensor]:
    """`floor_divide` and `remainder` at once, element by element. The gradient of the quotient is 0."""

def dot(a: ArrayLike, b: ArrayLike, *, out: Tensor | np.ndarray[Any, Any] | None = None) -> Tensor:
    """The dot product: the sum over the last axis of `a` and the next to last (or only) axis of `b`; with a number the plain product. Of vectors and matrices it is `matmul`; beyond, the other axes of `a` come before those of `b` and are not matched as batches."""

def dsplit(ary: ArrayLike, indices_or_sections: builtins.int | Sequence[builtins.int]) -> list[Tensor]:
    """`split` along the third axis."""

def dstack(tup: Sequence[ArrayLike]) -> Tensor:
    """Arrays joined along the third axis; a row counts as (1, n, 1), a matrix as (m, n, 1)."""

def ediff1d(ary: ArrayLike, to_end: ArrayLike | None = None, to_begin: ArrayLike | None = None) -> Tensor:
    """The differences of neighbours in the flattened array, with other values put around them."""

def einsum(*operands: ArrayLike, dtype: DTypeLike | None = None, order: str = 'K', casting: str = 'safe', optimize: builtins.bool | str | Sequence[object] = False, out: Tensor | np.ndarray[Any, Any] | None = None) -> Tensor:
    """Products of arrays summed as labels on their axes say: `einsum("ij,jk->ik", a, b)` is the matrix product."""

def embedding(indices: ArrayLike, weight: ArrayLike, padding_idx: builtins.int | None = None, scale_grad_by_freq: builtins.bool = False) -> Tensor:
    """The rows of `weight` that `indices` name."""

def embedding_bag(indices: ArrayLike, weight: ArrayLike, offsets: ArrayLike | None = None, per_sample_weights: ArrayLike | None = None, mode: str = 'mean', padding_idx: builtins.int | None = None, include_last_offset: builtins.bool = False, scale_grad_by_freq: builtins.bool = False) -> Tensor:
    """The sum, mean or maximum of the rows of `weight` that each bag of indices names."""

def empty(shape: builtins.int | Sequence[builtins.int], dtype: DTypeLike | None = None, order: Order = 'C', *, device: object | None = None, like: Tensor | None = None) -> Tensor:
    """A tensor to be written to; the arguments are those of `zeros`. NumPy leaves open what it holds; here these are zeros, so that a step that is run again gives the same."""

def empty_like(a: ArrayLike, dtype: DTypeLike | None = None, *, shape: builtins.int | Sequence[builtins.int] | None = None, order: str = 'K', subok: builtins.bool = True, device: Any = None) -> Tensor:
    """An array of the shape and dtype of `a`, or of those given, to be written to. NumPy leaves open what it holds; here these are zeros, so that a step that is run again gives the same."""

def equal(x: ArrayLike, y: ArrayLike, **options: Unpack[UfuncOptions]) -> Tensor:
    """Whether x == y, element by element. Returns a tensor without gradient."""

def erf(x: ArrayLike) -> Tensor:
    """The error function, element by element: 2/√π times the integral of exp(-t²) from 0 to x."""

def exp(x: ArrayLike, **options: Unpack[UfuncOptions]) -> Tensor:
    """The exponential e^x, element by element."""

def exp2(x: ArrayLike, **options: Unpack[UfuncOptions]) -> Tensor:
    """The power 2^x, element by element."""

def expand_dims(a: ArrayLike, axis: builtins.int) -> Tensor:
    """Axes of length one inserted at the positions `axis` of the result."""

def expm1(x: ArrayLike, **options: Unpack[UfuncOptions]) -> Tensor:
    """e^x - 1, accurate near 0, element by element."""

def extract(condition: ArrayLike, arr: ArrayLike) -> Tensor:
    """The elements of `arr` where a condition holds, in one axis."""

def eye(N: builtins.int, M: builtins.int | None = None, k: builtins.int = 0, dtype: DTypeLike = ..., order: Order = 'C', *, device: object | None = None, like: Tensor | None = None) -> Tensor:
    """Ones on a diagonal, zeros beside it, as a tensor."""

def fabs(x: ArrayLike, **options: Unpack[UfuncOptions]) -> Tensor:
    """The absolute value |x|, of real numbers, element by element."""

def fill_diagonal(a: ArrayLike, val: ArrayLike, wrap: builtins.bool = False) -> None:
    """Write to the main diagonal, in place."""

def fix(x: ArrayLike, *, out: Tensor | np.ndarray[Any, Any] | None = None) -> Tensor:
    """The nearest integer towards 0, `trunc` by another name, with gradient 0, element by element."""

def flatnonzero(a: ArrayLike) -> Tensor:
    """The indices of the elements that are not zero, counted through all in row-major order. Returns a tensor without gradient."""

def flip(m: ArrayLike, axis: Axis = None) -> Tensor:
    """The elements in reverse order along `axis` (None: all axes)."""

def fliplr(m: ArrayLike) -> Tensor:
    """The columns in reverse order: a flip along the second axis."""

def flipud(m: ArrayLike) -> Tensor:
    """The rows in reverse order: a flip along the first axis."""

def float_power(x: ArrayLike, y: ArrayLike, **options: Unpack[UfuncOptions]) -> Tensor:
    """The power x ** y in double precision, where a whole number to a negative one is a fraction, element by element."""

def floor(x: ArrayLike, **options: Unpack[UfuncOptions]) -> Tensor:
    """The largest integer not above x, element by element. The gradient is 0."""

def floor_divide(x: ArrayLike, y: ArrayLike, **options: Unpack[UfuncOptions]) -> Tensor:
    """The quotient rounded down, element by element. The gradient is 0."""

def fmax(x: ArrayLike, y: ArrayLike, **options: Unpack[UfuncOptions]) -> Tensor:
    """The larger of x and y, or the other where one is nan; the gradient of a tie is shared in halves, element by element."""

def fmin(x: ArrayLike, y: ArrayLike, **options: Unpack[UfuncOptions]) -> Tensor:
    """The smaller of x and y, or the other where one is nan; the gradient of a tie is shared in halves, element by element."""

def fmod(x: ArrayLike, y: ArrayLike, **options: Unpack[UfuncOptions]) -> Tensor:
    """The remainder x − y · trunc(x/y), of the sign of x, element by element."""

def frexp(x: ArrayLike, **options: Unpack[UfuncOptions]) -> tuple[Tensor, Tensor]:
    """The mantissa m and the exponent e of x = m · 2^e, element by element. The exponent has no gradient."""

def fromfunction(function: Callable[..., ArrayLike], shape: Shape, *, dtype: DTypeLike = ..., **kwargs: Any) -> Tensor:
    """What a function makes of the indices of an array, which it is given as tensors, one for each axis. It may use tensors of its own, whose gradients are its."""

def fromiter(iter: ArrayLike, dtype: DTypeLike, count: builtins.int = -1, *, like: Tensor | None = None) -> Tensor:
    """A tensor of the numbers or tensors that an iterator gives."""

def full(shape: builtins.int | Sequence[builtins.int], fill_value: ArrayLike, dtype: DTypeLike | None = None, order: Order = 'C', *, device: object | None = None, like: Tensor | None = None) -> Tensor:
    """A tensor filled with a value, which may be a tensor and is broadcast; the arguments are those of `zeros`, and the dtype is that of the value."""

def full_like(a: ArrayLike, fill_value: ArrayLike, dtype: DTypeLike | None = None, *, shape: builtins.int | Sequence[builtins.int] | None = None, order: str = 'K', subok: builtins.bool = True, device: Any = None) -> Tensor:
    """`fill_value`, broadcast, in the shape and dtype of `a`, or in those given."""

def gcd(x: ArrayLike, y: ArrayLike, **options: Unpack[UfuncOptions]) -> Tensor:
    """The greatest common divisor of x and y, element by element. Returns a tensor without gradient."""

def geomspace(start: ArrayLike, stop: ArrayLike, num: builtins.int = 50, endpoint: builtins.bool = True, dtype: DTypeLike | None = None, axis: builtins.int = 0) -> Tensor:
    """`num` numbers at equal ratios from `start` to `stop`, as a tensor."""

def gradient(f: ArrayLike, *varargs: ArrayLike, axis: Axis = None, edge_order: builtins.int = 1) -> Any:
    """The derivative of a sampled function along its axes: central differences of second order inside, one-sided ones of order `edge_order` at the edges."""

def greater(x: ArrayLike, y: ArrayLike, **options: Unpack[UfuncOptions]) -> Tensor:
    """Whether x > y, element by element. Returns a tensor without gradient."""

def greater_equal(x: ArrayLike, y: ArrayLike, **options: Unpack[UfuncOptions]) -> Tensor:
    """Whether x >= y, element by element. Returns a tensor without gradient."""

def gru(x: ArrayLike, h0: ArrayLike, w_ih: ArrayLike, w_hh: ArrayLike, b_ih: ArrayLike | None = None, b_hh: ArrayLike | None = None, lengths: ArrayLike | None = None, reverse: builtins.bool = False) -> tuple[Tensor, Tensor]:
    """A layer of gated recurrent units over whole sequences. With a = x[t] @ w_ihᵀ + b_ih and b = hₜ₋₁ @ w_hhᵀ + b_hh, in three blocks each,"""

def gru_cell(x: ArrayLike, h: ArrayLike, w_ih: ArrayLike, w_hh: ArrayLike, b_ih: ArrayLike | None = None, b_hh: ArrayLike | None = None) -> Tensor:
    """One turn of `gru`."""

def heaviside(x: ArrayLike, y: ArrayLike, **options: Unpack[UfuncOptions]) -> Tensor:
    """The step from 0 to 1 at x = 0, where it is y; at the step the gradient by x is 0 too, element by element."""

def histogram(a: ArrayLike, bins: ArrayLike | str = 10, range: Range | None = None, density: builtins.bool | None = None, weights: ArrayLike | None = None) -> tuple[Tensor, Tensor]:
    """How many values fall into each bin, or the sum of their weights, by which it has derivatives."""

def histogram2d(x: ArrayLike, y: ArrayLike, bins: ArrayLike | Sequence[ArrayLike] = 10, range: Sequence[Range] | None = None, density: builtins.bool | None = None, weights: ArrayLike | None = None) -> tuple[Tensor, Tensor, Tensor]:
    """How many points of a plane fall into each cell of a grid, or the sum of their weights, by which it has derivatives."""

def histogram_bin_edges(a: ArrayLike, bins: ArrayLike | str = 10, range: Range | None = None, weights: ArrayLike | None = None) -> Tensor:
    """The edges of the bins that `histogram` uses with the same arguments: bins of equal width are from the least value to the largest, by which the edges have derivatives."""

def histogramdd(sample: ArrayLike | Sequence[ArrayLike], bins: ArrayLike | Sequence[ArrayLike] = 10, range: Sequence[Range] | None = None, density: builtins.bool | None = None, weights: ArrayLike | None = None) -> tuple[Tensor, Tensor]:
    """How many points fall into each cell of a grid, or the sum of their weights, by which it has derivatives."""

def hsplit(ary: ArrayLike, indices_or_sections: builtins.int | Sequence[builtins.int]) -> list[Tensor]:
    """`split` along the second axis, or the only one."""

def hstack(tup: Sequence[ArrayLike], *, dtype: DTypeLike | None = None, casting: str = 'same_kind') -> Tensor:
    """Arrays joined side by side: along the second axis, those of one axis along it."""

def hypot(x: ArrayLike, y: ArrayLike, **options: Unpack[UfuncOptions]) -> Tensor:
    """√(x² + y²), its gradient 0 at the origin, element by element."""

def i0(x: ArrayLike) -> Tensor:
    """The modified Bessel function of the first kind, of order 0, element by element."""

def identity(n: builtins.int, dtype: DTypeLike | None = None, *, like: Tensor | None = None) -> Tensor:
    """The identity matrix of `n` rows, as a tensor."""

def imag(val: ArrayLike) -> Tensor:
    """The imaginary part, element by element: a real array. That of a real number is 0."""

def index_add(a: ArrayLike, values: ArrayLike, index: ArrayLike) -> Tensor:
    """A copy of `a` with `values` added at `index`; repeated positions accumulate. `np.add.at` on a tensor is this."""

def inner(a: ArrayLike, b: ArrayLike) -> Tensor:
    """The sum of products over the last axes of both arrays; with a number the plain product."""

def insert(arr: ArrayLike, obj: ArrayLike, values: ArrayLike, axis: builtins.int | None = None) -> Tensor:
    """An array with values put in before some of its parts along an axis."""

def instance_norm(x: ArrayLike, weight: ArrayLike | None = None, bias: ArrayLike | None = None, eps: builtins.float = 1e-05) -> Tensor:
    """Each channel of each sample brought to mean 0 and variance 1 over its positions, then scaled and shifted: out = (x - mean) / √(var + eps) · weight + bias. Ulyanov, Vedaldi and Lempitsky, arXiv:1607.08022."""

def interp(x: ArrayLike, xp: ArrayLike, fp: ArrayLike, left: ArrayLike | None = None, right: ArrayLike | None = None, period: ArrayLike | None = None) -> Tensor:
    """Linear interpolation between the points (xp, fp)."""

@overload
def intersect1d(ar1: ArrayLike, ar2: ArrayLike, assume_unique: builtins.bool = False, return_indices: Literal[False] = False) -> Tensor:
    """The distinct elements that two arrays have in common, in rising order."""

@overload
def intersect1d(ar1: ArrayLike, ar2: ArrayLike, assume_unique: builtins.bool = False, *, return_indices: Literal[True]) -> tuple[Tensor, Tensor, Tensor]:
    """The distinct elements that two arrays have in common, in rising order."""

@overload
def intersect1d(ar1: ArrayLike, ar2: ArrayLike, assume_unique: builtins.bool = False, return_indices: builtins.bool = False) -> Any:
    """The distinct elements that two arrays have in common, in rising order."""

def invert(x: ArrayLike, **options: Unpack[UfuncOptions]) -> Tensor:
    """Bitwise not, element by element. Returns a tensor without gradient."""

def isclose(a: ArrayLike, b: ArrayLike, rtol: ArrayLike = 1e-05, atol: ArrayLike = 1e-08, equal_nan: builtins.bool = False) -> Tensor:
    """Whether a and b are equal but for a tolerance, |a - b| <= atol + rtol · |b|, element by element. Returns a tensor without gradient."""

def iscomplex(x: ArrayLike) -> Tensor:
    """Whether x has an imaginary part that is not 0, element by element. Returns a tensor without gradient."""

def isfinite(x: ArrayLike, **options: Unpack[UfuncOptions]) -> Tensor:
    """Whether x is neither infinite nor nan, element by element. Returns a tensor without gradient."""

def isin(element: ArrayLike, test_elements: ArrayLike, assume_unique: builtins.bool = False, invert: builtins.bool = False, *, kind: Literal['sort', 'table'] | None = None) -> Tensor:
    """Whether each element is among `test_elements`. Returns a tensor without gradient."""

def isinf(x: ArrayLike, **options: Unpack[UfuncOptions]) -> Tensor:
    """Whether x is infinite, element by element. Returns a tensor without gradient."""

def isnan(x: ArrayLike, **options: Unpack[UfuncOptions]) -> Tensor:
    """Whether x is nan, element by element. Returns a tensor without gradient."""

def isneginf(x: ArrayLike, *, out: Tensor | np.ndarray[Any, Any] | None = None) -> Tensor:
    """Whether x is infinite and negative, element by element. Returns a tensor without gradient."""

def isposinf(x: ArrayLike, *, out: Tensor | np.ndarray[Any, Any] | None = None) -> Tensor:
    """Whether x is infinite and positive, element by element. Returns a tensor without gradient."""

def isreal(x: ArrayLike) -> Tensor:
    """Whether the imaginary part of x is 0, element by element. Returns a tensor without gradient."""

def ix_(*args: ArrayLike) -> tuple[Tensor, ...]:
    """Vectors of indices as an open grid: `a[ix_([0, 2], [1, 3])]` is what rows 0 and 2 have in columns 1 and 3. Truth values count as the places where they are true."""

def kaiser(M: builtins.int, beta: ArrayLike) -> Tensor:
    """The Kaiser window of `M` points, I₀(beta √(1 − t²)) / I₀(beta) for t evenly spaced from −1 to 1, in the dtype of `beta`. (`np.kaiser` looks at no argument of its own for a tensor, so that it knows plain values only.)"""

def kron(a: ArrayLike, b: ArrayLike) -> Tensor:
    """The Kronecker product: `a` with each element replaced by that element times `b`. The array with fewer axes gets axes of length one in front."""

def lcm(x: ArrayLike, y: ArrayLike, **options: Unpack[UfuncOptions]) -> Tensor:
    """The lowest common multiple of x and y, element by element. Returns a tensor without gradient."""

def ldexp(x: ArrayLike, y: ArrayLike, **options: Unpack[UfuncOptions]) -> Tensor:
    """x times 2 to the power of an integer y, element by element, without rounding."""

def left_shift(x: ArrayLike, y: ArrayLike, **options: Unpack[UfuncOptions]) -> Tensor:
    """The bits of x moved y places up; also called `bitwise_left_shift`, element by element. Returns a tensor without gradient."""

def less(x: ArrayLike, y: ArrayLike, **options: Unpack[UfuncOptions]) -> Tensor:
    """Whether x < y, element by element. Returns a tensor without gradient."""

def less_equal(x: ArrayLike, y: ArrayLike, **options: Unpack[UfuncOptions]) -> Tensor:
    """Whether x <= y, element by element. Returns a tensor without gradient."""

def lexsort(keys: ArrayLike, axis: builtins.int = -1) -> Tensor:
    """The indices that sort by several keys: by the last of them, where that is equal by the one before, and so on. Returns a tensor without gradient."""

@overload
def linspace(start: ArrayLike, stop: ArrayLike, num: builtins.int = 50, endpoint: builtins.bool = True, retstep: Literal[False] = False, dtype: DTypeLike | None = None, axis: builtins.int = 0, *, device: Any = None) -> Tensor:
    """`num` numbers at equal steps from `start` to `stop`, as a tensor."""

@overload
def linspace(start: ArrayLike, stop: ArrayLike, num: builtins.int = 50, endpoint: builtins.bool = True, *, retstep: Literal[True], dtype: DTypeLike | None = None, axis: builtins.int = 0, device: Any = None) -> tuple[Tensor, Tensor]:
    """`num` numbers at equal steps from `start` to `stop`, as a tensor."""

@overload
def linspace(start: ArrayLike, stop: ArrayLike, num: builtins.int = 50, endpoint: builtins.bool = True, retstep: builtins.bool = False, dtype: DTypeLike | None = None, axis: builtins.int = 0, *, device: Any = None) -> Any:
    """`num` numbers at equal steps from `start` to `stop`, as a tensor."""

def log(x: ArrayLike, **options: Unpack[UfuncOptions]) -> Tensor:
    """The natural logarithm, element by element."""

def log10(x: ArrayLike, **options: Unpack[UfuncOptions]) -> Tensor:
    """The logarithm to base 10, element by element."""

def log1p(x: ArrayLike, **options: Unpack[UfuncOptions]) -> Tensor:
    """ln(1 + x), accurate near 0, element by element."""

def log2(x: ArrayLike, **options: Unpack[UfuncOptions]) -> Tensor:
    """The logarithm to base 2, element by element."""

def logaddexp(x: ArrayLike, y: ArrayLike, **options: Unpack[UfuncOptions]) -> Tensor:
    """ln(e^x + e^y) without overflow, element by element."""

def logaddexp2(x: ArrayLike, y: ArrayLike, **options: Unpack[UfuncOptions]) -> Tensor:
    """log₂(2^x + 2^y) without overflow, element by element."""

def logcumsumexp(array: ArrayLike, axis: builtins.int = 0, dtype: DTypeLike | None = None) -> Tensor:
    """The logarithm of the running sum of exponentials, as `np.logaddexp.accumulate` gives it, without overflow."""

def logical_and(x: ArrayLike, y: ArrayLike, **options: Unpack[UfuncOptions]) -> Tensor:
    """x and y, element by element. Returns a tensor without gradient."""

def logical_not(x: ArrayLike, **options: Unpack[UfuncOptions]) -> Tensor:
    """Not x, element by element. Returns a tensor without gradient."""

def logical_or(x: ArrayLike, y: ArrayLike, **options: Unpack[UfuncOptions]) -> Tensor:
    """x or y, element by element. Returns a tensor without gradient."""

def logical_xor(x: ArrayLike, y: ArrayLike, **options: Unpack[UfuncOptions]) -> Tensor:
    """Either x or y, element by element. Returns a tensor without gradient."""

def logspace(start: ArrayLike, stop: ArrayLike, num: builtins.int = 50, endpoint: builtins.bool = True, base: ArrayLike = 10.0, dtype: DTypeLike | None = None, axis: builtins.int = 0) -> Tensor:
    """`num` numbers at equal ratios from `base` to the power of `start` to `base` to the power of `stop`, as a tensor."""

def logsumexp(a: ArrayLike, axis: Axis = None, *, keepdims: builtins.bool = False, initial: ArrayLike | None = None, where: ArrayLike = True) -> Tensor:
    """The logarithm of the sum of exponentials over `axis`, without overflow; -inf of no elements. The gradient of a row of -inf alone is 0."""

def lstm(x: ArrayLike, h0: ArrayLike, c0: ArrayLike, w_ih: ArrayLike, w_hh: ArrayLike, b_ih: ArrayLike | None = None, b_hh: ArrayLike | None = None, w_hr: ArrayLike | None = None, lengths: ArrayLike | None = None, reverse: builtins.bool = False) -> tuple[Tensor, Tensor, Tensor]:
    """A layer of long short-term memory over whole sequences. With a = x[t] @ w_ihᵀ + b_ih + hₜ₋₁ @ w_hhᵀ + b_hh in four blocks,"""

def lstm_cell(x: ArrayLike, h: ArrayLike, c: ArrayLike, w_ih: ArrayLike, w_hh: ArrayLike, b_ih: ArrayLike | None = None, b_hh: ArrayLike | None = None) -> tuple[Tensor, Tensor]:
    """One turn of `lstm`."""

def matmul(x: ArrayLike, y: ArrayLike, *, axes: Sequence[builtins.int | tuple[builtins.int, ...]] | None = None, axis: builtins.int | None = None, keepdims: builtins.bool | None = None, **options: Any) -> Tensor:
    """The matrix product x @ y, with vectors and broadcast batches as `np.matmul`."""

def matrix_transpose(x: ArrayLike) -> Tensor:
    """The last two axes exchanged: the transpose of each matrix of a stack."""

def matvec(x1: ArrayLike, x2: ArrayLike, *, axes: Sequence[builtins.int | tuple[builtins.int, ...]] | None = None, axis: builtins.int | None = None, keepdims: builtins.bool | None = None, **options: Any) -> Tensor:
    """The products of a stack of matrices with a stack of vectors (columns); the axes beside these broadcast."""

def max(a: ArrayLike, axis: Axis = None, *, keepdims: builtins.bool = False, initial: ArrayLike | None = None, where: ArrayLike = True, out: Tensor | np.ndarray[Any, Any] | None = None) -> Tensor:
    """The largest element over `axis`; equal ones share the gradient evenly (`initial`, if equal, has half of it)."""

def maximum(x: ArrayLike, y: ArrayLike, **options: Unpack[UfuncOptions]) -> Tensor:
    """The larger of x and y; the gradient of a tie is shared in halves, element by element."""

def mean(a: ArrayLike, axis: Axis = None, dtype: DTypeLike | None = None, *, keepdims: builtins.bool = False, where: ArrayLike = True, out: Tensor | np.ndarray[Any, Any] | None = None) -> Tensor:
    """The arithmetic mean over `axis`."""

def median(a: ArrayLike, axis: Axis = None, *, overwrite_input: builtins.bool = False, keepdims: builtins.bool = False, out: Tensor | np.ndarray[Any, Any] | None = None) -> Tensor:
    """The median over `axis`. A slice with a nan has the median nan, and gradient 0."""

def meshgrid(*xi: ArrayLike, copy: builtins.bool = True, sparse: builtins.bool = False, indexing: str = 'xy') -> tuple[Tensor, ...]:
    """Coordinates of the points of a grid, from the coordinates along each axis."""

def min(a: ArrayLike, axis: Axis = None, *, keepdims: builtins.bool = False, initial: ArrayLike | None = None, where: ArrayLike = True, out: Tensor | np.ndarray[Any, Any] | None = None) -> Tensor:
    """The smallest element over `axis`; equal ones share the gradient evenly (`initial`, if equal, has half of it)."""

def minimum(x: ArrayLike, y: ArrayLike, **options: Unpack[UfuncOptions]) -> Tensor:
    """The smaller of x and y; the gradient of a tie is shared in halves, element by element."""

def mod(x: ArrayLike, y: ArrayLike, **options: Unpack[UfuncOptions]) -> Tensor:
    """The remainder x - y * floor(x / y), of the sign of y, element by element."""

def modf(x: ArrayLike, **options: Unpack[UfuncOptions]) -> tuple[Tensor, Tensor]:
    """The fractional and the whole part, both of the sign of x, element by element. The gradient of the whole part is 0."""

def moveaxis(a: ArrayLike, source: builtins.int | Sequence[builtins.int], destination: builtins.int | Sequence[builtins.int]) -> Tensor:
    """Axes moved to other positions, the rest in order."""

def multiply(x: ArrayLike, y: ArrayLike, **options: Unpack[UfuncOptions]) -> Tensor:
    """The product x * y, element by element."""

def nan_to_num(x: ArrayLike, copy: builtins.bool = True, nan: ArrayLike = 0.0, posinf: ArrayLike | None = None, neginf: ArrayLike | None = None) -> Tensor:
    """An array with its nan and infinite elements replaced; of complex numbers each part by itself."""

def nanargmax(a: ArrayLike, axis: builtins.int | None = None, *, keepdims: builtins.bool = False, out: Tensor | np.ndarray[Any, Any] | None = None) -> Tensor:
    """The index of the largest element along `axis` that is not nan. Returns a tensor without gradient."""

def nanargmin(a: ArrayLike, axis: builtins.int | None = None, *, keepdims: builtins.bool = False, out: Tensor | np.ndarray[Any, Any] | None = None) -> Tensor:
    """The index of the smallest element along `axis` that is not nan. Returns a tensor without gradient."""

def nancumprod(a: ArrayLike, axis: builtins.int | None = None, dtype: DTypeLike | None = None, *, out: Tensor | np.ndarray[Any, Any] | None = None) -> Tensor:
    """The running product where nan counts as 1; its gradient there is 0. Arguments as for `cumprod`."""

def nancumsum(a: ArrayLike, axis: builtins.int | None = None, dtype: DTypeLike | None = None, *, out: Tensor | np.ndarray[Any, Any] | None = None) -> Tensor:
    """The running sum where nan counts as 0; its gradient there is 0. Arguments as for `cumsum`."""

def nanmax(a: ArrayLike, axis: Axis = None, *, keepdims: builtins.bool = False, initial: ArrayLike | None = None, where: ArrayLike = True, out: Tensor | np.ndarray[Any, Any] | None = None) -> Tensor:
    """The largest element that is not nan; nan, with NumPy's warning, if all are. Equal ones share the gradient evenly. Elements that are nan have gradient 0."""

def nanmean(a: ArrayLike, axis: Axis = None, dtype: DTypeLike | None = None, *, keepdims: builtins.bool = False, where: ArrayLike = True, out: Tensor | np.ndarray[Any, Any] | None = None) -> Tensor:
    """The mean of the elements that are not nan; nan, with NumPy's warning, if all are. Elements that are nan have gradient 0."""

def nanmedian(a: ArrayLike, axis: Axis = None, *, overwrite_input: builtins.bool = False, keepdims: builtins.bool = False, out: Tensor | np.ndarray[Any, Any] | None = None) -> Tensor:
    """The median over `axis`. Elements that are nan are passed over; of nan alone it is nan, with NumPy's warning and gradient 0."""

def nanmin(a: ArrayLike, axis: Axis = None, *, keepdims: builtins.bool = False, initial: ArrayLike | None = None, where: ArrayLike = True, out: Tensor | np.ndarray[Any, Any] | None = None) -> Tensor:
    """The smallest element that is not nan; nan, with NumPy's warning, if all are. Equal ones share the gradient evenly. Elements that are nan have gradient 0."""

def nanpercentile(a: ArrayLike, q: ArrayLike, axis: Axis = None, *, overwrite_input: builtins.bool = False, method: str = 'linear', keepdims: builtins.bool = False, weights: ArrayLike | None = None, out: Tensor | np.ndarray[Any, Any] | None = None) -> Tensor:
    """The percentiles `q` of the values over `axis`. Elements that are nan are passed over; of nan alone it is nan, with NumPy's warning and gradient 0."""

def nanprod(a: ArrayLike, axis: Axis = None, dtype: DTypeLike | None = None, *, keepdims: builtins.bool = False, initial: ArrayLike | None = None, where: ArrayLike = True, out: Tensor | np.ndarray[Any, Any] | None = None) -> Tensor:
    """The product of the elements that are not nan, with gradient 0 at those that are; 1 if all are nan."""

def nanquantile(a: ArrayLike, q: ArrayLike, axis: Axis = None, *, overwrite_input: builtins.bool = False, method: str = 'linear', keepdims: builtins.bool = False, weights: ArrayLike | None = None, out: Tensor | np.ndarray[Any, Any] | None = None) -> Tensor:
    """The quantiles `q` of the values over `axis`. Elements that are nan are passed over; of nan alone it is nan, with NumPy's warning and gradient 0."""

def nanstd(a: ArrayLike, axis: Axis = None, dtype: DTypeLike | None = None, *, ddof: builtins.float = 0, keepdims: builtins.bool = False, where: ArrayLike = True, mean: ArrayLike | None = None, correction: builtins.float | None = None, out: Tensor | np.ndarray[Any, Any] | None = None) -> Tensor:
    """The standard deviation of the elements that are not nan, the square root of `nanvar`; its gradient is 0 where it is 0. Elements that are nan have gradient 0."""

def nansum(a: ArrayLike, axis: Axis = None, dtype: DTypeLike | None = None, *, keepdims: builtins.bool = False, initial: ArrayLike | None = None, where: ArrayLike = True, out: Tensor | np.ndarray[Any, Any] | None = None) -> Tensor:
    """The sum of the elements that are not nan, with gradient 0 at those that are; 0 if all are nan."""

def nanvar(a: ArrayLike, axis: Axis = None, dtype: DTypeLike | None = None, *, ddof: builtins.float = 0, keepdims: builtins.bool = False, where: ArrayLike = True, mean: ArrayLike | None = None, correction: builtins.float | None = None, out: Tensor | np.ndarray[Any, Any] | None = None) -> Tensor:
    """The variance of the elements that are not nan; nan, with NumPy's warning and gradient 0, where n ≤ ddof. Elements that are nan have gradient 0."""

def negative(x: ArrayLike, **options: Unpack[UfuncOptions]) -> Tensor:
    """The negative -x, element by element."""

def nextafter(x: ArrayLike, y: ArrayLike, **options: Unpack[UfuncOptions]) -> Tensor:
    """The next number of the dtype after x in the direction of y, element by element. Returns a tensor without gradient."""

def nonzero(a: ArrayLike) -> tuple[Tensor, ...]:
    """The indices of the elements that are not zero: a tuple with one array per axis. Returns tensors without gradient."""

def not_equal(x: ArrayLike, y: ArrayLike, **options: Unpack[UfuncOptions]) -> Tensor:
    """Whether x != y, element by element. Returns a tensor without gradient."""

def ones(shape: builtins.int | Sequence[builtins.int], dtype: DTypeLike | None = None, order: Order = 'C', *, device: object | None = None, like: Tensor | None = None) -> Tensor:
    """Ones, as a tensor; the arguments are those of `zeros`."""

def ones_like(a: ArrayLike, dtype: DTypeLike | None = None, *, shape: builtins.int | Sequence[builtins.int] | None = None, order: str = 'K', subok: builtins.bool = True, device: Any = None) -> Tensor:
    """Ones of the shape and dtype of `a`, or of those given."""

def outer(a: ArrayLike, b: ArrayLike, *, out: Tensor | np.ndarray[Any, Any] | None = None) -> Tensor:
    """Every element of `a` times every element of `b`: a matrix with a row for each of `a`."""

def packbits(a: ArrayLike, axis: builtins.int | None = None, bitorder: Literal['big', 'little'] = 'big') -> Tensor:
    """Each eight elements as the bits of one byte: 1 where they are not zero. Returns a tensor without gradient."""

def pad(array: ArrayLike, pad_width: Widths, mode: str = 'constant', **options: Any) -> Tensor:
    """An array with a border, along one axis after the other."""

def partition(a: ArrayLike, kth: ArrayLike, axis: builtins.int | None = -1, kind: Literal['introselect'] = 'introselect', order: None = None) -> Tensor:
    """The elements in an order in which each of the elements `kth` stands where it would if `a` were sorted, smaller ones before it and larger ones behind."""

def percentile(a: ArrayLike, q: ArrayLike, axis: Axis = None, *, overwrite_input: builtins.bool = False, method: str = 'linear', keepdims: builtins.bool = False, weights: ArrayLike | None = None, out: Tensor | np.ndarray[Any, Any] | None = None) -> Tensor:
    """The percentiles `q` of the values over `axis`. A slice with a nan has the percentile nan, and gradient 0."""

def permute_dims(a: ArrayLike, axes: Sequence[builtins.int] | None = None) -> Tensor:
    """The axes in another order; reversed by default."""

def piecewise(x: ArrayLike, condlist: ArrayLike, funclist: Sequence[object], *args: ArrayLike, **kw: Any) -> Tensor:
    """A function in pieces: each of `funclist` applied to the elements of `x` where its condition holds."""

def place(arr: ArrayLike, mask: ArrayLike, vals: ArrayLike) -> None:
    """Write values one after the other to where a mask holds, in place."""

def poly(seq_of_zeros: ArrayLike) -> Tensor:
    """The polynomial with given roots, or the characteristic polynomial of a square matrix; its first coefficient is 1."""

def polyadd(a1: ArrayLike, a2: ArrayLike) -> Tensor:
    """The sum of two polynomials."""

def polyder(p: ArrayLike, m: builtins.int = 1) -> Tensor:
    """The coefficients of the m-th derivative of a polynomial."""

def polydiv(u: ArrayLike, v: ArrayLike) -> tuple[Tensor, Tensor]:
    """Division with remainder."""

@overload
def polyfit(x: ArrayLike, y: ArrayLike, deg: builtins.int, rcond: builtins.float | None = None, full: Literal[False] = False, w: ArrayLike | None = None, cov: Literal[False] = False) -> Tensor:
    """The polynomial of a degree that fits points best, by least squares. Differentiable by `x`, `y` and `w`."""

@overload
def polyfit(x: ArrayLike, y: ArrayLike, deg: builtins.int, rcond: builtins.float | None = None, full: Literal[False] = False, w: ArrayLike | None = None, *, cov: Literal[True]) -> tuple[Tensor, Tensor]:
    """The polynomial of a degree that fits points best, by least squares. Differentiable by `x`, `y` and `w`."""

@overload
def polyfit(x: ArrayLike, y: ArrayLike, deg: builtins.int, rcond: builtins.float | None = None, *, full: Literal[True], w: ArrayLike | None = None, cov: Literal[False] = False) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """The polynomial of a degree that fits points best, by least squares. Differentiable by `x`, `y` and `w`."""

@overload
def polyfit(x: ArrayLike, y: ArrayLike, deg: builtins.int, rcond: builtins.float | None = None, *, full: Literal[True], w: ArrayLike | None = None, cov: Literal[True]) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """The polynomial of a degree that fits points best, by least squares. Differentiable by `x`, `y` and `w`."""

@overload
def polyfit(x: ArrayLike, y: ArrayLike, deg: builtins.int, rcond: builtins.float | None = None, full: builtins.bool = False, w: ArrayLike | None = None, cov: builtins.bool | str = False) -> Any:
    """The polynomial of a degree that fits points best, by least squares. Differentiable by `x`, `y` and `w`."""

def polyint(p: ArrayLike, m: builtins.int = 1, k: ArrayLike | None = None) -> Tensor:
    """The coefficients of the m-th antiderivative of a polynomial."""

def polymul(a1: ArrayLike, a2: ArrayLike) -> Tensor:
    """The product of two polynomials. Zeros in front are left out of the result, as NumPy does."""

def polysub(a1: ArrayLike, a2: ArrayLike) -> Tensor:
    """The difference of two polynomials; the arguments and errors are those of `polyadd`."""

def polyval(p: ArrayLike, x: ArrayLike) -> Tensor:
    """The values of a polynomial, by Horner's rule."""

def positive(x: ArrayLike, **options: Unpack[UfuncOptions]) -> Tensor:
    """The argument itself, +x, element by element."""

def pow(x: ArrayLike, y: ArrayLike, **options: Unpack[UfuncOptions]) -> Tensor:
    """The power x ** y, element by element."""

def power(x: ArrayLike, y: ArrayLike, **options: Unpack[UfuncOptions]) -> Tensor:
    """The power x ** y, element by element."""

def prod(a: ArrayLike, axis: Axis = None, dtype: DTypeLike | None = None, *, keepdims: builtins.bool = False, initial: ArrayLike | None = None, where: ArrayLike = True, out: Tensor | np.ndarray[Any, Any] | None = None) -> Tensor:
    """The product of the elements over `axis`. The gradient is right with zeros among them."""

def ptp(a: ArrayLike, axis: Axis = None, *, keepdims: builtins.bool = False, out: Tensor | np.ndarray[Any, Any] | None = None) -> Tensor:
    """The range of the values over `axis`: the largest less the smallest, each with its gradient."""

def put(a: ArrayLike, ind: ArrayLike, v: ArrayLike, mode: str = 'raise') -> None:
    """Write values to elements of `a`, in place."""

def put_along_axis(arr: ArrayLike, indices: ArrayLike, values: ArrayLike, axis: builtins.int | None) -> None:
    """Write values, for each position along the other axes, to the elements `indices` along `axis`, in place."""

def putmask(a: ArrayLike, mask: ArrayLike, values: ArrayLike) -> None:
    """Write to where a mask holds the values that stand in the same places, in place."""

def quantile(a: ArrayLike, q: ArrayLike, axis: Axis = None, *, overwrite_input: builtins.bool = False, method: str = 'linear', keepdims: builtins.bool = False, weights: ArrayLike | None = None, out: Tensor | np.ndarray[Any, Any] | None = None) -> Tensor:
    """The quantiles `q` of the values over `axis`. A slice with a nan has the quantile nan, and gradient 0."""

def quantized_linear(x: ArrayLike, weight: ArrayLike, scale: ArrayLike, bias: ArrayLike | None = None) -> Tensor:
    """The affine map of weights stored as 8-bit integers with one scale for each output, as `nn.quantized.Linear` has them. The integers become floats some rows at a time, in a buffer that fits a cache; there is never a whole float copy."""

def rad2deg(x: ArrayLike, **options: Unpack[UfuncOptions]) -> Tensor:
    """An angle in radians, in degrees; also called `rad2deg`, element by element."""

def radians(x: ArrayLike, **options: Unpack[UfuncOptions]) -> Tensor:
    """An angle in degrees, in radians; also called `deg2rad`, element by element."""

def ravel(a: ArrayLike, order: str = 'C') -> Tensor:
    """All elements in one axis."""

def ravel_multi_index(multi_index: ArrayLike, dims: builtins.int | Sequence[builtins.int], mode: Literal['raise', 'wrap', 'clip'] = 'raise', order: Literal['C', 'F'] = 'C') -> Tensor:
    """The flat indices of elements whose indices along each axis are given. Returns a tensor without gradient."""

def real(val: ArrayLike) -> Tensor:
    """The real part, element by element: a real array. A real number is its own."""

def real_if_close(a: ArrayLike, tol: builtins.float = 100) -> Tensor:
    """The real parts, if all imaginary parts are close to zero; else the array as it is."""

def reciprocal(x: ArrayLike, **options: Unpack[UfuncOptions]) -> Tensor:
    """The reciprocal 1 / x, element by element."""

def remainder(x: ArrayLike, y: ArrayLike, **options: Unpack[UfuncOptions]) -> Tensor:
    """The remainder x - y * floor(x / y), of the sign of y, element by element."""

def repeat(a: ArrayLike, repeats: ArrayLike, axis: builtins.int | None = None) -> Tensor:
    """Each element repeated, next to itself, along an axis."""

def require(a: ArrayLike, dtype: DTypeLike | None = None, requirements: str | Sequence[str] | None = None, *, like: Tensor | None = None) -> Tensor:
    """`asarray` with promises about memory."""

def reshape(a: ArrayLike, shape: builtins.int | Sequence[builtins.int], order: str = 'C', *, copy: builtins.bool | None = None) -> Tensor:
    """The same values in another shape; one length may be -1."""

def resize(a: ArrayLike, new_shape: builtins.int | Sequence[builtins.int]) -> Tensor:
    """The elements in another shape, over again from the first where they are too few; zeros if there are none."""

def right_shift(x: ArrayLike, y: ArrayLike, **options: Unpack[UfuncOptions]) -> Tensor:
    """The bits of x moved y places down; also called `bitwise_right_shift`, element by element. Returns a tensor without gradient."""

def rint(x: ArrayLike, **options: Unpack[UfuncOptions]) -> Tensor:
    """The nearest integer, ties to even, element by element. The gradient is 0."""

def rnn(x: ArrayLike, h0: ArrayLike, w_ih: ArrayLike, w_hh: ArrayLike, b_ih: ArrayLike | None = None, b_hh: ArrayLike | None = None, nonlinearity: str = 'tanh', lengths: ArrayLike | None = None, reverse: builtins.bool = False) -> tuple[Tensor, Tensor]:
    """A simple recurrent layer over whole sequences: hₜ = tanh(x[t] @ w_ihᵀ + b_ih + hₜ₋₁ @ w_hhᵀ + b_hh). Elman 1990, "Finding structure in time"."""

def rnn_relu_cell(x: ArrayLike, h: ArrayLike, w_ih: ArrayLike, w_hh: ArrayLike, b_ih: ArrayLike | None = None, b_hh: ArrayLike | None = None) -> Tensor:
    """One turn of `rnn` with relu: max(x @ w_ihᵀ + b_ih + h @ w_hhᵀ + b_hh, 0). Arguments as for `rnn_tanh_cell`."""

def rnn_tanh_cell(x: ArrayLike, h: ArrayLike, w_ih: ArrayLike, w_hh: ArrayLike, b_ih: ArrayLike | None = None, b_hh: ArrayLike | None = None) -> Tensor:
    """One turn of `rnn`: tanh(x @ w_ihᵀ + b_ih + h @ w_hhᵀ + b_hh)."""

def roll(a: ArrayLike, shift: ArrayLike, axis: Axis = None) -> Tensor:
    """The elements moved along axes; those that leave at one end come in at the other."""

def rollaxis(a: ArrayLike, axis: builtins.int, start: builtins.int = 0) -> Tensor:
    """An axis moved to before the one that is at position `start` now. `moveaxis` says it more plainly."""

def roots(p: ArrayLike) -> Tensor:
    """The roots of a polynomial, from the eigenvalues of its companion matrix."""

def rot90(m: ArrayLike, k: builtins.int = 1, axes: tuple[builtins.int, builtins.int] = ...) -> Tensor:
    """An array turned by `k` right angles in the plane of two axes, from the first towards the second."""

def round(a: ArrayLike, decimals: builtins.int = 0, *, out: Tensor | np.ndarray[Any, Any] | None = None) -> Tensor:
    """The nearest number with so many decimals, halves to the even one, element by element; also called `around`. The gradient is 0."""

def row_stack(tup: Sequence[ArrayLike], *, dtype: DTypeLike | None = None, casting: str = 'same_kind') -> Tensor:
    """Arrays joined one below the other: along the first axis, those of one axis as rows."""

def safe_mul(a: ArrayLike, d: ArrayLike) -> Tensor:
    """The product a * d, but 0 wherever a factor is 0, also where the other is infinite or nan."""

def scatter_add(values: ArrayLike, index: ArrayLike, shape: Shape) -> Tensor:
    """Zeros of the given shape with `values` added at `index`; repeated positions accumulate."""

def searchsorted(a: ArrayLike, v: ArrayLike, side: Literal['left', 'right'] = 'left', sorter: ArrayLike | None = None) -> Tensor:
    """The indices before which `v` would have to be inserted into `a` to keep it sorted. Returns a tensor without gradient."""

def select(condlist: ArrayLike, choicelist: Sequence[ArrayLike], default: ArrayLike = 0) -> Tensor:
    """Element by element, that of the first choice whose condition holds, or of `default` where none does."""

def setdiff1d(ar1: ArrayLike, ar2: ArrayLike, assume_unique: builtins.bool = False) -> Tensor:
    """The distinct elements of `ar1` that are not in `ar2`, in rising order. Equal ones share the gradient evenly."""

def setxor1d(ar1: ArrayLike, ar2: ArrayLike, assume_unique: builtins.bool = False) -> Tensor:
    """The distinct elements that are in one of two arrays alone, in rising order. Equal ones share the gradient evenly."""

def sign(x: ArrayLike, **options: Any) -> Tensor:
    """The sign of x, element by element: -1, 0 or 1; of a complex number x / |x|, and 0 at 0."""

def signbit(x: ArrayLike, **options: Unpack[UfuncOptions]) -> Tensor:
    """Whether the sign of x is negative, element by element. Returns a tensor without gradient."""

def sin(x: ArrayLike, **options: Unpack[UfuncOptions]) -> Tensor:
    """The sine, of radians, element by element."""

def sinc(x: ArrayLike) -> Tensor:
    """sin(πx) / (πx), and 1 at x = 0, element by element."""

def sinh(x: ArrayLike, **options: Unpack[UfuncOptions]) -> Tensor:
    """The hyperbolic sine, element by element."""

def sliding_window_view(x: ArrayLike, window_shape: builtins.int | Sequence[builtins.int], axis: Axis = None, *, subok: builtins.bool = False) -> Tensor:
    """All windows of a shape that fit into an array, as a view; `np.lib.stride_tricks.sliding_window_view`."""

def sort(a: ArrayLike, axis: builtins.int | None = -1, kind: SortKind | None = None, order: str | None = None, *, stable: builtins.bool | None = None, descending: builtins.bool = False) -> Tensor:
    """The elements in rising order along an axis (None: all elements in one)."""

def sort_complex(a: ArrayLike) -> Tensor:
    """The elements in rising order along the last axis, by real and then by imaginary part, as complex numbers."""

def spacing(x: ArrayLike, **options: Unpack[UfuncOptions]) -> Tensor:
    """The distance from x to the next number of the dtype, away from 0, element by element. Returns a tensor without gradient."""

def split(ary: ArrayLike, indices_or_sections: ArrayLike, axis: builtins.int = 0) -> list[Tensor]:
    """Split into equal sections, or before the given indices, along an axis."""

def sqrt(x: ArrayLike, **options: Unpack[UfuncOptions]) -> Tensor:
    """The square root, element by element."""

def square(x: ArrayLike, **options: Unpack[UfuncOptions]) -> Tensor:
    """The square x², element by element."""

def squeeze(a: ArrayLike, axis: Axis = None) -> Tensor:
    """Axes of length one removed: all, or those of `axis`."""

def stack(arrays: ArrayLike, axis: builtins.int = 0, *, dtype: DTypeLike | None = None, casting: str = 'same_kind', out: Tensor | np.ndarray[Any, Any] | None = None) -> Tensor:
    """Arrays of one shape joined along a new axis."""

def std(a: ArrayLike, axis: Axis = None, dtype: DTypeLike | None = None, *, ddof: builtins.float = 0, keepdims: builtins.bool = False, where: ArrayLike = True, mean: ArrayLike | None = None, correction: builtins.float | None = None, out: Tensor | np.ndarray[Any, Any] | None = None) -> Tensor:
    """The standard deviation over `axis`, the square root of `var`; its gradient is 0 where it is 0."""

def stop_gradient(x: ArrayLike) -> Tensor:
    """A copy of x that counts as a constant: no gradient flows through it. For arrays and tensors alike, where `t.detach()` is for tensors alone."""

def subtract(x: ArrayLike, y: ArrayLike, **options: Unpack[UfuncOptions]) -> Tensor:
    """The difference x - y, element by element."""

def sum(a: ArrayLike, axis: Axis = None, dtype: DTypeLike | None = None, *, keepdims: builtins.bool = False, initial: ArrayLike | None = None, where: ArrayLike = True, out: Tensor | np.ndarray[Any, Any] | None = None) -> Tensor:
    """The sum of the elements over `axis`; `dtype` is that of the result."""

def swapaxes(a: ArrayLike, axis1: builtins.int, axis2: builtins.int) -> Tensor:
    """Two axes exchanged."""

def take(a: ArrayLike, indices: ArrayLike, axis: builtins.int | None = None, mode: Literal['raise', 'wrap', 'clip'] = 'raise', *, out: Tensor | np.ndarray[Any, Any] | None = None) -> Tensor:
    """The elements of `a` at `indices` along an axis."""

def take_along_axis(arr: ArrayLike, indices: ArrayLike, axis: builtins.int | None = -1) -> Tensor:
    """For each position along the other axes, the elements of `arr` at `indices` along `axis`: what `argsort`, `argmax(..., keepdims=True)` and the like return selects what they found."""

def tan(x: ArrayLike, **options: Unpack[UfuncOptions]) -> Tensor:
    """The tangent, of radians, element by element."""

def tensordot(a: ArrayLike, b: ArrayLike, axes: builtins.int | Sequence[builtins.int | Sequence[builtins.int]] = 2) -> Tensor:
    """The sum of products over pairs of axes, as one matrix product."""

def tile(A: ArrayLike, reps: ArrayLike) -> Tensor:
    """An array repeated as a whole, `reps` times along each axis."""

def trace(a: ArrayLike, offset: builtins.int = 0, axis1: builtins.int = 0, axis2: builtins.int = 1, dtype: DTypeLike | None = None, *, out: Tensor | np.ndarray[Any, Any] | None = None) -> Tensor:
    """The sum of the diagonal of a matrix, or of each matrix that two axes span; the arguments are those of `diagonal`, and the dtype of the sum."""

def transpose(a: ArrayLike, axes: Sequence[builtins.int] | None = None) -> Tensor:
    """The axes in another order; reversed by default."""

def trapezoid(y: ArrayLike, x: ArrayLike | None = None, dx: ArrayLike = 1.0, axis: builtins.int = -1) -> Tensor:
    """The integral of a sampled function along an axis, by the trapezoidal rule."""

def tri(N: builtins.int, M: builtins.int | None = None, k: builtins.int = 0, dtype: DTypeLike = ..., *, like: Tensor | None = None) -> Tensor:
    """Ones on a diagonal and below it, zeros above, as a tensor; the arguments are those of `eye`."""

def tril(m: ArrayLike, k: builtins.int = 0) -> Tensor:
    """A matrix, or each of a stack, with zeros above the `k`-th diagonal. A vector stands for a matrix of equal rows."""

def trim_zeros(filt: ArrayLike, trim: str = 'fb', axis: Axis = None) -> Tensor:
    """An array without the zeros at its ends."""

def triu(m: ArrayLike, k: builtins.int = 0) -> Tensor:
    """A matrix, or each of a stack, with zeros below the `k`-th diagonal. A vector stands for a matrix of equal rows."""

def true_divide(x: ArrayLike, y: ArrayLike, **options: Unpack[UfuncOptions]) -> Tensor:
    """The quotient x / y, element by element."""

def trunc(x: ArrayLike, **options: Unpack[UfuncOptions]) -> Tensor:
    """The integer part of x, element by element. The gradient is 0."""

def union1d(ar1: ArrayLike, ar2: ArrayLike) -> Tensor:
    """The distinct elements of two arrays in rising order. Equal ones, also of both arrays, share the gradient of their value evenly."""

@overload
def unique(ar: ArrayLike, return_index: Literal[False] = False, return_inverse: Literal[False] = False, return_counts: Literal[False] = False, axis: builtins.int | None = None, *, equal_nan: builtins.bool = True, sorted: builtins.bool = True) -> Tensor:
    """The distinct elements in rising order, and on request where they stand."""

@overload
def unique(ar: ArrayLike, return_index: Literal[False] = False, return_inverse: Literal[False] = False, *, return_counts: Literal[True], axis: builtins.int | None = None, equal_nan: builtins.bool = True, sorted: builtins.bool = True) -> tuple[Tensor, Tensor]:
    """The distinct elements in rising order, and on request where they stand."""

@overload
def unique(ar: ArrayLike, return_index: Literal[False] = False, *, return_inverse: Literal[True], return_counts: Literal[False] = False, axis: builtins.int | None = None, equal_nan: builtins.bool = True, sorted: builtins.bool = True) -> tuple[Tensor, Tensor]:
    """The distinct elements in rising order, and on request where they stand."""

@overload
def unique(ar: ArrayLike, return_index: Literal[False] = False, *, return_inverse: Literal[True], return_counts: Literal[True], axis: builtins.int | None = None, equal_nan: builtins.bool = True, sorted: builtins.bool = True) -> tuple[Tensor, Tensor, Tensor]:
    """The distinct elements in rising order, and on request where they stand."""

@overload
def unique(ar: ArrayLike, *, return_index: Literal[True], return_inverse: Literal[False] = False, return_counts: Literal[False] = False, axis: builtins.int | None = None, equal_nan: builtins.bool = True, sorted: builtins.bool = True) -> tuple[Tensor, Tensor]:
    """The distinct elements in rising order, and on request where they stand."""

@overload
def unique(ar: ArrayLike, *, return_index: Literal[True], return_inverse: Literal[False] = False, return_counts: Literal[True], axis: builtins.int | None = None, equal_nan: builtins.bool = True, sorted: builtins.bool = True) -> tuple[Tensor, Tensor, Tensor]:
    """The distinct elements in rising order, and on request where they stand."""

@overload
def unique(ar: ArrayLike, *, return_index: Literal[True], return_inverse: Literal[True], return_counts: Literal[False] = False, axis: builtins.int | None = None, equal_nan: builtins.bool = True, sorted: builtins.bool = True) -> tuple[Tensor, Tensor, Tensor]:
    """The distinct elements in rising order, and on request where they stand."""

@overload
def unique(ar: ArrayLike, *, return_index: Literal[True], return_inverse: Literal[True], return_counts: Literal[True], axis: builtins.int | None = None, equal_nan: builtins.bool = True, sorted: builtins.bool = True) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """The distinct elements in rising order, and on request where they stand."""

@overload
def unique(ar: ArrayLike, return_index: builtins.bool = False, return_inverse: builtins.bool = False, return_counts: builtins.bool = False, axis: builtins.int | None = None, *, equal_nan: builtins.bool = True, sorted: builtins.bool = True) -> Any:
    """The distinct elements in rising order, and on request where they stand."""

class _UniqueAllResult(NamedTuple):
    values: Tensor
    indices: Tensor
    inverse_indices: Tensor
    counts: Tensor

def unique_all(x: ArrayLike, *, axis: builtins.int | None = None, equal_nan: builtins.bool = False) -> _UniqueAllResult:
    """The distinct elements in rising order, and where they stand."""

class _UniqueCountsResult(NamedTuple):
    values: Tensor
    counts: Tensor

def unique_counts(x: ArrayLike) -> _UniqueCountsResult:
    """The distinct elements in rising order, as `values`, and how often each occurs, as `counts`. Equal ones share the gradient of their value evenly; nan equals nothing."""

class _UniqueInverseResult(NamedTuple):
    values: Tensor
    inverse_indices: Tensor

def unique_inverse(x: ArrayLike) -> _UniqueInverseResult:
    """The distinct elements in rising order, as `values`, and for each element the index of its value, as `inverse_indices`. Equal ones share the gradient of their value evenly; nan equals nothing."""

def unique_values(x: ArrayLike, *, axis: builtins.int | None = None, equal_nan: builtins.bool = False) -> Tensor:
    """The distinct elements in rising order. Equal ones share the gradient of their value evenly."""

def unpackbits(a: ArrayLike, axis: builtins.int | None = None, count: builtins.int | None = None, bitorder: Literal['big', 'little'] = 'big') -> Tensor:
    """The eight bits of each byte, as bytes 0 and 1. Returns a tensor without gradient."""

def unravel_index(indices: ArrayLike, shape: builtins.int | Sequence[builtins.int], order: Literal['C', 'F'] = 'C') -> tuple[Tensor, ...]:
    """The indices along each axis of elements whose flat indices are given: a tuple with one array per axis. Returns tensors without gradient."""

def unstack(x: ArrayLike, *, axis: builtins.int = 0) -> tuple[Tensor, Tensor]:
    """The parts of an array along an axis, without that axis: what `stack` undoes."""

def unwrap(p: ArrayLike, discont: ArrayLike | builtins.float | None = None, axis: builtins.int = -1, *, period: ArrayLike | builtins.float = 6.283185307179586) -> Tensor:
    """Angles made continuous: where neighbours differ by more than half a period, periods are added from there on."""

def vander(x: ArrayLike, N: builtins.int | None = None, increasing: builtins.bool = False) -> Tensor:
    """The Vandermonde matrix: the powers of each element in a row."""

def var(a: ArrayLike, axis: Axis = None, dtype: DTypeLike | None = None, *, ddof: builtins.float = 0, keepdims: builtins.bool = False, where: ArrayLike = True, mean: ArrayLike | None = None, correction: builtins.float | None = None, out: Tensor | np.ndarray[Any, Any] | None = None) -> Tensor:
    """The variance over `axis`: the mean squared deviation, divided by n - ddof."""

def vdot(a: ArrayLike, b: ArrayLike) -> Tensor:
    """The inner product of two arrays of any shape as long vectors: Σ conj(a) · b."""

def vecdot(x1: ArrayLike, x2: ArrayLike, *, axes: Sequence[builtins.int | tuple[builtins.int, ...]] | None = None, axis: builtins.int | None = None, keepdims: builtins.bool | None = None, **options: Any) -> Tensor:
    """The dot products of two stacks of vectors: Σ conj(x1) · x2 over one axis; the other axes broadcast."""

def vecmat(x1: ArrayLike, x2: ArrayLike, *, axes: Sequence[builtins.int | tuple[builtins.int, ...]] | None = None, axis: builtins.int | None = None, keepdims: builtins.bool | None = None, **options: Any) -> Tensor:
    """The products of a stack of vectors (rows, conjugated if complex) with a stack of matrices; the axes beside these broadcast."""

def vsplit(ary: ArrayLike, indices_or_sections: builtins.int | Sequence[builtins.int]) -> list[Tensor]:
    """`split` along the first of two or more axes."""

def vstack(tup: Sequence[ArrayLike], *, dtype: DTypeLike | None = None, casting: str = 'same_kind') -> Tensor:
    """Arrays joined one below the other: along the first axis, those of one axis as rows."""

def where(condition: ArrayLike, x: ArrayLike, y: ArrayLike) -> Tensor:
    """Elements of `x` where `condition` is true, of `y` elsewhere; the three broadcast."""

def zeros(shape: builtins.int | Sequence[builtins.int], dtype: DTypeLike | None = None, order: Order = 'C', *, device: object | None = None, like: Tensor | None = None) -> Tensor:
    """Zeros, as a tensor."""

def zeros_like(a: ArrayLike, dtype: DTypeLike | None = None, *, shape: builtins.int | Sequence[builtins.int] | None = None, order: str = 'K', subok: builtins.bool = True, device: Any = None) -> Tensor:
    """Zeros of the shape and dtype of `a`, or of those given."""
