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
from tapenet.scipy.ndimage.extremes import center_of_mass as center_of_mass
from tapenet.scipy.ndimage.extremes import extrema as extrema
from tapenet.scipy.ndimage.extremes import maximum as maximum
from tapenet.scipy.ndimage.extremes import median as median
from tapenet.scipy.ndimage.extremes import minimum as minimum
from tapenet.scipy.ndimage.gaussians import gaussian_filter as gaussian_filter
from tapenet.scipy.ndimage.gaussians import gaussian_filter1d as gaussian_filter1d
from tapenet.scipy.ndimage.gaussians import gaussian_gradient_magnitude as gaussian_gradient_magnitude
from tapenet.scipy.ndimage.gaussians import gaussian_laplace as gaussian_laplace
from tapenet.scipy.ndimage.gaussians import laplace as laplace
from tapenet.scipy.ndimage.gaussians import prewitt as prewitt
from tapenet.scipy.ndimage.gaussians import sobel as sobel
from tapenet.scipy.ndimage.measurements import Index
from tapenet.scipy.ndimage.measurements import Labels
from tapenet.scipy.ndimage.morphology import black_tophat as black_tophat
from tapenet.scipy.ndimage.morphology import morphological_gradient as morphological_gradient
from tapenet.scipy.ndimage.morphology import morphological_laplace as morphological_laplace
from tapenet.scipy.ndimage.morphology import white_tophat as white_tophat
from tapenet.scipy.ndimage.spline_filters import spline_filter as spline_filter
from tapenet.scipy.ndimage.spline_filters import spline_filter1d as spline_filter1d
from tapenet.scipy.ndimage.windows import Each
from tapenet.scipy.ndimage.windows import Modes
from tapenet.scipy.ndimage.windows import Sizes

def affine_transform(input: ArrayLike, matrix: ArrayLike, offset: ArrayLike = 0.0, output_shape: Sequence[int] | None = None, output: DTypeLike | None = None, order: int = 3, mode: str = 'constant', cval: float = 0.0, prefilter: bool = True) -> Tensor:
    """An image under an affine map: at a place o of the result is what the image has at matrix @ o + offset."""

def fourier_gaussian(input: ArrayLike, sigma: ArrayLike, n: int = -1, axis: int = -1, output: None = None) -> Tensor:
    """An image smoothed by a normal density: both given by their Fourier transforms."""

def fourier_shift(input: ArrayLike, shift: ArrayLike, n: int = -1, axis: int = -1, output: None = None) -> Tensor:
    """An image moved along its axes, given by its Fourier transform."""

def geometric_transform(input: ArrayLike, mapping: Callable[..., Sequence[float]], output_shape: Sequence[int] | None = None, output: DTypeLike | None = None, order: int = 3, mode: str = 'constant', cval: float = 0.0, prefilter: bool = True, extra_arguments: Sequence[object] = ..., extra_keywords: Mapping[str, object] | None = None) -> Tensor:
    """An image at the coordinates that a function gives for each place of the result."""

def grey_closing(input: ArrayLike, size: Sizes | None = None, footprint: ArrayLike | None = None, structure: ArrayLike | None = None, output: DTypeLike | None = None, mode: Modes = 'reflect', cval: float = 0.0, origin: Each = 0, *, axes: Each | None = None) -> Tensor:
    """Dilation, then erosion: what is dark and smaller than a window goes."""

def grey_dilation(input: ArrayLike, size: Sizes | None = None, footprint: ArrayLike | None = None, structure: ArrayLike | None = None, output: DTypeLike | None = None, mode: Modes = 'reflect', cval: float = 0.0, origin: Each = 0, *, axes: Each | None = None) -> Tensor:
    """The largest number around each place, with a window turned around: grey dilation."""

def grey_erosion(input: ArrayLike, size: Sizes | None = None, footprint: ArrayLike | None = None, structure: ArrayLike | None = None, output: DTypeLike | None = None, mode: Modes = 'reflect', cval: float = 0.0, origin: Each = 0, *, axes: Each | None = None) -> Tensor:
    """The smallest number around each place: grey erosion."""

def grey_opening(input: ArrayLike, size: Sizes | None = None, footprint: ArrayLike | None = None, structure: ArrayLike | None = None, output: DTypeLike | None = None, mode: Modes = 'reflect', cval: float = 0.0, origin: Each = 0, *, axes: Each | None = None) -> Tensor:
    """Erosion, then dilation: what is bright and smaller than a window goes."""

