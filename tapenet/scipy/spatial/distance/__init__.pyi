# Made by `python -m tests.stubs`.
from numpy.typing import ArrayLike
from tapenet.autodiff.tensor import Tensor as Tensor
from tapenet.scipy.spatial.distance.all_pairs import cdist as cdist
from tapenet.scipy.spatial.distance.all_pairs import pdist as pdist
from tapenet.scipy.spatial.distance.all_pairs import squareform as squareform
from tapenet.scipy.spatial.distance.two_vectors import braycurtis as braycurtis
from tapenet.scipy.spatial.distance.two_vectors import canberra as canberra
from tapenet.scipy.spatial.distance.two_vectors import chebyshev as chebyshev
from tapenet.scipy.spatial.distance.two_vectors import cityblock as cityblock
from tapenet.scipy.spatial.distance.two_vectors import correlation as correlation
from tapenet.scipy.spatial.distance.two_vectors import cosine as cosine
from tapenet.scipy.spatial.distance.two_vectors import dice as dice
from tapenet.scipy.spatial.distance.two_vectors import directed_hausdorff as directed_hausdorff
from tapenet.scipy.spatial.distance.two_vectors import euclidean as euclidean
from tapenet.scipy.spatial.distance.two_vectors import hamming as hamming
from tapenet.scipy.spatial.distance.two_vectors import jaccard as jaccard
from tapenet.scipy.spatial.distance.two_vectors import mahalanobis as mahalanobis
from tapenet.scipy.spatial.distance.two_vectors import minkowski as minkowski
from tapenet.scipy.spatial.distance.two_vectors import rogerstanimoto as rogerstanimoto
from tapenet.scipy.spatial.distance.two_vectors import russellrao as russellrao
from tapenet.scipy.spatial.distance.two_vectors import seuclidean as seuclidean
from tapenet.scipy.spatial.distance.two_vectors import sokalsneath as sokalsneath
from tapenet.scipy.spatial.distance.two_vectors import sqeuclidean as sqeuclidean
from tapenet.scipy.spatial.distance.two_vectors import yule as yule

def jensenshannon(p: ArrayLike, q: ArrayLike, base: float | None = None, *, axis: int = 0, keepdims: bool = False) -> Tensor:
    """The Jensen-Shannon distance of distributions, as `scipy.spatial.distance.jensenshannon`."""
