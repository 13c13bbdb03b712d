# Made by `python -m tests.stubs`.
from collections.abc import Callable
from collections.abc import Sequence
from numpy.typing import ArrayLike
from numpy.typing import DTypeLike
from tapenet.autodiff.tensor import Tensor as Tensor
from tapenet.nn.inplace_functions import batch_norm as batch_norm
from tapenet.nn.inplace_functions import embedding as embedding
from tapenet.nn.inplace_functions import embedding_bag as embedding_bag
from tapenet.nn.inplace_functions import instance_norm as instance_norm
from tapenet.nn.loss.reduced import reduced as reduced
from tapenet.ops.layers.convolution.geometry import Padding
from tapenet.ops.layers.convolution.geometry import Size
from tapenet.typing import Axis
from tapenet.typing import Number
from tapenet.typing import UfuncOptions
from typing import Any
from typing import Literal
from typing import Unpack
from typing import overload
import numpy as np

@overload
def adaptive_avg_pool1d(x: ArrayLike, output_size: int | tuple[int | None, ...] | list[int | None] | None) -> Tensor:
    """The mean of each part of the last axis, which are cut into as many parts as the result has elements."""

@overload
def adaptive_avg_pool1d(input: ArrayLike, output_size: int | tuple[int | None, ...] | list[int | None] | None) -> Tensor:
    """The mean of each part of the last axis, which are cut into as many parts as the result has elements."""

@overload
def adaptive_avg_pool2d(x: ArrayLike, output_size: int | tuple[int | None, ...] | list[int | None] | None) -> Tensor:
    """The mean of each part of the last two axes, which are cut into as many parts as the result has elements."""

@overload
def adaptive_avg_pool2d(input: ArrayLike, output_size: int | tuple[int | None, ...] | list[int | None] | None) -> Tensor:
    """The mean of each part of the last two axes, which are cut into as many parts as the result has elements."""

@overload
def adaptive_avg_pool3d(x: ArrayLike, output_size: int | tuple[int | None, ...] | list[int | None] | None) -> Tensor:
    """The mean of each part of the last three axes, which are cut into as many parts as the result has elements."""

@overload
def adaptive_avg_pool3d(input: ArrayLike, output_size: int | tuple[int | None, ...] | list[int | None] | None) -> Tensor:
    """The mean of each part of the last three axes, which are cut into as many parts as the result has elements."""

@overload
def adaptive_max_pool1d(x: ArrayLike, output_size: int | tuple[int | None, ...] | list[int | None] | None, return_indices: Literal[False] = False) -> Tensor:
    """The largest element of each part of the last axis, which are cut into as many parts as the result has elements; see `adaptive_avg_pool1d` for where they lie."""

@overload
def adaptive_max_pool1d(input: ArrayLike, output_size: int | tuple[int | None, ...] | list[int | None] | None, return_indices: Literal[False] = False) -> Tensor:
    """The largest element of each part of the last axis, which are cut into as many parts as the result has elements; see `adaptive_avg_pool1d` for where they lie."""

@overload
def adaptive_max_pool1d(x: ArrayLike, output_size: int | tuple[int | None, ...] | list[int | None] | None, *, return_indices: Literal[True]) -> tuple[Tensor, Tensor]:
    """The largest element of each part of the last axis, which are cut into as many parts as the result has elements; see `adaptive_avg_pool1d` for where they lie."""

@overload
def adaptive_max_pool1d(input: ArrayLike, output_size: int | tuple[int | None, ...] | list[int | None] | None, *, return_indices: Literal[True]) -> tuple[Tensor, Tensor]:
    """The largest element of each part of the last axis, which are cut into as many parts as the result has elements; see `adaptive_avg_pool1d` for where they lie."""

@overload
def adaptive_max_pool1d(x: ArrayLike, output_size: int | tuple[int | None, ...] | list[int | None] | None, return_indices: bool = False) -> Any:
    """The largest element of each part of the last axis, which are cut into as many parts as the result has elements; see `adaptive_avg_pool1d` for where they lie."""

@overload
def adaptive_max_pool1d(input: ArrayLike, output_size: int | tuple[int | None, ...] | list[int | None] | None, return_indices: bool = False) -> Any:
    """The largest element of each part of the last axis, which are cut into as many parts as the result has elements; see `adaptive_avg_pool1d` for where they lie."""

@overload
def adaptive_max_pool2d(x: ArrayLike, output_size: int | tuple[int | None, ...] | list[int | None] | None, return_indices: Literal[False] = False) -> Tensor:
    """The largest element of each part of the last two axes, which are cut into as many parts as the result has elements; see `adaptive_avg_pool2d` for where they lie."""

@overload
def adaptive_max_pool2d(input: ArrayLike, output_size: int | tuple[int | None, ...] | list[int | None] | None, return_indices: Literal[False] = False) -> Tensor:
    """The largest element of each part of the last two axes, which are cut into as many parts as the result has elements; see `adaptive_avg_pool2d` for where they lie."""

@overload
def adaptive_max_pool2d(x: ArrayLike, output_size: int | tuple[int | None, ...] | list[int | None] | None, *, return_indices: Literal[True]) -> tuple[Tensor, Tensor]:
    """The largest element of each part of the last two axes, which are cut into as many parts as the result has elements; see `adaptive_avg_pool2d` for where they lie."""

@overload
def adaptive_max_pool2d(input: ArrayLike, output_size: int | tuple[int | None, ...] | list[int | None] | None, *, return_indices: Literal[True]) -> tuple[Tensor, Tensor]:
    """The largest element of each part of the last two axes, which are cut into as many parts as the result has elements; see `adaptive_avg_pool2d` for where they lie."""

@overload
def adaptive_max_pool2d(x: ArrayLike, output_size: int | tuple[int | None, ...] | list[int | None] | None, return_indices: bool = False) -> Any:
    """The largest element of each part of the last two axes, which are cut into as many parts as the result has elements; see `adaptive_avg_pool2d` for where they lie."""

@overload
def adaptive_max_pool2d(input: ArrayLike, output_size: int | tuple[int | None, ...] | list[int | None] | None, return_indices: bool = False) -> Any:
    """The largest element of each part of the last two axes, which are cut into as many parts as the result has elements; see `adaptive_avg_pool2d` for where they lie."""

@overload
def adaptive_max_pool3d(x: ArrayLike, output_size: int | tuple[int | None, ...] | list[int | None] | None, return_indices: Literal[False] = False) -> Tensor:
    """The largest element of each part of the last three axes, which are cut into as many parts as the result has elements; see `adaptive_avg_pool3d` for where they lie."""

@overload
def adaptive_max_pool3d(input: ArrayLike, output_size: int | tuple[int | None, ...] | list[int | None] | None, return_indices: Literal[False] = False) -> Tensor:
    """The largest element of each part of the last three axes, which are cut into as many parts as the result has elements; see `adaptive_avg_pool3d` for where they lie."""

@overload
def adaptive_max_pool3d(x: ArrayLike, output_size: int | tuple[int | None, ...] | list[int | None] | None, *, return_indices: Literal[True]) -> tuple[Tensor, Tensor]:
    """The largest element of each part of the last three axes, which are cut into as many parts as the result has elements; see `adaptive_avg_pool3d` for where they lie."""

@overload
def adaptive_max_pool3d(input: ArrayLike, output_size: int | tuple[int | None, ...] | list[int | None] | None, *, return_indices: Literal[True]) -> tuple[Tensor, Tensor]:
    """The largest element of each part of the last three axes, which are cut into as many parts as the result has elements; see `adaptive_avg_pool3d` for where they lie."""

@overload
def adaptive_max_pool3d(x: ArrayLike, output_size: int | tuple[int | None, ...] | list[int | None] | None, return_indices: bool = False) -> Any:
    """The largest element of each part of the last three axes, which are cut into as many parts as the result has elements; see `adaptive_avg_pool3d` for where they lie."""

@overload
def adaptive_max_pool3d(input: ArrayLike, output_size: int | tuple[int | None, ...] | list[int | None] | None, return_indices: bool = False) -> Any:
    """The largest element of each part of the last three axes, which are cut into as many parts as the result has elements; see `adaptive_avg_pool3d` for where they lie."""

@overload
def affine_grid(theta: ArrayLike, size: Sequence[int], align_corners: bool | None = None) -> Tensor:
    """The grid by which `grid_sample` shows an affine map of an image: each place of the result times theta."""

@overload
def affine_grid(input: ArrayLike, size: Sequence[int], align_corners: bool | None = None) -> Tensor:
    """The grid by which `grid_sample` shows an affine map of an image: each place of the result times theta."""

