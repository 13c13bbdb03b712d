"""What leaves the graph: Python numbers and arrays that are made of tensors through which a gradient would flow."""

from __future__ import annotations

from types import FrameType

from tapenet.autodiff.node import Node
from tapenet.autodiff.state import Site, local
from tapenet.ops import refused
from tapenet.ops.stack_frames import library_callers, user_site, warn_once


def number(node: Node) -> None:
    """Note that a number leaves a graph that is still being recorded: a function that is being differentiated tells of it in
    the end, when it is known whether anything depends on it."""
    left = local.state.left
    if left is None:
        warn_of_number(user_site())
    else:
        left.setdefault(Site(*user_site()), set()).add(node)


def values(node: Node, what: str) -> None:
    """Note that values leave the graph in a way that is meant, by `.numpy()` or the like: an error only if nothing else of
    the arguments is left in the result."""
    left = local.state.left
    if left is not None and what in _MEANT:
        left.setdefault(Site(*user_site(), what), set()).add(node)


_MEANT = frozenset({".numpy()", ".item()", ".tolist()", "its .data"})


def warn_of_number(site: tuple[str, int]) -> None:
    """Warn that a line makes a Python number of a tensor through which a gradient would flow."""
    warn_once(
        "number",
        "a Python number is made of a tensor that needs a gradient, by float(t) or a function that asks for one, as math.exp "
        "does: no gradient flows through what is computed from it. Compute with the tensor itself (np.exp, tn.exp); where the "
        "number is all you want write t.item()",
        site,
    )


def left_to_tensors(frame: FrameType) -> bool:
    """Whether a frame is SciPy's operator of a sparse array and something else, which is asked for an array. If it has none the
    operator is left to it."""
    code = frame.f_code.co_name
    return code in ("_matmul_dispatch", "_divide") and frame.f_globals.get("__name__", "").startswith("scipy.sparse.")


def array() -> TypeError:
    """The error for a tensor that would become an array, with what to write in place of the function that asks."""
    hint = refused.instead(library_callers())
    return TypeError(
        "a tensor that needs a gradient is not turned into an ndarray in silence: write t.numpy() to leave the graph, or "
        "tn.array or tn.stack([...]) to join tensors and stay in it (np.f(..., like=t) is tn.f)"
        + (f". {hint}" if hint else "")
    )
