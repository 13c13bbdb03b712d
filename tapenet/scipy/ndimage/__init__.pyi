# Made by `python -m tests.stubs`.
from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
from numpy.typing import ArrayLike
from numpy.typing import DTypeLike
from tapenet.autodiff.tensor import Tensor as Tensor
from tapenet.scipy.ndimage.correlation import convolve as convolve
from tapenet.scipy.ndimage.correlation import convolve1d as convolve1d
from tapenet.scipy.ndimage.correlation import correlate as correlate
from tapenet.scipy.ndimage.correlation import correlate1d as correlate1d
from tapenet.scipy.ndimage.gaussians import gaussian_filter as gaussian_filter
from tapenet.scipy.ndimage.gaussians import gaussian_filter1d as gaussian_filter1d
from tapenet.scipy.ndimage.gaussians import gaussian_gradient_magnitude as gaussian_gradient_magnitude
from tapenet.scipy.ndimage.gaussians import gaussian_laplace as gaussian_laplace
from tapenet.scipy.ndimage.gaussians import laplace as laplace
from tapenet.scipy.ndimage.gaussians import prewitt as prewitt
from tapenet.scipy.ndimage.gaussians import sobel as sobel
from tapenet.scipy.ndimage.spline_filters import spline_filter as spline_filter
from tapenet.scipy.ndimage.spline_filters import spline_filter1d as spline_filter1d

def affine_transform(input: ArrayLike, matrix: ArrayLike, offset: ArrayLike = 0.0, output_shape: Sequence[int] | None = None, output: DTypeLike | None = None, order: int = 3, mode: str = 'constant', cval: float = 0.0, prefilter: bool = True) -> Tensor:
    """An image under an affine map: at a place o of the result is what the image has at matrix @ o + offset."""

def geometric_transform(input: ArrayLike, mapping: Callable[..., Sequence[float]], output_shape: Sequence[int] | None = None, output: DTypeLike | None = None, order: int = 3, mode: str = 'constant', cval: float = 0.0, prefilter: bool = True, extra_arguments: Sequence[object] = ..., extra_keywords: Mapping[str, object] | None = None) -> Tensor:
    """An image at the coordinates that a function gives for each place of the result."""

def map_coordinates(input: ArrayLike, coordinates: ArrayLike, output: DTypeLike | None = None, order: int = 3, mode: str = 'constant', cval: float = 0.0, prefilter: bool = True) -> Tensor:
    """An image at coordinates, by splines. There are gradients by the image and by the coordinates."""

def rotate(input: ArrayLike, angle: ArrayLike, axes: tuple[int, int] = ..., reshape: bool = True, output: DTypeLike | None = None, order: int = 3, mode: str = 'constant', cval: float = 0.0, prefilter: bool = True) -> Tensor:
    """An image turned in a plane. There are gradients by the angle, too, if the shape does not depend on it."""

def shift(input: ArrayLike, shift: ArrayLike, output: DTypeLike | None = None, order: int = 3, mode: str = 'constant', cval: float = 0.0, prefilter: bool = True) -> Tensor:
    """An image moved along its axes. There are gradients by how far, too."""

def zoom(input: ArrayLike, zoom: float | Sequence[float], output: DTypeLike | None = None, order: int = 3, mode: str = 'constant', cval: float = 0.0, prefilter: bool = True, *, grid_mode: bool = False) -> Tensor:
    """An image with other numbers of places: as many times more as `zoom` says, rounded."""