@overload
def alibi_bias(num_heads: int, length: int, key_length: int | None = None, dtype: DTypeLike = ...) -> Tensor:
    """What ALiBi adds to the scores of attention: minus the distance between query and key times a slope for each head, 2^(-8i/n) for head i = 1 ... n. Press, Smith and Lewis, arXiv:2108.12409."""

@overload
def alibi_bias(input: int, length: int, key_length: int | None = None, dtype: DTypeLike = ...) -> Tensor:
    """What ALiBi adds to the scores of attention: minus the distance between query and key times a slope for each head, 2^(-8i/n) for head i = 1 ... n. Press, Smith and Lewis, arXiv:2108.12409."""

@overload
def alpha_dropout(x: ArrayLike, p: float = 0.5, training: bool = True, rng: np.random.Generator | int | None = None) -> Tensor:
    """Dropout for networks of `selu`: in training, each element is set to -α with probability `p`, and then all become a · x + a · α · p, with α = 1.7581, to which selu saturates, and a = 1/√((1 - p)(1 + p α²)), so that mean 0 and variance 1 stay; with p = 1 all is 0. Else `x` itself. Klambauer et al., arXiv:1706.02515."""

@overload
def alpha_dropout(input: ArrayLike, p: float = 0.5, training: bool = True, generator: np.random.Generator | int | None = None, *, inplace: bool = False) -> Tensor:
    """Dropout for networks of `selu`: in training, each element is set to -α with probability `p`, and then all become a · x + a · α · p, with α = 1.7581, to which selu saturates, and a = 1/√((1 - p)(1 + p α²)), so that mean 0 and variance 1 stay; with p = 1 all is 0. Else `x` itself. Klambauer et al., arXiv:1706.02515."""

@overload
def avg_pool1d(x: ArrayLike, kernel_size: Size, stride: Size | None = None, padding: Size = 0, ceil_mode: bool = False, count_include_pad: bool = True, divisor_override: int | None = None) -> Tensor:
    """The mean of each window of the last axis."""

@overload
def avg_pool1d(input: ArrayLike, kernel_size: Size, stride: Size | None = None, padding: Size = 0, ceil_mode: bool = False, count_include_pad: bool = True, divisor_override: int | None = None) -> Tensor:
    """The mean of each window of the last axis."""

@overload
def avg_pool2d(x: ArrayLike, kernel_size: Size, stride: Size | None = None, padding: Size = 0, ceil_mode: bool = False, count_include_pad: bool = True, divisor_override: int | None = None) -> Tensor:
    """The mean of each window of the last two axes."""

@overload
def avg_pool2d(input: ArrayLike, kernel_size: Size, stride: Size | None = None, padding: Size = 0, ceil_mode: bool = False, count_include_pad: bool = True, divisor_override: int | None = None) -> Tensor:
    """The mean of each window of the last two axes."""

@overload
def avg_pool3d(x: ArrayLike, kernel_size: Size, stride: Size | None = None, padding: Size = 0, ceil_mode: bool = False, count_include_pad: bool = True, divisor_override: int | None = None) -> Tensor:
    """The mean of each window of the last three axes."""

@overload
def avg_pool3d(input: ArrayLike, kernel_size: Size, stride: Size | None = None, padding: Size = 0, ceil_mode: bool = False, count_include_pad: bool = True, divisor_override: int | None = None) -> Tensor:
    """The mean of each window of the last three axes."""

@overload
def bilinear(x1: ArrayLike, x2: ArrayLike, weight: ArrayLike, bias: ArrayLike | None = None) -> Tensor:
    """out[..., o] = Σᵢⱼ x1[..., i] · weight[o, i, j] · x2[..., j] + bias[o]: one product of x1 with all matrices, and of its rows with those of x2."""

@overload
def bilinear(input: ArrayLike, x2: ArrayLike, weight: ArrayLike, bias: ArrayLike | None = None) -> Tensor:
    """out[..., o] = Σᵢⱼ x1[..., i] · weight[o, i, j] · x2[..., j] + bias[o]: one product of x1 with all matrices, and of its rows with those of x2."""

def binary_cross_entropy(input: ArrayLike, target: ArrayLike, weight: ArrayLike | None = None, reduction: str = 'mean') -> Tensor:
    """-(target · ln input + (1 - target) · ln(1 - input)), the logarithms taken as at least -100."""

def binary_cross_entropy_with_logits(input: ArrayLike, target: ArrayLike, weight: ArrayLike | None = None, pos_weight: ArrayLike | None = None, reduction: str = 'mean') -> Tensor:
    """With p = sigmoid(input): -(target · ln p + (1 - target) · ln(1 - p)), without overflow."""

@overload
def celu(x: ArrayLike, alpha: float = 1.0) -> Tensor:
    """The exponential linear unit with a continuous slope: x where x > 0, else alpha (e^(x / alpha) - 1), element by element."""

@overload
def celu(input: ArrayLike, alpha: float = 1.0, *, inplace: bool = False) -> Tensor:
    """The exponential linear unit with a continuous slope: x where x > 0, else alpha (e^(x / alpha) - 1), element by element."""

@overload
def channel_shuffle(x: ArrayLike, groups: int) -> Tensor:
    """The first channel of each group, then the second of each, and so on, so that the groups of the next convolution see channels of all groups of this one (Zhang and others 2018, "ShuffleNet")."""

@overload
def channel_shuffle(input: ArrayLike, groups: int) -> Tensor:
    """The first channel of each group, then the second of each, and so on, so that the groups of the next convolution see channels of all groups of this one (Zhang and others 2018, "ShuffleNet")."""

@overload
def conv1d(x: ArrayLike, weight: ArrayLike, bias: ArrayLike | None = None, stride: Size = 1, padding: Padding = 0, dilation: Size = 1, groups: int = 1) -> Tensor:
    """The cross-correlation of sequences with kernels, plus a bias."""

@overload
def conv1d(input: ArrayLike, weight: ArrayLike, bias: ArrayLike | None = None, stride: Size = 1, padding: Padding = 0, dilation: Size = 1, groups: int = 1) -> Tensor:
    """The cross-correlation of sequences with kernels, plus a bias."""

@overload
def conv2d(x: ArrayLike, weight: ArrayLike, bias: ArrayLike | None = None, stride: Size = 1, padding: Padding = 0, dilation: Size = 1, groups: int = 1) -> Tensor:
    """The cross-correlation of images with kernels, plus a bias."""

@overload
def conv2d(input: ArrayLike, weight: ArrayLike, bias: ArrayLike | None = None, stride: Size = 1, padding: Padding = 0, dilation: Size = 1, groups: int = 1) -> Tensor:
    """The cross-correlation of images with kernels, plus a bias."""

@overload
def conv3d(x: ArrayLike, weight: ArrayLike, bias: ArrayLike | None = None, stride: Size = 1, padding: Padding = 0, dilation: Size = 1, groups: int = 1) -> Tensor:
    """The cross-correlation of volumes with kernels, plus a bias."""

@overload
def conv3d(input: ArrayLike, weight: ArrayLike, bias: ArrayLike | None = None, stride: Size = 1, padding: Padding = 0, dilation: Size = 1, groups: int = 1) -> Tensor:
    """The cross-correlation of volumes with kernels, plus a bias."""

@overload
def conv_transpose1d(x: ArrayLike, weight: ArrayLike, bias: ArrayLike | None = None, stride: Size = 1, padding: Padding = 0, output_padding: Size = 0, groups: int = 1, dilation: Size = 1) -> Tensor:
    """The transposed convolution of sequences with kernels, plus a bias: each element of x adds the kernel, times itself, to the result at its place. It is the gradient by its input of the convolution with the same arguments (Dumoulin and Visin 2016)."""

@overload
def conv_transpose1d(input: ArrayLike, weight: ArrayLike, bias: ArrayLike | None = None, stride: Size = 1, padding: Padding = 0, output_padding: Size = 0, groups: int = 1, dilation: Size = 1) -> Tensor:
    """The transposed convolution of sequences with kernels, plus a bias: each element of x adds the kernel, times itself, to the result at its place. It is the gradient by its input of the convolution with the same arguments (Dumoulin and Visin 2016)."""

@overload
def conv_transpose2d(x: ArrayLike, weight: ArrayLike, bias: ArrayLike | None = None, stride: Size = 1, padding: Padding = 0, output_padding: Size = 0, groups: int = 1, dilation: Size = 1) -> Tensor:
    """The transposed convolution of images with kernels, plus a bias: each element of x adds the kernel, times itself, to the result at its place. It is the gradient by its input of the convolution with the same arguments (Dumoulin and Visin 2016)."""

