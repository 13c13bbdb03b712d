"""What `autodiff` gives to ops, so that these take tensors without knowing what one is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

from tapenet.typing import Array


class Recorder:
    """The recorder before `autodiff` installs its own: ops cannot be called, and arrays stand for tensors."""

    def called(self, op: Any, args: tuple[object, ...], kwargs: dict[str, object]) -> object:
        """What an op gives that has no code of its own yet for its calls."""
        raise RuntimeError("no recorder is installed; import tapenet, not tapenet.ops alone")

    def node_class(self, op: Any) -> type:
        """The class of the nodes that record an op."""
        raise RuntimeError("no recorder is installed; import tapenet, not tapenet.ops alone")

    #: The same for nodes that say more.
    full_node_class = node_class

    def tensor(self, array: Array, shared: bool) -> Any:
        """A tensor around an array, which others may have if it is `shared`."""
        return array

    def values(self, tensor: object) -> Array | None:
        """The array of a tensor; None where a replay could not follow what is looked at."""
        return None

    def run(self, function: object, values: Sequence[object]) -> Sequence[Array]:
        """What a function of `program.functions` gives for tensors and arrays, as tensors."""
        raise RuntimeError("no recorder is installed; import tapenet, not tapenet.ops alone")

    #: Calls a function that is composed of ops in place of calling it: `compose(function, args, kwargs)`. None until a
    #: low type is met.
    compose: Callable[[Callable[..., object], tuple[object, ...], dict[str, object]], object] | None = None


class _Installed:
    recorder = Recorder()


#: Holds the recorder there is.
installed: Final = _Installed()
