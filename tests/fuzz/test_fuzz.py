"""The generators find no failure: a few cases of each, and many where there is time."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from hypothesis import strategies as st

from tests.fuzz.harness import NAMES, generator, run


@pytest.mark.parametrize("name", NAMES)
def test_a_few_cases(name: str) -> None:
    made = generator(name)
    run(made, made.FEW, seed=0)


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_many_cases(name: str) -> None:
    made = generator(name)
    run(made, made.MANY, seed=1)


def test_a_failure_is_shown_by_its_shortest_case() -> None:
    def check(case: list[int]) -> None:
        assert sum(case) < 10

    made = SimpleNamespace(CASES=st.lists(st.integers(0, 100)), check=check)
    with pytest.raises(AssertionError) as caught:
        run(made, 200, seed=0)
    assert caught.value.__notes__[0].endswith("the shortest case that fails:\n[10]")