@overload
def conv_transpose2d(input: ArrayLike, weight: ArrayLike, bias: ArrayLike | None = None, stride: Size = 1, padding: Padding = 0, output_padding: Size = 0, groups: int = 1, dilation: Size = 1) -> Tensor:
    """The transposed convolution of images with kernels, plus a bias: each element of x adds the kernel, times itself, to the result at its place. It is the gradient by its input of the convolution with the same arguments (Dumoulin and Visin 2016)."""

@overload
def conv_transpose3d(x: ArrayLike, weight: ArrayLike, bias: ArrayLike | None = None, stride: Size = 1, padding: Padding = 0, output_padding: Size = 0, groups: int = 1, dilation: Size = 1) -> Tensor:
    """The transposed convolution of volumes with kernels, plus a bias: each element of x adds the kernel, times itself, to the result at its place. It is the gradient by its input of the convolution with the same arguments (Dumoulin and Visin 2016)."""

@overload
def conv_transpose3d(input: ArrayLike, weight: ArrayLike, bias: ArrayLike | None = None, stride: Size = 1, padding: Padding = 0, output_padding: Size = 0, groups: int = 1, dilation: Size = 1) -> Tensor:
    """The transposed convolution of volumes with kernels, plus a bias: each element of x adds the kernel, times itself, to the result at its place. It is the gradient by its input of the convolution with the same arguments (Dumoulin and Visin 2016)."""

@overload
def cosine_embedding_loss(input1: ArrayLike, input2: ArrayLike, target: ArrayLike, margin: float = 0.0, reduction: str = 'mean') -> Tensor:
    """The loss of pairs of vectors that should be alike (1) or not (-1): 1 - cos, or max(0, cos - margin), cos being their `tn.cosine_similarity`."""

@overload
def cosine_embedding_loss(input: ArrayLike, input2: ArrayLike, target: ArrayLike, margin: float = 0.0, reduction: str = 'mean') -> Tensor:
    """The loss of pairs of vectors that should be alike (1) or not (-1): 1 - cos, or max(0, cos - margin), cos being their `tn.cosine_similarity`."""

@overload
def cosine_similarity(x1: ArrayLike, x2: ArrayLike, axis: int = 1, eps: float = 1e-08) -> Tensor:
    """The cosine of the angle between vectors: their inner product divided by their lengths, each taken as at least eps."""

@overload
def cosine_similarity(input: ArrayLike, x2: ArrayLike, dim: int = 1, eps: float = 1e-08) -> Tensor:
    """The cosine of the angle between vectors: their inner product divided by their lengths, each taken as at least eps."""

def cross_entropy(input: ArrayLike, target: ArrayLike, weight: ArrayLike | None = None, ignore_index: int = -100, reduction: str = 'mean', label_smoothing: float = 0.0) -> Tensor:
    """The cross entropy of the target and softmax(input): -Σ over the classes of target · log_softmax(input)."""

@overload
def ctc_loss(log_probs: ArrayLike, targets: ArrayLike, input_lengths: ArrayLike, target_lengths: ArrayLike, blank: int = 0, reduction: str = 'mean', zero_infinity: bool = False) -> Tensor:
    """The loss of connectionist temporal classification: minus the logarithm of the probability of labels whose places in time are not known, the sum over all alignments of them. Graves, Fernández, Gomez and Schmidhuber (2006)."""

@overload
def ctc_loss(input: ArrayLike, targets: ArrayLike, input_lengths: ArrayLike, target_lengths: ArrayLike, blank: int = 0, reduction: str = 'mean', zero_infinity: bool = False) -> Tensor:
    """The loss of connectionist temporal classification: minus the logarithm of the probability of labels whose places in time are not known, the sum over all alignments of them. Graves, Fernández, Gomez and Schmidhuber (2006)."""

@overload
def dropout(x: ArrayLike, p: float = 0.5, training: bool = True, rng: np.random.Generator | int | None = None) -> Tensor:
    """In training, each element is set to 0 with probability `p` and the others are divided by 1 - p, so that the mean stays; else `x` itself. Srivastava et al., JMLR 15 (2014)."""

@overload
def dropout(input: ArrayLike, p: float = 0.5, training: bool = True, generator: np.random.Generator | int | None = None, *, inplace: bool = False) -> Tensor:
    """In training, each element is set to 0 with probability `p` and the others are divided by 1 - p, so that the mean stays; else `x` itself. Srivastava et al., JMLR 15 (2014)."""

@overload
def dropout1d(x: ArrayLike, p: float = 0.5, training: bool = True, rng: np.random.Generator | int | None = None) -> Tensor:
    """In training, each channel of each sample is set to 0 as a whole with probability `p` and the others are divided by 1 - p; else `x` itself. Neighbours in a channel are so alike that dropping single elements would change little: Tompson et al., arXiv:1411.4280."""

@overload
def dropout1d(input: ArrayLike, p: float = 0.5, training: bool = True, generator: np.random.Generator | int | None = None, *, inplace: bool = False) -> Tensor:
    """In training, each channel of each sample is set to 0 as a whole with probability `p` and the others are divided by 1 - p; else `x` itself. Neighbours in a channel are so alike that dropping single elements would change little: Tompson et al., arXiv:1411.4280."""

@overload
def dropout2d(x: ArrayLike, p: float = 0.5, training: bool = True, rng: np.random.Generator | int | None = None) -> Tensor:
    """In training, each channel of each sample is set to 0 as a whole with probability `p` and the others are divided by 1 - p; else `x` itself. Neighbours in a channel are so alike that dropping single elements would change little: Tompson et al., arXiv:1411.4280."""

@overload
def dropout2d(input: ArrayLike, p: float = 0.5, training: bool = True, generator: np.random.Generator | int | None = None, *, inplace: bool = False) -> Tensor:
    """In training, each channel of each sample is set to 0 as a whole with probability `p` and the others are divided by 1 - p; else `x` itself. Neighbours in a channel are so alike that dropping single elements would change little: Tompson et al., arXiv:1411.4280."""

@overload
def dropout3d(x: ArrayLike, p: float = 0.5, training: bool = True, rng: np.random.Generator | int | None = None) -> Tensor:
    """In training, each channel of each sample is set to 0 as a whole with probability `p` and the others are divided by 1 - p; else `x` itself. Neighbours in a channel are so alike that dropping single elements would change little: Tompson et al., arXiv:1411.4280."""

@overload
def dropout3d(input: ArrayLike, p: float = 0.5, training: bool = True, generator: np.random.Generator | int | None = None, *, inplace: bool = False) -> Tensor:
    """In training, each channel of each sample is set to 0 as a whole with probability `p` and the others are divided by 1 - p; else `x` itself. Neighbours in a channel are so alike that dropping single elements would change little: Tompson et al., arXiv:1411.4280."""

@overload
def elu(x: ArrayLike, alpha: float = 1.0) -> Tensor:
    """The exponential linear unit: x where x > 0, else alpha (e^x - 1), element by element."""

@overload
def elu(input: ArrayLike, alpha: float = 1.0, *, inplace: bool = False) -> Tensor:
    """The exponential linear unit: x where x > 0, else alpha (e^x - 1), element by element."""

@overload
def feature_alpha_dropout(x: ArrayLike, p: float = 0.5, training: bool = True, rng: np.random.Generator | int | None = None) -> Tensor:
    """Alpha dropout of whole channels: in training, each channel of each sample is set to -α as a whole with probability `p`, and then all become a · x + a · α · p, with α = 1.7581, to which selu saturates, and a = 1/√((1 - p)(1 + p α²)), so that mean 0 and variance 1 stay; with p = 1 all is 0. Else `x` itself. Klambauer et al., arXiv:1706.02515."""

@overload
def feature_alpha_dropout(input: ArrayLike, p: float = 0.5, training: bool = True, generator: np.random.Generator | int | None = None, *, inplace: bool = False) -> Tensor:
    """Alpha dropout of whole channels: in training, each channel of each sample is set to -α as a whole with probability `p`, and then all become a · x + a · α · p, with α = 1.7581, to which selu saturates, and a = 1/√((1 - p)(1 + p α²)), so that mean 0 and variance 1 stay; with p = 1 all is 0. Else `x` itself. Klambauer et al., arXiv:1706.02515."""

@overload
def fold(x: ArrayLike, output_size: Size, kernel_size: Size, dilation: Size = 1, padding: Padding = 0, stride: Size = 1) -> Tensor:
    """Columns added up to images, each where `unfold` takes it from ("col2im")."""

@overload
def fold(input: ArrayLike, output_size: Size, kernel_size: Size, dilation: Size = 1, padding: Padding = 0, stride: Size = 1) -> Tensor:
    """Columns added up to images, each where `unfold` takes it from ("col2im")."""

