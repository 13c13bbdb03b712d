"""xarray's objects that hold tensors: NumPy's values, and gradients."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tapenet as tn
from tapenet.testing import check_grads

xr = pytest.importorskip("xarray")

X = np.random.default_rng(0).normal(size=(3, 4))
OTHER = xr.DataArray(np.arange(4.0) + 1, dims="b")


def held(values: Any) -> Any:
    return xr.DataArray(values, dims=("a", "b"), coords={"a": [10, 20, 30], "b": np.arange(4.0)})


def assigned(d: Any) -> Any:
    d = d * 1
    d[0, 1] = 5.0
    d.loc[{"a": 20}] = 2.0
    return d


CALLS: dict[str, Callable[[Any], Any]] = {
    "arithmetic": lambda d: 2 * d + d * OTHER - np.arange(3.0)[:, None],
    "functions": lambda d: np.exp(np.sin(d)).clip(0.5, 2),
    "labels": lambda d: d.sel(a=20, b=slice(1, 2)),
    "places": lambda d: d.isel(b=[0, 2]).transpose("b", "a"),
    "reductions": lambda d: d.sum("a") + d.mean("a") * d.std("a") + d.max() + d.median("a"),
    "where": lambda d: d.where(d > 0, 0.0) + d.fillna(1.0),
    "alignment": lambda d: d + d.isel(a=slice(0, 2)),
    "groups": lambda d: d.groupby(xr.DataArray([0, 1, 0], dims="a", name="g")).mean(),
    "weights": lambda d: d.weighted(OTHER).mean("b"),
    "joined": lambda d: xr.concat([d, d * 2], "a").cumsum("a"),
    "products": lambda d: xr.dot(d, d, dim="b") + xr.corr(d, d**2, "b"),
    "shapes": lambda d: d.stack(z=("a", "b")).expand_dims("q"),
    "shifts": lambda d: d.diff("b").roll(b=1).pad(b=1, constant_values=0.0),
    "integrals": lambda d: d.integrate("b") + d.differentiate("b").sum("b"),
    "coarse": lambda d: d.coarsen(b=2).mean(),
    "fits": lambda d: d.polyfit("b", 1).polyfit_coefficients,
    "data sets": lambda d: xr.Dataset({"u": d, "v": d**2}).mean("a").to_dataarray(),
    "ufuncs": lambda d: xr.apply_ufunc(lambda x: x**2, d),
    "assignment": assigned,
}


# xarray reads a part, to compare its coordinates, before it assigns to it.
@pytest.mark.filterwarnings("ignore:item assignment to a tensor .* changes this tensor alone:RuntimeWarning")
@pytest.mark.parametrize("name", CALLS)
def test_values_and_gradients(name: str) -> None:
    f = CALLS[name]
    expected = f(held(X))
    found = f(held(tn.tensor(X, requires_grad=True)))
    assert isinstance(found.data, tn.Tensor)
    assert found.dims == expected.dims
    np.testing.assert_allclose(found.data.numpy(), expected.values, rtol=1e-12)
    check_grads(lambda x: f(held(x)).data, [X], order=1)
