"""C functions by address, as ufuncs that programs call without the interpreter."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import numpy as np

from tapenet.ops.op import Op
from tapenet.ops.registry import numpy_functions
from tapenet.program import c_rows

_made: dict[tuple[str, ...], np.ufunc] = {}


def native(function: object, signature: str | Sequence[str] | None = None, *, name: str | None = None) -> np.ufunc:
    """Make a ufunc of a C function that is given by its address. Compiled programs call it natively, without the interpreter.

    A function of numbers computes one element; arrays broadcast, and in compiled programs the call is a part of the kernel
    around it. A function of arrays is called as

        void f(const T *input, ..., T *output, ..., int64_t size, ...)

    with pointers to arrays that are contiguous in row-major order, inputs first, then outputs, which it has to fill, and then
    the sizes as they come first in the signature. Further leading axes are looped over, and broadcast.

    It is a NumPy ufunc, with all that these have, and may be a part of formulas and rules. It has no derivative: give it one
    by `tn.op(f, x=lambda g, x: ...)`, where rules may call native functions too.

    The function must give the same for the same arguments and do nothing else: programs compute it once where it is called
    twice. It must not write into its inputs, nor need the interpreter, nor raise errors; and it may be called from several
    threads at once.

    Args:
        function: a function of ctypes, a pointer of cffi, what `numba.cfunc` makes, a `scipy.LowLevelCallable`, a capsule of
            a Cython module's `__pyx_capi__`, or an address as an int. Or a list of these, one for each dtype: NumPy takes the
            first whose arguments the given ones can be cast to. Each is kept as long as the process runs, with its library;
            what an int points to you keep yourself.
        signature: what it takes and gives. Of numbers: `"float64(float64, int32)"`, or in C's words `"double(double, int)"`;
            floats of 32 and 64 bits, integers and bool. Of arrays: `"float64(m,n), float64(n) -> float64(m)"`, where
            complex64 and complex128 are taken too. Not needed where the function is declared (ctypes by `argtypes` and
            `restype`, the others by themselves), but for arrays: there `"(m,n),(n)->(m)"` names the sizes. Of several
            functions a list.
        name: in reports and errors; by default what the function is called, "native" where it does not say.

    Returns:
        the ufunc, of the arguments `x`, `y`, `z`, `w`, or `x0`, `x1`, ... where there are more than four.

    Raises:
        TypeError: it is no function by address, or the signature is none, or does not fit what the function is declared as.

    >>> import ctypes, numpy as np, tapenet as tn
    >>> swab = ctypes.CDLL(None).swab  # of the C library: exchanges the bytes of each pair
    >>> swapped = tn.native(swab, "uint8(n) -> uint8(n)")
    >>> swapped(np.arange(6, dtype=np.uint8).reshape(1, 6))
    array([[1, 0, 3, 2, 5, 4]], dtype=uint8)
    >>> tn.native(lambda x: 2 * x, "float64(float64)", name="double")
    Traceback (most recent call last):
    ...
    TypeError: tn.native 'double': it is a Python function: give it to tn.op, or compile it first: numba.cfunc(SIGNATURE)(f)
    """
    several = (
        list(function) if isinstance(function, (list, tuple)) and not hasattr(function, "user_data") else [function]
    )
    texts = [signature] * len(several) if signature is None or isinstance(signature, str) else list(signature)
    title = name or _name(several[0])
    made = c_rows.functions(title, several, texts)
    key = tuple(f.symbol for f in made)
    found = _made.get(key)
    if found is None:
        words = " or ".join(str(f.signature) for f in made)
        found = _made[key] = c_rows.add(made, f"The C function {title}: {words}.")
    if found not in numpy_functions:
        module = sys._getframe(1).f_globals.get("__name__", "")
        numpy_functions[found] = Op(found, name=title, numpy=(found,), outputs=found.nout, module=module)
    return found


def _name(function: object) -> str:
    """What a function is called; pointers do not know."""
    return str(getattr(function, "__name__", "native"))