@overload
def fractional_max_pool2d(x: ArrayLike, kernel_size: Size, output_size: Size | None = None, output_ratio: float | tuple[float, ...] | list[float] | None = None, return_indices: Literal[False] = False, _random_samples: ArrayLike | None = None, *, rng: np.random.Generator | int | None = None) -> Tensor:
    """The largest element of windows of one size whose places are drawn, in the last two axes; so the lengths of the result need not divide those of x. Graham, arXiv:1412.6071 (2014)."""

@overload
def fractional_max_pool2d(input: ArrayLike, kernel_size: Size, output_size: Size | None = None, output_ratio: float | tuple[float, ...] | list[float] | None = None, return_indices: Literal[False] = False, _random_samples: ArrayLike | None = None, *, generator: np.random.Generator | int | None = None) -> Tensor:
    """The largest element of windows of one size whose places are drawn, in the last two axes; so the lengths of the result need not divide those of x. Graham, arXiv:1412.6071 (2014)."""

@overload
def fractional_max_pool2d(x: ArrayLike, kernel_size: Size, output_size: Size | None = None, output_ratio: float | tuple[float, ...] | list[float] | None = None, *, return_indices: Literal[True], _random_samples: ArrayLike | None = None, rng: np.random.Generator | int | None = None) -> tuple[Tensor, Tensor]:
    """The largest element of windows of one size whose places are drawn, in the last two axes; so the lengths of the result need not divide those of x. Graham, arXiv:1412.6071 (2014)."""

@overload
def fractional_max_pool2d(input: ArrayLike, kernel_size: Size, output_size: Size | None = None, output_ratio: float | tuple[float, ...] | list[float] | None = None, *, return_indices: Literal[True], _random_samples: ArrayLike | None = None, generator: np.random.Generator | int | None = None) -> tuple[Tensor, Tensor]:
    """The largest element of windows of one size whose places are drawn, in the last two axes; so the lengths of the result need not divide those of x. Graham, arXiv:1412.6071 (2014)."""

@overload
def fractional_max_pool2d(x: ArrayLike, kernel_size: Size, output_size: Size | None = None, output_ratio: float | tuple[float, ...] | list[float] | None = None, return_indices: bool = False, _random_samples: ArrayLike | None = None, *, rng: np.random.Generator | int | None = None) -> Any:
    """The largest element of windows of one size whose places are drawn, in the last two axes; so the lengths of the result need not divide those of x. Graham, arXiv:1412.6071 (2014)."""

@overload
def fractional_max_pool2d(input: ArrayLike, kernel_size: Size, output_size: Size | None = None, output_ratio: float | tuple[float, ...] | list[float] | None = None, return_indices: bool = False, _random_samples: ArrayLike | None = None, *, generator: np.random.Generator | int | None = None) -> Any:
    """The largest element of windows of one size whose places are drawn, in the last two axes; so the lengths of the result need not divide those of x. Graham, arXiv:1412.6071 (2014)."""

@overload
def fractional_max_pool3d(x: ArrayLike, kernel_size: Size, output_size: Size | None = None, output_ratio: float | tuple[float, ...] | list[float] | None = None, return_indices: Literal[False] = False, _random_samples: ArrayLike | None = None, *, rng: np.random.Generator | int | None = None) -> Tensor:
    """The largest element of windows of one size whose places are drawn, in the last three axes; so the lengths of the result need not divide those of x. Graham, arXiv:1412.6071 (2014)."""

@overload
def fractional_max_pool3d(input: ArrayLike, kernel_size: Size, output_size: Size | None = None, output_ratio: float | tuple[float, ...] | list[float] | None = None, return_indices: Literal[False] = False, _random_samples: ArrayLike | None = None, *, generator: np.random.Generator | int | None = None) -> Tensor:
    """The largest element of windows of one size whose places are drawn, in the last three axes; so the lengths of the result need not divide those of x. Graham, arXiv:1412.6071 (2014)."""

@overload
def fractional_max_pool3d(x: ArrayLike, kernel_size: Size, output_size: Size | None = None, output_ratio: float | tuple[float, ...] | list[float] | None = None, *, return_indices: Literal[True], _random_samples: ArrayLike | None = None, rng: np.random.Generator | int | None = None) -> tuple[Tensor, Tensor]:
    """The largest element of windows of one size whose places are drawn, in the last three axes; so the lengths of the result need not divide those of x. Graham, arXiv:1412.6071 (2014)."""

@overload
def fractional_max_pool3d(input: ArrayLike, kernel_size: Size, output_size: Size | None = None, output_ratio: float | tuple[float, ...] | list[float] | None = None, *, return_indices: Literal[True], _random_samples: ArrayLike | None = None, generator: np.random.Generator | int | None = None) -> tuple[Tensor, Tensor]:
    """The largest element of windows of one size whose places are drawn, in the last three axes; so the lengths of the result need not divide those of x. Graham, arXiv:1412.6071 (2014)."""

@overload
def fractional_max_pool3d(x: ArrayLike, kernel_size: Size, output_size: Size | None = None, output_ratio: float | tuple[float, ...] | list[float] | None = None, return_indices: bool = False, _random_samples: ArrayLike | None = None, *, rng: np.random.Generator | int | None = None) -> Any:
    """The largest element of windows of one size whose places are drawn, in the last three axes; so the lengths of the result need not divide those of x. Graham, arXiv:1412.6071 (2014)."""

@overload
def fractional_max_pool3d(input: ArrayLike, kernel_size: Size, output_size: Size | None = None, output_ratio: float | tuple[float, ...] | list[float] | None = None, return_indices: bool = False, _random_samples: ArrayLike | None = None, *, generator: np.random.Generator | int | None = None) -> Any:
    """The largest element of windows of one size whose places are drawn, in the last three axes; so the lengths of the result need not divide those of x. Graham, arXiv:1412.6071 (2014)."""

def gaussian_nll_loss(input: ArrayLike, target: ArrayLike, var: ArrayLike, full: bool = False, eps: float = 1e-06, reduction: str = 'mean') -> Tensor:
    """The negative log-likelihood of a target under a normal distribution whose mean and variance are predicted: (ln v + (input - target)² / v) / 2 with v = max(var, eps)."""

@overload
def gelu(x: ArrayLike, approximate: str = 'none') -> Tensor:
    """The Gaussian error linear unit x Φ(x), Φ being the normal distribution function, element by element."""

@overload
def gelu(input: ArrayLike, approximate: str = 'none') -> Tensor:
    """The Gaussian error linear unit x Φ(x), Φ being the normal distribution function, element by element."""

@overload
def glu(x: ArrayLike, axis: int = -1) -> Tensor:
    """The gated linear unit: the first half of x along an axis times the sigmoid of the second."""

@overload
def glu(input: ArrayLike, dim: int = -1) -> Tensor:
    """The gated linear unit: the first half of x along an axis times the sigmoid of the second."""

@overload
def grid_sample(x: ArrayLike, grid: ArrayLike, mode: str = 'bilinear', padding_mode: str = 'zeros', align_corners: bool | None = None) -> Tensor:
    """Images read at the places of a grid, differentiable by the images and by the grid."""

@overload
def grid_sample(input: ArrayLike, grid: ArrayLike, mode: str = 'bilinear', padding_mode: str = 'zeros', align_corners: bool | None = None) -> Tensor:
    """Images read at the places of a grid, differentiable by the images and by the grid."""

@overload
def group_norm(x: ArrayLike, num_groups: int, weight: ArrayLike | None = None, bias: ArrayLike | None = None, eps: float = 1e-05) -> Tensor:
    """The channels of each sample brought to mean 0 and variance 1 in groups, over all positions, then scaled and shifted channel by channel: out = (x - mean) / √(var + eps) · weight + bias. Wu and He, arXiv:1803.08494."""

@overload
def group_norm(input: ArrayLike, num_groups: int, weight: ArrayLike | None = None, bias: ArrayLike | None = None, eps: float = 1e-05) -> Tensor:
    """The channels of each sample brought to mean 0 and variance 1 in groups, over all positions, then scaled and shifted channel by channel: out = (x - mean) / √(var + eps) · weight + bias. Wu and He, arXiv:1803.08494."""

@overload
def gumbel_softmax(logits: ArrayLike, tau: float = 1.0, hard: bool = False, axis: int = -1, rng: np.random.Generator | int | None = None) -> Tensor:
    """A random sample of the Gumbel-softmax distribution: softmax((logits + noise) / tau), the noise drawn from the standard Gumbel distribution, so that the largest element is each class with the probability softmax(logits)."""

