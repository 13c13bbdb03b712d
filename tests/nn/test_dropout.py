"""The dropout layers: they do what the ops do, in training."""

from __future__ import annotations

import numpy as np
import pytest

import tapenet as tn
from tapenet import nn

#: By layer: its op, and the shape of an input.
LAYERS = {
    "Dropout": (tn.dropout, (4, 5)),
    "Dropout1d": (tn.dropout1d, (4, 5, 3)),
    "Dropout2d": (tn.dropout2d, (4, 5, 3, 2)),
    "Dropout3d": (tn.dropout3d, (5, 3, 2, 2)),
    "AlphaDropout": (tn.alpha_dropout, (4, 5)),
    "FeatureAlphaDropout": (tn.feature_alpha_dropout, (4, 5, 3)),
}


@pytest.mark.parametrize("name", LAYERS)
def test_layers_do_what_the_ops_do(name: str) -> None:
    op, shape = LAYERS[name]
    x = np.ones(shape, np.float32)
    layer = getattr(nn, name)(0.4, rng=3)
    first, second = layer(x), layer(x)
    np.testing.assert_array_equal(first, op(x, 0.4, rng=np.random.default_rng(3)))
    assert (first != second).any()
    assert layer.eval()(x) is x
    assert repr(layer) == f"{name}(0.4)"
    with pytest.raises(ValueError, match=f"{name}: p=-1 is no probability"):
        getattr(nn, name)(-1)