def map_coordinates(input: ArrayLike, coordinates: ArrayLike, output: DTypeLike | None = None, order: int = 3, mode: str = 'constant', cval: float = 0.0, prefilter: bool = True) -> Tensor:
    """An image at coordinates, by splines. There are gradients by the image and by the coordinates."""

def maximum_filter(input: ArrayLike, size: Sizes | None = None, footprint: ArrayLike | None = None, output: DTypeLike | None = None, mode: Modes = 'reflect', cval: float = 0.0, origin: Each = 0, *, axes: Each | None = None) -> Tensor:
    """The largest of the numbers around each place."""

def mean(input: ArrayLike, labels: Labels | None = None, index: Index | None = None) -> Tensor:
    """The mean of the numbers of an image, or of its parts."""

def median_filter(input: ArrayLike, size: Sizes | None = None, footprint: ArrayLike | None = None, output: DTypeLike | None = None, mode: Modes = 'reflect', cval: float = 0.0, origin: Each = 0, *, axes: Each | None = None) -> Tensor:
    """The median of the numbers around each place, of an even count the larger one."""

def minimum_filter(input: ArrayLike, size: Sizes | None = None, footprint: ArrayLike | None = None, output: DTypeLike | None = None, mode: Modes = 'reflect', cval: float = 0.0, origin: Each = 0, *, axes: Each | None = None) -> Tensor:
    """The smallest of the numbers around each place."""

def percentile_filter(input: ArrayLike, percentile: float, size: Sizes | None = None, footprint: ArrayLike | None = None, output: DTypeLike | None = None, mode: Modes = 'reflect', cval: float = 0.0, origin: Each = 0, *, axes: Each | None = None) -> Tensor:
    """The number of a percentile around each place."""

def rank_filter(input: ArrayLike, rank: int, size: Sizes | None = None, footprint: ArrayLike | None = None, output: DTypeLike | None = None, mode: Modes = 'reflect', cval: float = 0.0, origin: Each = 0, *, axes: Each | None = None) -> Tensor:
    """The number of a rank around each place."""

def rotate(input: ArrayLike, angle: ArrayLike, axes: tuple[int, int] = ..., reshape: bool = True, output: DTypeLike | None = None, order: int = 3, mode: str = 'constant', cval: float = 0.0, prefilter: bool = True) -> Tensor:
    """An image turned in a plane. There are gradients by the angle, too, if the shape does not depend on it."""

def shift(input: ArrayLike, shift: ArrayLike, output: DTypeLike | None = None, order: int = 3, mode: str = 'constant', cval: float = 0.0, prefilter: bool = True) -> Tensor:
    """An image moved along its axes. There are gradients by how far, too."""

def standard_deviation(input: ArrayLike, labels: Labels | None = None, index: Index | None = None) -> Tensor:
    """The standard deviation of the numbers of an image, or of its parts."""

def sum(input: ArrayLike, labels: Labels | None = None, index: Index | None = None) -> Tensor:
    """The sum of the numbers of an image, or of its parts."""

def sum_labels(input: ArrayLike, labels: Labels | None = None, index: Index | None = None) -> Tensor:
    """The sum of the numbers of an image, or of its parts."""

def uniform_filter(input: ArrayLike, size: Each = 3, output: DTypeLike | None = None, mode: Modes = 'reflect', cval: float = 0.0, origin: Each = 0, *, axes: Each | None = None) -> Tensor:
    """The means of what is around each place of an image."""

def uniform_filter1d(input: ArrayLike, size: int, axis: int = -1, output: DTypeLike | None = None, mode: str = 'reflect', cval: float = 0.0, origin: int = 0) -> Tensor:
    """The means of so many numbers along an axis."""

def variance(input: ArrayLike, labels: Labels | None = None, index: Index | None = None) -> Tensor:
    """The variance of the numbers of an image, or of its parts."""

def zoom(input: ArrayLike, zoom: float | Sequence[float], output: DTypeLike | None = None, order: int = 3, mode: str = 'constant', cval: float = 0.0, prefilter: bool = True, *, grid_mode: bool = False) -> Tensor:
    """An image with other numbers of places: as many times more as `zoom` says, rounded."""