@overload
def gumbel_softmax(input: ArrayLike, tau: float = 1.0, hard: bool = False, dim: int = -1, generator: np.random.Generator | int | None = None) -> Tensor:
    """A random sample of the Gumbel-softmax distribution: softmax((logits + noise) / tau), the noise drawn from the standard Gumbel distribution, so that the largest element is each class with the probability softmax(logits)."""

@overload
def hardshrink(x: ArrayLike, lambd: float = 0.5) -> Tensor:
    """x where |x| > lambd, else 0, element by element."""

@overload
def hardshrink(input: ArrayLike, lambd: float = 0.5) -> Tensor:
    """x where |x| > lambd, else 0, element by element."""

@overload
def hardsigmoid(x: ArrayLike) -> Tensor:
    """x/6 + 1/2 limited to [0, 1], a sigmoid of three lines, element by element."""

@overload
def hardsigmoid(input: ArrayLike, *, inplace: bool = False) -> Tensor:
    """x/6 + 1/2 limited to [0, 1], a sigmoid of three lines, element by element."""

@overload
def hardswish(x: ArrayLike) -> Tensor:
    """x · hardsigmoid(x), element by element."""

@overload
def hardswish(input: ArrayLike, *, inplace: bool = False) -> Tensor:
    """x · hardsigmoid(x), element by element."""

@overload
def hardtanh(x: ArrayLike, min_val: float = -1.0, max_val: float = 1.0) -> Tensor:
    """x limited to [min_val, max_val], element by element."""

@overload
def hardtanh(input: ArrayLike, min_val: float = -1.0, max_val: float = 1.0, *, inplace: bool = False) -> Tensor:
    """x limited to [min_val, max_val], element by element."""

def hinge_embedding_loss(input: ArrayLike, target: ArrayLike, margin: float = 1.0, reduction: str = 'mean') -> Tensor:
    """The loss of distances of pairs that are alike (1) or not (-1): the distance itself, or what it falls short of the margin."""

def huber_loss(input: ArrayLike, target: ArrayLike, reduction: str = 'mean', delta: float = 1.0, weight: ArrayLike | None = None) -> Tensor:
    """With d = input - target: d²/2 where |d| <= delta, else delta (|d| - delta/2). Huber (1964)."""

@overload
def interpolate(x: ArrayLike, size: Size | None = None, scale_factor: float | Sequence[float] | None = None, mode: str = 'nearest', align_corners: bool | None = None, recompute_scale_factor: bool | None = None, antialias: bool = False) -> Tensor:
    """Images, sequences or volumes in another size."""

@overload
def interpolate(input: ArrayLike, size: Size | None = None, scale_factor: float | Sequence[float] | None = None, mode: str = 'nearest', align_corners: bool | None = None, recompute_scale_factor: bool | None = None, antialias: bool = False) -> Tensor:
    """Images, sequences or volumes in another size."""

def kl_div(input: ArrayLike, target: ArrayLike, reduction: str = 'mean', log_target: bool = False) -> Tensor:
    """The Kullback-Leibler divergence of the target from the prediction, target · (ln target - input)."""

def l1_loss(input: ArrayLike, target: ArrayLike, reduction: str = 'mean', weight: ArrayLike | None = None) -> Tensor:
    """The absolute error |input - target|."""

@overload
def layer_norm(x: ArrayLike, normalized_shape: ArrayLike, weight: ArrayLike | None = None, bias: ArrayLike | None = None, eps: float = 1e-05) -> Tensor:
    """The last axes brought to mean 0 and variance 1 together, then scaled and shifted element by element: out = (x - mean) / √(var + eps) · weight + bias. Ba, Kiros and Hinton, arXiv:1607.06450."""

@overload
def layer_norm(input: ArrayLike, normalized_shape: ArrayLike, weight: ArrayLike | None = None, bias: ArrayLike | None = None, eps: float = 1e-05) -> Tensor:
    """The last axes brought to mean 0 and variance 1 together, then scaled and shifted element by element: out = (x - mean) / √(var + eps) · weight + bias. Ba, Kiros and Hinton, arXiv:1607.06450."""

@overload
def leaky_relu(x: ArrayLike, negative_slope: float = 0.01) -> Tensor:
    """x where x > 0, else negative_slope · x, element by element."""

@overload
def leaky_relu(input: ArrayLike, negative_slope: float = 0.01, *, inplace: bool = False) -> Tensor:
    """x where x > 0, else negative_slope · x, element by element."""

@overload
def linear(x: ArrayLike, weight: ArrayLike, bias: ArrayLike | None = None) -> Tensor:
    """The affine map x @ weightᵀ + bias."""

@overload
def linear(input: ArrayLike, weight: ArrayLike, bias: ArrayLike | None = None) -> Tensor:
    """The affine map x @ weightᵀ + bias."""

def linear_cross_entropy(input: ArrayLike, linear_weight: ArrayLike, target: ArrayLike, *, linear_bias: ArrayLike | None = None, weight: ArrayLike | None = None, reduction: str = 'mean', ignore_index: int = -100, label_smoothing: float = 0.0) -> Tensor:
    """The `cross_entropy` of linear(input, linear_weight, linear_bias) with the target."""

@overload
def local_response_norm(x: ArrayLike, size: int, alpha: float = 0.0001, beta: float = 0.75, k: float = 1.0) -> Tensor:
    """Each element divided by a power of the squares around it, over `size` neighbouring channels at the same position: out = x / (k + alpha / size · Σ x²)^beta. Krizhevsky, Sutskever and Hinton, NeurIPS 2012; there alpha is not divided by the size."""

@overload
def local_response_norm(input: ArrayLike, size: int, alpha: float = 0.0001, beta: float = 0.75, k: float = 1.0) -> Tensor:
    """Each element divided by a power of the squares around it, over `size` neighbouring channels at the same position: out = x / (k + alpha / size · Σ x²)^beta. Krizhevsky, Sutskever and Hinton, NeurIPS 2012; there alpha is not divided by the size."""

@overload
def log_softmax(x: ArrayLike, axis: int = -1) -> Tensor:
    """The logarithm of softmax along an axis, x - logsumexp(x), without overflow."""

@overload
def log_softmax(input: ArrayLike, dim: int = -1, *, dtype: DTypeLike | None = None) -> Tensor:
    """The logarithm of softmax along an axis, x - logsumexp(x), without overflow."""

@overload
def logsigmoid(x: ArrayLike) -> Tensor:
    """ln sigmoid(x) = -softplus(-x), without overflow, element by element."""

@overload
def logsigmoid(input: ArrayLike) -> Tensor:
    """ln sigmoid(x) = -softplus(-x), without overflow, element by element."""

@overload
def lp_pool1d(x: ArrayLike, norm_type: float, kernel_size: Size, stride: Size | None = None, ceil_mode: bool = False) -> Tensor:
    """(Σ xᵖ)^(1/p) over each window of the last axis, with p = norm_type."""

@overload
def lp_pool1d(input: ArrayLike, norm_type: float, kernel_size: Size, stride: Size | None = None, ceil_mode: bool = False) -> Tensor:
    """(Σ xᵖ)^(1/p) over each window of the last axis, with p = norm_type."""

@overload
def lp_pool2d(x: ArrayLike, norm_type: float, kernel_size: Size, stride: Size | None = None, ceil_mode: bool = False) -> Tensor:
    """(Σ xᵖ)^(1/p) over each window of the last two axes, with p = norm_type."""

@overload
def lp_pool2d(input: ArrayLike, norm_type: float, kernel_size: Size, stride: Size | None = None, ceil_mode: bool = False) -> Tensor:
    """(Σ xᵖ)^(1/p) over each window of the last two axes, with p = norm_type."""

@overload
def lp_pool3d(x: ArrayLike, norm_type: float, kernel_size: Size, stride: Size | None = None, ceil_mode: bool = False) -> Tensor:
    """(Σ xᵖ)^(1/p) over each window of the last three axes, with p = norm_type."""

@overload
def lp_pool3d(input: ArrayLike, norm_type: float, kernel_size: Size, stride: Size | None = None, ceil_mode: bool = False) -> Tensor:
    """(Σ xᵖ)^(1/p) over each window of the last three axes, with p = norm_type."""

@overload
def margin_ranking_loss(input1: ArrayLike, input2: ArrayLike, target: ArrayLike, margin: float = 0.0, reduction: str = 'mean') -> Tensor:
    """The loss of two scores of which the first should exceed the second (1), or fall below it (-1), by a margin: max(0, margin - target · (input1 - input2))."""

