"""Kernels written for the registers of other machines: those that this one has not, LLVM splits."""

from __future__ import annotations

import importlib
import pkgutil
import sys
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

pytest.importorskip("llvmlite")

import tapenet as tn
from tapenet import kernels
from tapenet.llvm import processor
from tapenet.llvm.processor import Registers
from tapenet.ops.layers import quantized
from tests.kernels import test_attention, test_convolution, test_grids, test_normalization, test_recurrent
from tests.kernels.beside import agree, batch_last

R = np.random.default_rng(0)
#: Short ones and few: of machines with SSE2 and AVX2.
MACHINES = {"SSE2": Registers(16, 16), "AVX2": Registers(32, 16)}


def modules() -> list[Any]:
    """Those that write kernels."""
    for found in pkgutil.walk_packages(kernels.__path__, "tapenet.kernels."):
        importlib.import_module(found.name)
    return [module for name, module in sys.modules.items() if name.startswith(("tapenet.kernels", "tapenet.llvm"))]


def forget() -> None:
    """Throw away kernels that were written for one machine."""
    for module in modules():
        if module.__name__.startswith("tapenet.kernels."):
            for value in vars(module).values():
                if hasattr(value, "cache_clear"):
                    value.cache_clear()


@pytest.fixture(params=MACHINES, scope="module")
def machine(request: pytest.FixtureRequest) -> Iterator[Registers]:
    """The registers that code is written for."""
    found = MACHINES[request.param]
    with pytest.MonkeyPatch.context() as patch:
        for module in modules():
            if hasattr(module, "registers"):
                patch.setattr(module, "registers", lambda: found)
        forget()
        yield found
    forget()


#: What modules know as `registers`, before the fixture changes it.
REGISTERS = processor.registers
ASKING = [vars(module)["registers"] for module in modules() if hasattr(module, "registers")]


def test_registers_are_asked_for_by_name() -> None:
    """The fixture finds all that ask for them."""
    assert len(ASKING) > 5
    assert set(ASKING) == {REGISTERS}


@pytest.mark.parametrize("case", [test_convolution.CASES[i] for i in (1, 5)])
def test_convolution_direct(machine: Registers, case: Any) -> None:
    test_convolution.check(*case, "f")


def test_convolution_by_winograd(machine: Registers) -> None:
    winograd = importlib.import_module("tapenet.kernels.winograd")
    assert winograd.pays("f", winograd.Shape(25, 33, 5, 4, 12, (5, 4), (1, 1)))
    test_convolution.check(2, (5, 4), 12, (25, 33, 1), (3, 3), (1, 1, 1), "f")
    test_convolution.by_phases(2, (14, 12), 16, (25, 33, 1), (3, 3), (2, 1, 1), "f")


def test_heads(machine: Registers) -> None:
    test_attention.test_same_as_numpy((2,), 41, 70, 5, 23, True, "f")
    for mask in ("keys", "infinite ones"):
        test_attention.test_masks_and_dropout(mask, 0.4, True, "f")


def test_groups(machine: Registers) -> None:
    test_normalization.test_same_as_numpy("group of many samples", batch_last, "f")


def test_grid(machine: Registers) -> None:
    test_grids.test_same_as_numpy(*test_grids.CASES[2], batch_last, "f")


@pytest.mark.parametrize("kind", ["lstm", "gru"])
def test_recurrent_layers(machine: Registers, kind: str) -> None:
    test_recurrent.check(test_recurrent.Case(kind, (3, 7, 9, 21)), "f")


@pytest.mark.parametrize("dtype", ["f", "d"])
@pytest.mark.parametrize(("rows", "inputs"), [(37, 24), (150, 70)])
def test_products(machine: Registers, rows: int, inputs: int, dtype: str) -> None:
    linear = importlib.import_module("tapenet.kernels.linear")
    x, g, weight = (R.normal(size=s).astype(dtype) for s in ((rows, inputs), (rows, 51), (inputs, 51)))
    integers, scale = quantized.quantized_weight(weight)
    found = (
        *(linear.product(x, weight), linear.product_turned(g, weight), linear.weight_grad(x, g)),
        tn.quantized_linear(g, integers, scale),
    )
    x, g, weight, scale = (a.astype("d") for a in (x, g, weight, scale))
    expected = x @ weight, g @ weight.T, x.T @ g, g @ (integers * scale[:, None]).T
    agree(found, expected, dtype, 2e-6 if dtype == "f" else 1e-14, least=0)
