"""What the array API standard lets be asked of a namespace."""

from __future__ import annotations

import numpy as np

from tapenet.ops.arguments import check_device
from tapenet.typing import DType

#: The dtypes that the standard names.
_DTYPES = (
    "bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "float32", "float64", "complex64",
    "complex128",
)  # fmt: skip


class NamespaceInfo:
    """What the namespace can do, and its devices and dtypes, as the array API standard asks for them.

    >>> import tapenet as tn
    >>> info = tn.__array_namespace_info__()
    >>> info.devices(), info.default_dtypes()["real floating"]
    (('cpu',), dtype('float64'))
    """

    def capabilities(self) -> dict[str, bool | int]:
        """Whether it has "boolean indexing" and "data-dependent shapes", and the largest number of axes, "max dimensions"."""
        return {"boolean indexing": True, "data-dependent shapes": True, "max dimensions": 64}

    def default_device(self) -> str:
        """Where arrays are made if nothing is said."""
        return "cpu"

    def devices(self) -> tuple[str, ...]:
        """All devices."""
        return ("cpu",)

    def default_dtypes(self, *, device: str | None = None) -> dict[str, DType]:
        """The dtypes that arrays have if nothing is said: "real floating", "complex floating", "integral", "indexing".

        Raises:
            ValueError: another device than "cpu".
        """
        check_device("default_dtypes", device)
        kinds = {"real floating": float, "complex floating": complex, "integral": int, "indexing": np.intp}
        return {name: np.dtype(kind) for name, kind in kinds.items()}

    def dtypes(self, *, device: str | None = None, kind: str | tuple[str, ...] | None = None) -> dict[str, DType]:
        """The dtypes of the standard by name: all, or those of a kind or several, as `isdtype` names them.

        Raises:
            ValueError: another device than "cpu", or no such kind.
        """
        check_device("dtypes", device)
        known = {name: np.dtype(name) for name in _DTYPES}
        return {name: d for name, d in known.items() if kind is None or np.isdtype(d, kind)}


__array_namespace_info__ = NamespaceInfo