@overload
def margin_ranking_loss(input: ArrayLike, input2: ArrayLike, target: ArrayLike, margin: float = 0.0, reduction: str = 'mean') -> Tensor:
    """The loss of two scores of which the first should exceed the second (1), or fall below it (-1), by a margin: max(0, margin - target · (input1 - input2))."""

@overload
def max_pool1d(x: ArrayLike, kernel_size: Size, stride: Size | None = None, padding: Size = 0, dilation: Size = 1, ceil_mode: bool = False, *, return_indices: Literal[False] = False) -> Tensor:
    """The largest element of each window of the last axis."""

@overload
def max_pool1d(input: ArrayLike, kernel_size: Size, stride: Size | None = None, padding: Size = 0, dilation: Size = 1, ceil_mode: bool = False, *, return_indices: Literal[False] = False) -> Tensor:
    """The largest element of each window of the last axis."""

@overload
def max_pool1d(x: ArrayLike, kernel_size: Size, stride: Size | None = None, padding: Size = 0, dilation: Size = 1, ceil_mode: bool = False, *, return_indices: Literal[True]) -> tuple[Tensor, Tensor]:
    """The largest element of each window of the last axis."""

@overload
def max_pool1d(input: ArrayLike, kernel_size: Size, stride: Size | None = None, padding: Size = 0, dilation: Size = 1, ceil_mode: bool = False, *, return_indices: Literal[True]) -> tuple[Tensor, Tensor]:
    """The largest element of each window of the last axis."""

@overload
def max_pool1d(x: ArrayLike, kernel_size: Size, stride: Size | None = None, padding: Size = 0, dilation: Size = 1, ceil_mode: bool = False, *, return_indices: bool = False) -> Any:
    """The largest element of each window of the last axis."""

@overload
def max_pool1d(input: ArrayLike, kernel_size: Size, stride: Size | None = None, padding: Size = 0, dilation: Size = 1, ceil_mode: bool = False, *, return_indices: bool = False) -> Any:
    """The largest element of each window of the last axis."""

@overload
def max_pool2d(x: ArrayLike, kernel_size: Size, stride: Size | None = None, padding: Size = 0, dilation: Size = 1, ceil_mode: bool = False, *, return_indices: Literal[False] = False) -> Tensor:
    """The largest element of each window of the last two axes."""

@overload
def max_pool2d(input: ArrayLike, kernel_size: Size, stride: Size | None = None, padding: Size = 0, dilation: Size = 1, ceil_mode: bool = False, *, return_indices: Literal[False] = False) -> Tensor:
    """The largest element of each window of the last two axes."""

@overload
def max_pool2d(x: ArrayLike, kernel_size: Size, stride: Size | None = None, padding: Size = 0, dilation: Size = 1, ceil_mode: bool = False, *, return_indices: Literal[True]) -> tuple[Tensor, Tensor]:
    """The largest element of each window of the last two axes."""

@overload
def max_pool2d(input: ArrayLike, kernel_size: Size, stride: Size | None = None, padding: Size = 0, dilation: Size = 1, ceil_mode: bool = False, *, return_indices: Literal[True]) -> tuple[Tensor, Tensor]:
    """The largest element of each window of the last two axes."""

@overload
def max_pool2d(x: ArrayLike, kernel_size: Size, stride: Size | None = None, padding: Size = 0, dilation: Size = 1, ceil_mode: bool = False, *, return_indices: bool = False) -> Any:
    """The largest element of each window of the last two axes."""

@overload
def max_pool2d(input: ArrayLike, kernel_size: Size, stride: Size | None = None, padding: Size = 0, dilation: Size = 1, ceil_mode: bool = False, *, return_indices: bool = False) -> Any:
    """The largest element of each window of the last two axes."""

@overload
def max_pool3d(x: ArrayLike, kernel_size: Size, stride: Size | None = None, padding: Size = 0, dilation: Size = 1, ceil_mode: bool = False, *, return_indices: Literal[False] = False) -> Tensor:
    """The largest element of each window of the last three axes."""

@overload
def max_pool3d(input: ArrayLike, kernel_size: Size, stride: Size | None = None, padding: Size = 0, dilation: Size = 1, ceil_mode: bool = False, *, return_indices: Literal[False] = False) -> Tensor:
    """The largest element of each window of the last three axes."""

@overload
def max_pool3d(x: ArrayLike, kernel_size: Size, stride: Size | None = None, padding: Size = 0, dilation: Size = 1, ceil_mode: bool = False, *, return_indices: Literal[True]) -> tuple[Tensor, Tensor]:
    """The largest element of each window of the last three axes."""

@overload
def max_pool3d(input: ArrayLike, kernel_size: Size, stride: Size | None = None, padding: Size = 0, dilation: Size = 1, ceil_mode: bool = False, *, return_indices: Literal[True]) -> tuple[Tensor, Tensor]:
    """The largest element of each window of the last three axes."""

@overload
def max_pool3d(x: ArrayLike, kernel_size: Size, stride: Size | None = None, padding: Size = 0, dilation: Size = 1, ceil_mode: bool = False, *, return_indices: bool = False) -> Any:
    """The largest element of each window of the last three axes."""

@overload
def max_pool3d(input: ArrayLike, kernel_size: Size, stride: Size | None = None, padding: Size = 0, dilation: Size = 1, ceil_mode: bool = False, *, return_indices: bool = False) -> Any:
    """The largest element of each window of the last three axes."""

@overload
def max_unpool1d(x: ArrayLike, indices: ArrayLike, kernel_size: Size, stride: Size | None = None, padding: Size = 0, output_size: Sequence[int] | None = None) -> Tensor:
    """What `max_pool1d` found, put back where it was, in zeros."""

@overload
def max_unpool1d(input: ArrayLike, index: ArrayLike, kernel_size: Size, stride: Size | None = None, padding: Size = 0, output_size: Sequence[int] | None = None) -> Tensor:
    """What `max_pool1d` found, put back where it was, in zeros."""

@overload
def max_unpool2d(x: ArrayLike, indices: ArrayLike, kernel_size: Size, stride: Size | None = None, padding: Size = 0, output_size: Sequence[int] | None = None) -> Tensor:
    """What `max_pool2d` found, put back where it was, in zeros."""

@overload
def max_unpool2d(input: ArrayLike, index: ArrayLike, kernel_size: Size, stride: Size | None = None, padding: Size = 0, output_size: Sequence[int] | None = None) -> Tensor:
    """What `max_pool2d` found, put back where it was, in zeros."""

@overload
def max_unpool3d(x: ArrayLike, indices: ArrayLike, kernel_size: Size, stride: Size | None = None, padding: Size = 0, output_size: Sequence[int] | None = None) -> Tensor:
    """What `max_pool3d` found, put back where it was, in zeros."""

@overload
def max_unpool3d(input: ArrayLike, index: ArrayLike, kernel_size: Size, stride: Size | None = None, padding: Size = 0, output_size: Sequence[int] | None = None) -> Tensor:
    """What `max_pool3d` found, put back where it was, in zeros."""

@overload
def mish(x: ArrayLike) -> Tensor:
    """x · tanh(softplus(x)), element by element."""

@overload
def mish(input: ArrayLike, *, inplace: bool = False) -> Tensor:
    """x · tanh(softplus(x)), element by element."""

def mse_loss(input: ArrayLike, target: ArrayLike, reduction: str = 'mean', weight: ArrayLike | None = None) -> Tensor:
    """The squared error (input - target)²."""

@overload
def multi_head_attention_forward(query: ArrayLike, key: ArrayLike, value: ArrayLike, embed_dim_to_check: int, num_heads: int, in_proj_weight: ArrayLike, in_proj_bias: ArrayLike | None, bias_k: ArrayLike | None, bias_v: ArrayLike | None, add_zero_attn: bool, dropout_p: float, out_proj_weight: ArrayLike, out_proj_bias: ArrayLike | None, training: bool = True, key_padding_mask: ArrayLike | None = None, need_weights: bool = True, attn_mask: ArrayLike | None = None, use_separate_proj_weight: bool = False, q_proj_weight: ArrayLike | None = None, k_proj_weight: ArrayLike | None = None, v_proj_weight: ArrayLike | None = None, static_k: ArrayLike | None = None, static_v: ArrayLike | None = None, average_attn_weights: bool = True, is_causal: bool = False, *, batch_first: bool = False, rng: np.random.Generator | int | None = None) -> tuple[Tensor, Tensor]:
    """Attention with several heads: query, key and value are projected and cut into heads, each of which attends by itself; the results are put side by side and projected. Vaswani et al., arXiv:1706.03762, section 3.2.2. The computation of `nn.MultiheadAttention`, with PyTorch's arguments."""

