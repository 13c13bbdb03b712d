"""Test suites that are on no package index: an environment variable names a checkout of each."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


def checkout(variable: str, of: str) -> Path:
    """The checkout that a variable names. Without one the test is skipped, which `--forbid-skips` lets pass."""
    given = os.environ.get(variable)
    if not given:
        pytest.skip(f"{variable} names no checkout of {of}")
    return Path(given)


def is_unnamed(reason: object) -> bool:
    """Whether a test was skipped for that."""
    return " names no checkout of " in str(reason)
