"""Layers whose number of inputs is not known before the first call, or before a state is loaded."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from tapenet.autodiff.observe.capture import capturing
from tapenet.autodiff.observe.tape import CaptureError
from tapenet.autodiff.tensor import Tensor
from tapenet.nn.batch_normalization import (
    BatchNorm1d,
    BatchNorm2d,
    BatchNorm3d,
    InstanceNorm1d,
    InstanceNorm2d,
    InstanceNorm3d,
)
from tapenet.nn.convolution import Conv1d, Conv2d, Conv3d, ConvTranspose1d, ConvTranspose2d, ConvTranspose3d
from tapenet.nn.linear import Linear
from tapenet.nn.module import Module
from tapenet.nn.parameter import UninitializedBuffer, UninitializedParameter, is_lazy
from tapenet.ops.random import generator
from tapenet.ops.stack_frames import user_line


class _Fitted(NamedTuple):
    """What a lazy layer becomes."""

    shapes: dict[int, tuple[int, ...]]
    adopt: Callable[[], None]


class _Lazy(Module):
    """The base of lazy layers: each is the layer that it becomes, and takes its first argument from the input of the first
    call. The tensors stay the same objects."""

    _becomes: Any
    #: The name of the first argument.
    _size: str
    #: The axis of inputs that has the size; None for the one before the spatial axes.
    _input_axis: ClassVar[int | None] = None
    #: The axis of the weight that has it, or the part of each group.
    _weight_axis: ClassVar[int] = 0
    #: Defaults that are not the layer's, as in PyTorch.
    _defaults: ClassVar[dict[str, object]] = {}

    if TYPE_CHECKING:  # the layer's own, without the first argument

        def __init__(self, *args: object, **options: object) -> None: ...

    def __init_subclass__(cls, **kwargs: object) -> None:
        cls._becomes = next(base for base in cls.__mro__ if not issubclass(base, _Lazy))
        if cls._becomes is Module:  # what some of them share
            return
        signature = inspect.signature(cls._becomes.__init__)
        defaults = cls._defaults
        own, size, *others = (p.replace(default=defaults.get(p.name, p.default)) for p in signature.parameters.values())
        cls._size = size.name
        becomes = f"`nn.{cls._becomes.__name__}` whose `{size.name}`"
        cls.__doc__ = (
            f"{becomes} is taken from the input of the first call, or from the state that is loaded.\n\n{cls.__doc__}"
        )

        def __init__(self: _Lazy, *args: object, **options: object) -> None:
            bound = signature.bind(self, 0, *args, **options)
            self._keep(defaults | dict(list(bound.arguments.items())[2:]))

        __init__.__signature__ = signature.replace(parameters=[own, *others])  # type: ignore[attr-defined]
        cls.__init__ = __init__  # type: ignore[method-assign]
        super().__init_subclass__(**kwargs)

    def _keep(self, options: dict[str, Any]) -> None:
        """Keep the arguments, and be the layer with tensors of no shape."""
        usual = inspect.signature(self._becomes.__init__).parameters
        if options.get("rng") is not None:
            options["rng"] = generator(options["rng"])  # an integer would do as well, but an error comes here
        unused = {"rng": 0} if "rng" in usual else {}
        made = self._becomes(options.get("groups", 1), **{**options, **unused})
        for name, value in vars(made).items():
            if isinstance(value, Tensor) and value.ndim:
                lazy = UninitializedParameter if value._kind == "parameter" else UninitializedBuffer
                value = lazy(dtype=value.dtype)
            setattr(self, name, 0 if name == self._size else value)
        self._options = options

    def _first_call(self, x: ArrayLike = (), *args: object, **kwargs: object) -> object:
        """Take the size of the input, become the layer for it, and run."""
        if capturing() is not None:
            raise CaptureError(
                f"{user_line()} calls a {type(self).__name__} for the first time while a step is being captured, which would "
                "make its parameters in the step. Call the model once before, and make the optimizer after that"
            )
        self._fit(self._size_in(np.shape(x))).adopt()
        return self(x, *args, **kwargs)

    if not TYPE_CHECKING:  # a type checker knows by the layer's own `forward` what a call returns
        __call__ = _first_call

    def _fit(self, size: int) -> _Fitted:
        """What the layer becomes for this size, once `adopt` is called."""
        made = self._becomes(size, **self._options)
        found = [(getattr(self, name), new) for name, new in vars(made).items() if isinstance(new, Tensor)]

        def adopt() -> None:
            for own, new in found:
                if is_lazy(own):
                    dtype, needs = own.dtype, own.requires_grad
                    own.requires_grad_(False)
                    own._rebind(new._data.astype(dtype))
                    own._kind = new._kind
                    own.requires_grad_(needs)
            setattr(self, self._size, size)
            del self._options
            self.__class__ = self._becomes

        return _Fitted({id(own): new.shape for own, new in found}, adopt)

    def _fitted(self, state: Mapping[str, ArrayLike]) -> _Fitted | None:
        """What the layer is by a state of it; None where the state does not tell."""
        for name in ("weight", "running_mean"):
            shape = np.shape(state.get(name, 0))
            if shape:
                return self._fit(self._size_of(shape))
        return None

    def _size_in(self, shape: tuple[int, ...]) -> int:
        """The size in the shape of an input.

        Raises:
            ValueError: the input has no such axis.
        """
        axis = -1 - self._becomes.axes if self._input_axis is None else self._input_axis
        if not -len(shape) <= axis < len(shape):
            raise ValueError(f"{type(self).__name__} cannot tell its {self._size} from an input of shape {shape}")
        return shape[axis]

    def _size_of(self, shape: tuple[int, ...]) -> int:
        """The size by the shape of the weight, or of a running statistic."""
        axis = min(self._weight_axis, len(shape) - 1)
        return shape[axis] * (self._options.get("groups", 1) if axis else 1)


class LazyLinear(_Lazy, Linear):
    """
    Before that its parameters have no shape: make the optimizer after the first call.

    >>> import numpy as np
    >>> from tapenet import nn
    >>> layer = nn.LazyLinear(3)
    >>> layer
    LazyLinear(0, 3)  weight of no shape yet, bias of no shape yet  0 parameters
    >>> layer(np.zeros((1, 2), np.float32)).shape
    (1, 3)
    >>> layer
    Linear(2, 3)  weight (3, 2), bias (3,)  9 parameters
    """

    _input_axis = -1
    _weight_axis = 1


class _LazyChannels(_Lazy):
    """The base of lazy convolutions."""

    _weight_axis = 1


class _LazyFeatures(_Lazy):
    """The base of lazy batch normalisations."""

    _input_axis = 1


class _LazyInstance(_Lazy):
    """The base of lazy instance normalisations. By default they learn and keep statistics, unlike the others."""

    _defaults: ClassVar[dict[str, object]] = {"affine": True, "track_running_stats": True}


class LazyConv1d(_LazyChannels, Conv1d):
    """See `nn.LazyLinear`."""


class LazyConv2d(_LazyChannels, Conv2d):
    """See `nn.LazyLinear`."""


class LazyConv3d(_LazyChannels, Conv3d):
    """See `nn.LazyLinear`."""


class LazyConvTranspose1d(_Lazy, ConvTranspose1d):
    """See `nn.LazyLinear`."""


class LazyConvTranspose2d(_Lazy, ConvTranspose2d):
    """See `nn.LazyLinear`."""


class LazyConvTranspose3d(_Lazy, ConvTranspose3d):
    """See `nn.LazyLinear`."""


class LazyBatchNorm1d(_LazyFeatures, BatchNorm1d):
    """See `nn.LazyLinear`."""


class LazyBatchNorm2d(_LazyFeatures, BatchNorm2d):
    """See `nn.LazyLinear`."""


class LazyBatchNorm3d(_LazyFeatures, BatchNorm3d):
    """See `nn.LazyLinear`."""


class LazyInstanceNorm1d(_LazyInstance, InstanceNorm1d):
    """See `nn.LazyLinear`."""


class LazyInstanceNorm2d(_LazyInstance, InstanceNorm2d):
    """See `nn.LazyLinear`."""


class LazyInstanceNorm3d(_LazyInstance, InstanceNorm3d):
    """See `nn.LazyLinear`."""