@overload
def multi_head_attention_forward(input: ArrayLike, key: ArrayLike, value: ArrayLike, embed_dim_to_check: int, num_heads: int, in_proj_weight: ArrayLike, in_proj_bias: ArrayLike | None, bias_k: ArrayLike | None, bias_v: ArrayLike | None, add_zero_attn: bool, dropout_p: float, out_proj_weight: ArrayLike, out_proj_bias: ArrayLike | None, training: bool = True, key_padding_mask: ArrayLike | None = None, need_weights: bool = True, attn_mask: ArrayLike | None = None, use_separate_proj_weight: bool = False, q_proj_weight: ArrayLike | None = None, k_proj_weight: ArrayLike | None = None, v_proj_weight: ArrayLike | None = None, static_k: ArrayLike | None = None, static_v: ArrayLike | None = None, average_attn_weights: bool = True, is_causal: bool = False, *, batch_first: bool = False, generator: np.random.Generator | int | None = None) -> tuple[Tensor, Tensor]:
    """Attention with several heads: query, key and value are projected and cut into heads, each of which attends by itself; the results are put side by side and projected. Vaswani et al., arXiv:1706.03762, section 3.2.2. The computation of `nn.MultiheadAttention`, with PyTorch's arguments."""

def multi_margin_loss(input: ArrayLike, target: ArrayLike, p: int = 1, margin: float = 1.0, weight: ArrayLike | None = None, reduction: str = 'mean') -> Tensor:
    """The hinge loss of scores for classes: what the other classes' scores exceed that of the target, less the margin, by; for each sample Σ over j ≠ target of weight[target] · max(0, margin - input[target] + input[j])^p / C."""

def multilabel_margin_loss(input: ArrayLike, target: ArrayLike, reduction: str = 'mean') -> Tensor:
    """The hinge loss of scores for classes of which several are right: for each sample the sum, over its labels j and the classes i that are none, of max(0, 1 - input[j] + input[i]) / C."""

def multilabel_soft_margin_loss(input: ArrayLike, target: ArrayLike, weight: ArrayLike | None = None, reduction: str = 'mean') -> Tensor:
    """The binary cross-entropy of scores with each class by itself, its mean over the classes: -(target · ln σ(input) + (1 - target) · ln σ(-input))."""

def nll_loss(input: ArrayLike, target: ArrayLike, weight: ArrayLike | None = None, ignore_index: int = -100, reduction: str = 'mean') -> Tensor:
    """The negative log-likelihood: minus the input at each target class, for log-probabilities (`tn.log_softmax`)."""

@overload
def normalize(x: ArrayLike, p: float = 2.0, axis: Axis = 1, eps: float = 1e-12) -> Tensor:
    """x divided by its p-norm along an axis: x / max(‖x‖_p, eps)."""

@overload
def normalize(input: ArrayLike, p: float = 2.0, dim: Axis = 1, eps: float = 1e-12) -> Tensor:
    """x divided by its p-norm along an axis: x / max(‖x‖_p, eps)."""

@overload
def one_hot(indices: ArrayLike, num_classes: int = -1, dtype: DTypeLike = ...) -> Tensor:
    """A vector for each class index: 1 at its position, 0 elsewhere."""

@overload
def one_hot(input: ArrayLike, num_classes: int = -1, dtype: DTypeLike = ...) -> Tensor:
    """A vector for each class index: 1 at its position, 0 elsewhere."""

@overload
def pad(x: ArrayLike, pad: int | Sequence[int], mode: str = 'constant', value: Number | ArrayLike = 0) -> Tensor:
    """A border around the last axes of an array, as PyTorch's function of the name: `tn.pad` with widths in another order."""

@overload
def pad(input: ArrayLike, pad: int | Sequence[int], mode: str = 'constant', value: Number | ArrayLike = 0) -> Tensor:
    """A border around the last axes of an array, as PyTorch's function of the name: `tn.pad` with widths in another order."""

@overload
def pairwise_distance(x1: ArrayLike, x2: ArrayLike, p: float = 2.0, eps: float = 1e-06, keepdims: bool = False) -> Tensor:
    """The distances ‖x1 - x2 + eps‖ₚ of vectors along the last axis."""

@overload
def pairwise_distance(input: ArrayLike, x2: ArrayLike, p: float = 2.0, eps: float = 1e-06, keepdim: bool = False) -> Tensor:
    """The distances ‖x1 - x2 + eps‖ₚ of vectors along the last axis."""

def pdist(input: ArrayLike, p: float = 2.0) -> Tensor:
    """The distances ‖x - y‖ₚ of all pairs of rows, those of the first row with the later ones first."""

@overload
def pixel_shuffle(x: ArrayLike, upscale_factor: int) -> Tensor:
    """Images r times as high and wide, of r² times fewer channels: each r x r pixels are the channels of one."""

@overload
def pixel_shuffle(input: ArrayLike, upscale_factor: int) -> Tensor:
    """Images r times as high and wide, of r² times fewer channels: each r x r pixels are the channels of one."""

@overload
def pixel_unshuffle(x: ArrayLike, downscale_factor: int) -> Tensor:
    """Images r times less high and wide, of r² times as many channels: the inverse of `pixel_shuffle`."""

@overload
def pixel_unshuffle(input: ArrayLike, downscale_factor: int) -> Tensor:
    """Images r times less high and wide, of r² times as many channels: the inverse of `pixel_shuffle`."""

def poisson_nll_loss(input: ArrayLike, target: ArrayLike, log_input: bool = True, full: bool = False, eps: float = 1e-08, reduction: str = 'mean') -> Tensor:
    """The negative log-likelihood of counts under Poisson distributions whose rates are predicted, but for the constant ln(target!): e^input - target · input for logarithms of rates, input - target · ln(input + eps) for rates."""

@overload
def prelu(x: ArrayLike, weight: ArrayLike) -> Tensor:
    """x where x > 0, else weight · x: a leaky rectifier whose slope is learned, one for all or one for each channel."""

@overload
def prelu(input: ArrayLike, weight: ArrayLike) -> Tensor:
    """x where x > 0, else weight · x: a leaky rectifier whose slope is learned, one for all or one for each channel."""

@overload
def relu(x: ArrayLike) -> Tensor:
    """The rectifier max(x, 0), element by element."""

@overload
def relu(input: ArrayLike, *, inplace: bool = False) -> Tensor:
    """The rectifier max(x, 0), element by element."""

@overload
def relu6(x: ArrayLike) -> Tensor:
    """min(max(x, 0), 6), element by element. The derivative is 1 where 0 < x < 6, else 0; at nan it is 1, as in PyTorch."""

@overload
def relu6(input: ArrayLike, *, inplace: bool = False) -> Tensor:
    """min(max(x, 0), 6), element by element. The derivative is 1 where 0 < x < 6, else 0; at nan it is 1, as in PyTorch."""

@overload
def rms_norm(x: ArrayLike, normalized_shape: ArrayLike, weight: ArrayLike | None = None, eps: ArrayLike | None = None) -> Tensor:
    """The last axes divided by their root mean square, then scaled element by element: out = x / √(mean(x²) + eps) · weight. Zhang and Sennrich, arXiv:1910.07467."""

@overload
def rms_norm(input: ArrayLike, normalized_shape: ArrayLike, weight: ArrayLike | None = None, eps: ArrayLike | None = None) -> Tensor:
    """The last axes divided by their root mean square, then scaled element by element: out = x / √(mean(x²) + eps) · weight. Zhang and Sennrich, arXiv:1910.07467."""

@overload
def rotary_embedding(x: ArrayLike, positions: ArrayLike | None = None, base: float = 10000.0, interleaved: bool = True, offset: int = 0, axis: int = -2, inverse: bool = False) -> Tensor:
    """Vectors whose pairs of elements are turned by angles that grow with the position: pair i at position t by φ = t · base^(-2i/dim). The product of a query and a key then depends on the difference of their positions. Su, Lu, Pan, Murtadha, Wen and Liu, arXiv:2104.09864."""

@overload
def rotary_embedding(input: ArrayLike, positions: ArrayLike | None = None, base: float = 10000.0, interleaved: bool = True, offset: int = 0, dim: int = -2, inverse: bool = False) -> Tensor:
    """Vectors whose pairs of elements are turned by angles that grow with the position: pair i at position t by φ = t · base^(-2i/dim). The product of a query and a key then depends on the difference of their positions. Su, Lu, Pan, Murtadha, Wen and Liu, arXiv:2104.09864."""

@overload
def rrelu(x: ArrayLike, lower: float = 0.125, upper: float = 0.3333333333333333, training: bool = False, rng: np.random.Generator | int | None = None) -> Tensor:
    """x where x > 0, else a · x: in training the slope a is drawn anew for each element, evenly between `lower` and `upper`; else it is their middle. Xu, Wang, Chen and Li, arXiv:1505.00853."""

