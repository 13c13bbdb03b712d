"""The base of layers whose settings are stated once, as annotated names in the class."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import TYPE_CHECKING, ClassVar, dataclass_transform

from tapenet.nn.layer_arguments import is_layer
from tapenet.nn.module import Module
from tapenet.nn.parameter import Buffer
from tapenet.ops.random import generator

#: How settings of these names are kept. An integer as `rng` would begin the same numbers anew at each call.
_KEPT: dict[str, Callable[..., object]] = {
    "rng": generator,
    "weight": Buffer,
    "pos_weight": Buffer,
    "_random_samples": Buffer,
}
#: What a repr does not have.
_UNSHOWN = {*_KEPT, "distance_function"}


@dataclass_transform(eq_default=False)
class SettingsLayer(Module):
    """A layer whose annotated names are the arguments of its `__init__`, its attributes, and its text in a repr.

    A name with a value is an argument with that default. Names below `_: KW_ONLY` are given by keyword alone. What is not
    as by default is shown in the repr; `_check` may refuse settings.

    >>> from tapenet import nn
    >>> nn.HuberLoss(delta=2.0)
    HuberLoss(delta=2.0)
    """

    _settings: ClassVar[dict[str, inspect.Parameter]] = {}
    #: Whether the repr has all settings, by name, also those that are as by default.
    _shows_all: ClassVar[bool] = False

    def __init_subclass__(cls, **kwargs: object) -> None:
        own = {name: said for name, said in inspect.get_annotations(cls).items() if not said.startswith("ClassVar")}
        if is_layer(cls) and own and "__init__" not in vars(cls):
            cls._settings = dict(cls._settings)
            given = inspect.Parameter
            kind: inspect._ParameterKind = given.POSITIONAL_OR_KEYWORD
            for name, annotation in own.items():
                if annotation == "KW_ONLY":
                    kind = given.KEYWORD_ONLY
                else:
                    default = vars(cls).get(name, given.empty)
                    cls._settings[name] = given(name, kind, default=default, annotation=annotation)
            if not TYPE_CHECKING:
                cls.__init__ = _init(list(cls._settings.values()))
        super().__init_subclass__(**kwargs)

    def _check(self) -> None:
        """Refuse settings that do not fit, or complete them: called when all are there."""

    def _usual(self) -> dict[str, object]:
        """The settings that are optional, with what each is by default."""
        return {name: p.default for name, p in self._settings.items() if p.default is not p.empty}

    def extra_repr(self) -> str:
        usual = self._usual()
        shown = []
        for name in self._settings:
            value = getattr(self, name)
            if name in _UNSHOWN or (not self._shows_all and name in usual and value == usual[name]):
                continue
            shown.append(f"{name}={value!r}" if self._shows_all or name in usual else f"{value}")
        return ", ".join(shown)


def _init(settings: list[inspect.Parameter]) -> Callable[..., None]:
    """The `__init__` of a layer with these settings."""
    own = inspect.Parameter("self", inspect.Parameter.POSITIONAL_ONLY)
    signature = inspect.Signature([own.replace(kind=own.POSITIONAL_OR_KEYWORD), *settings], return_annotation="None")

    def __init__(layer: SettingsLayer, /, *args: object, **kwargs: object) -> None:
        try:
            bound = signature.bind(layer, *args, **kwargs)
        except TypeError as error:
            raise TypeError(f"{type(layer).__name__}: {error}") from None
        bound.apply_defaults()
        for name in layer._settings:
            value = bound.arguments[name]
            setattr(layer, name, _KEPT[name](value) if value is not None and name in _KEPT else value)
        layer._check()

    __init__.__signature__ = signature  # type: ignore[attr-defined]
    return __init__
