"""tn.derived: functions composed of ops, as users make them."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import numpy as np
import pytest

import tapenet as tn


@tn.derived(samples=lambda r: [tn.sample(r.normal(size=4)), tn.sample([1.0, 2.0, 4.0], ddof=1)])
def relative_spread(x: Any, ddof: int = 0) -> Any:
    """The standard deviation by the mean."""
    x = tn.array_like(x)
    if ddof >= x.size:
        raise ValueError("too few")
    return np.std(x, ddof=ddof) / np.mean(x)


@tn.derived
def twice(x: Any) -> Any:
    """Twice x."""
    return x * 2


def test_it_is_recorded_as_its_parts_and_checked_as_an_op() -> None:
    x = tn.tensor([1.0, 2.0, 6.0], requires_grad=True)
    np.testing.assert_allclose(relative_spread(x).numpy(), np.std(x.numpy()) / 3, rtol=1e-15)
    tn.testing.check_op(relative_spread, order=2)
    assert twice(x).sum().item() == 18
    with pytest.raises(ValueError, match="too few"):
        relative_spread(x, ddof=3)


def test_it_pickles_by_its_name_and_is_its_own_copy() -> None:
    assert pickle.loads(pickle.dumps(relative_spread)) is relative_spread
    assert copy.deepcopy([twice])[0] is twice


def test_known_values_are_for_checks_and_there_are_none_of_a_captured_step() -> None:
    @tn.derived
    def checked(x: Any) -> Any:
        """x if its values are known, else -x."""
        return -x if tn.known(x) is None else x * 1

    assert tn.compile(checked)(np.ones(1)) == -1
    assert checked(tn.tensor([1.0])) == checked(np.ones(1)) == 1


def test_one_that_makes_tensors_makes_new_ones_in_each_call_of_a_compiled_function() -> None:
    @tn.derived(makes=True)
    def ramp(n: int) -> tn.Tensor:
        """0, 1, ..."""
        return tn.tensor(np.arange(float(n)))

    @tn.compile
    def changed(x: tn.Tensor) -> tn.Tensor:
        made = ramp(3)
        made += x
        return made

    x = np.ones(3)
    np.testing.assert_array_equal(changed(x), [1, 2, 3])
    np.testing.assert_array_equal(changed(x), [1, 2, 3])