@overload
def rrelu(input: ArrayLike, lower: float = 0.125, upper: float = 0.3333333333333333, training: bool = False, generator: np.random.Generator | int | None = None, *, inplace: bool = False) -> Tensor:
    """x where x > 0, else a · x: in training the slope a is drawn anew for each element, evenly between `lower` and `upper`; else it is their middle. Xu, Wang, Chen and Li, arXiv:1505.00853."""

@overload
def scaled_dot_product_attention(query: ArrayLike, key: ArrayLike, value: ArrayLike, attn_mask: ArrayLike | None = None, dropout_p: float = 0.0, is_causal: bool = False, scale: float | None = None, enable_gqa: bool = False, *, rng: np.random.Generator | int | None = None) -> Tensor:
    """Means of the values, weighted by how well their keys fit each query: softmax(query @ keyᵀ · scale + mask) @ value. Vaswani et al., arXiv:1706.03762."""

@overload
def scaled_dot_product_attention(input: ArrayLike, key: ArrayLike, value: ArrayLike, attn_mask: ArrayLike | None = None, dropout_p: float = 0.0, is_causal: bool = False, scale: float | None = None, enable_gqa: bool = False, *, generator: np.random.Generator | int | None = None) -> Tensor:
    """Means of the values, weighted by how well their keys fit each query: softmax(query @ keyᵀ · scale + mask) @ value. Vaswani et al., arXiv:1706.03762."""

@overload
def selu(x: ArrayLike) -> Tensor:
    """The scaled exponential linear unit: 1.0507 x where x > 0, else 1.7581 (e^x - 1), element by element."""

@overload
def selu(input: ArrayLike, *, inplace: bool = False) -> Tensor:
    """The scaled exponential linear unit: 1.0507 x where x > 0, else 1.7581 (e^x - 1), element by element."""

@overload
def sigmoid(x: ArrayLike) -> Tensor:
    """The logistic function 1 / (1 + e^-x), element by element."""

@overload
def sigmoid(input: ArrayLike) -> Tensor:
    """The logistic function 1 / (1 + e^-x), element by element."""

def sigmoid_focal_loss(input: ArrayLike, target: ArrayLike, alpha: float = 0.25, gamma: float = 2.0, reduction: str = 'none') -> Tensor:
    """The binary cross entropy of scores, weighted down where the prediction is good already: alpha_t (1 - p_t)^gamma · -ln p_t, p_t being the probability given to what is right."""

@overload
def silu(x: ArrayLike) -> Tensor:
    """x · sigmoid(x), also called swish, element by element."""

@overload
def silu(input: ArrayLike, *, inplace: bool = False) -> Tensor:
    """x · sigmoid(x), also called swish, element by element."""

@overload
def sinusoidal_positions(length: int, dim: int, offset: int = 0, base: float = 10000.0, dtype: DTypeLike = ...) -> Tensor:
    """A vector for each position t, of waves of growing length: sin(t / base^(2i/dim)) in place 2i, the cosine of the same in place 2i + 1. Vaswani et al., arXiv:1706.03762, section 3.5."""

@overload
def sinusoidal_positions(input: int, dim: int, offset: int = 0, base: float = 10000.0, dtype: DTypeLike = ...) -> Tensor:
    """A vector for each position t, of waves of growing length: sin(t / base^(2i/dim)) in place 2i, the cosine of the same in place 2i + 1. Vaswani et al., arXiv:1706.03762, section 3.5."""

def smooth_l1_loss(input: ArrayLike, target: ArrayLike, reduction: str = 'mean', beta: float = 1.0) -> Tensor:
    """With d = input - target: d² / (2 beta) where |d| <= beta, else |d| - beta/2; huber_loss divided by beta."""

def soft_margin_loss(input: ArrayLike, target: ArrayLike, reduction: str = 'mean') -> Tensor:
    """The logistic loss of a score for two classes: ln(1 + e^(-target · input)), without overflow."""

@overload
def softmax(x: ArrayLike, axis: int = -1) -> Tensor:
    """Exponentials divided by their sum along an axis: positive numbers that sum to 1."""

@overload
def softmax(input: ArrayLike, dim: int = -1, *, dtype: DTypeLike | None = None) -> Tensor:
    """Exponentials divided by their sum along an axis: positive numbers that sum to 1."""

@overload
def softmin(x: ArrayLike, axis: int = -1) -> Tensor:
    """softmax(-x): positive numbers that sum to 1 along an axis, the largest where x is smallest."""

@overload
def softmin(input: ArrayLike, dim: int = -1, *, dtype: DTypeLike | None = None) -> Tensor:
    """softmax(-x): positive numbers that sum to 1 along an axis, the largest where x is smallest."""

@overload
def softplus(x: ArrayLike, beta: float = 1.0, threshold: float | None = None) -> Tensor:
    """ln(1 + e^(beta x)) / beta, a smooth rectifier, element by element."""

@overload
def softplus(input: ArrayLike, beta: float = 1.0, threshold: float | None = None) -> Tensor:
    """ln(1 + e^(beta x)) / beta, a smooth rectifier, element by element."""

@overload
def softshrink(x: ArrayLike, lambd: float = 0.5) -> Tensor:
    """x brought nearer to 0 by lambd, and no further than to 0, element by element."""

@overload
def softshrink(input: ArrayLike, lambd: float = 0.5) -> Tensor:
    """x brought nearer to 0 by lambd, and no further than to 0, element by element."""

@overload
def softsign(x: ArrayLike) -> Tensor:
    """x / (1 + |x|), element by element."""

@overload
def softsign(input: ArrayLike) -> Tensor:
    """x / (1 + |x|), element by element."""

@overload
def tanh(x: ArrayLike, **options: Unpack[UfuncOptions]) -> Tensor:
    """The hyperbolic tangent, element by element."""

@overload
def tanh(input: ArrayLike, **options: Unpack[UfuncOptions]) -> Tensor:
    """The hyperbolic tangent, element by element."""

@overload
def tanhshrink(x: ArrayLike) -> Tensor:
    """x - tanh(x), element by element."""

@overload
def tanhshrink(input: ArrayLike) -> Tensor:
    """x - tanh(x), element by element."""

@overload
def threshold(x: ArrayLike, threshold: float, value: float) -> Tensor:
    """x where x > threshold, else value, element by element."""

@overload
def threshold(input: ArrayLike, threshold: float, value: float, *, inplace: bool = False) -> Tensor:
    """x where x > threshold, else value, element by element."""

@overload
def triplet_margin_loss(anchor: ArrayLike, positive: ArrayLike, negative: ArrayLike, margin: float = 1.0, p: float = 2.0, eps: float = 1e-06, swap: bool = False, reduction: str = 'mean') -> Tensor:
    """The loss of vectors that should be nearer to a second one than to a third by a margin: max(0, d(anchor, positive) - d(anchor, negative) + margin), d being `tn.pairwise_distance`."""

@overload
def triplet_margin_loss(input: ArrayLike, positive: ArrayLike, negative: ArrayLike, margin: float = 1.0, p: float = 2.0, eps: float = 1e-06, swap: bool = False, reduction: str = 'mean') -> Tensor:
    """The loss of vectors that should be nearer to a second one than to a third by a margin: max(0, d(anchor, positive) - d(anchor, negative) + margin), d being `tn.pairwise_distance`."""

@overload
def triplet_margin_with_distance_loss(anchor: ArrayLike, positive: ArrayLike, negative: ArrayLike, *, distance_function: Callable[..., object] | None = None, margin: float = 1.0, swap: bool = False, reduction: str = 'mean') -> Tensor:
    """`triplet_margin_loss` with a distance of your own: max(0, d(anchor, positive) - d(anchor, negative) + margin)."""

@overload
def triplet_margin_with_distance_loss(input: ArrayLike, positive: ArrayLike, negative: ArrayLike, *, distance_function: Callable[..., object] | None = None, margin: float = 1.0, swap: bool = False, reduction: str = 'mean') -> Tensor:
    """`triplet_margin_loss` with a distance of your own: max(0, d(anchor, positive) - d(anchor, negative) + margin)."""

@overload
def unfold(x: ArrayLike, kernel_size: Size, dilation: Size = 1, padding: Padding = 0, stride: Size = 1) -> Tensor:
    """The windows of images as columns ("im2col")."""

@overload
def unfold(input: ArrayLike, kernel_size: Size, dilation: Size = 1, padding: Padding = 0, stride: Size = 1) -> Tensor:
    """The windows of images as columns ("im2col")."""
