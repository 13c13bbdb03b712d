"""Special functions with derivatives: each is SciPy's of that name, element by element. `scipy.special.f(t)` is the same, also
where SciPy follows the array API standard (SCIPY_ARRAY_API=1)."""

from tapenet.names import namespace as _namespace

__getattr__, __dir__ = _namespace(__name__)
