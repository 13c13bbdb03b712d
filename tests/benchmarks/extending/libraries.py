"""How each library differentiates, compiles and batches a function, behind one set of names."""

from __future__ import annotations

import importlib
import re
import sys
from collections.abc import Callable, Sequence
from functools import cache, cached_property
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np

from tests.benchmarks.extending import cookbook

Function = Callable[..., Any]


class Library:
    """One library. Its functions take and give its own arrays; `gradient` is by all arguments and can be nested."""

    name: str
    checker: str
    #: How its compiled functions are made, by name.
    compilers: tuple[str, ...] = ()

    def source(self, recipe: str) -> str:
        """The lines that make an op."""
        return self._sections[recipe]

    @cache  # noqa: B019
    def op(self, recipe: str) -> Function:
        """The op."""
        # A module, since compilers look for what the code names there.
        module = sys.modules[f"{self.name}_{recipe}"] = ModuleType(f"{self.name}_{recipe}")
        vars(module).update(self._prelude | {"__name__": module.__name__})
        exec(compile(self.source(recipe), f"<{self.name}, {recipe}>", "exec"), vars(module))
        made: Function = getattr(module, recipe)
        return made

    @property
    def _file(self) -> Path:
        return Path(__file__).with_name(f"{self.name}_side.py")

    @cached_property
    def _parts(self) -> list[str]:
        return re.split(r"^# -- (\w+)\n", self._file.read_text(encoding="utf-8"), flags=re.MULTILINE)

    @cached_property
    def _sections(self) -> dict[str, str]:
        return dict(zip(self._parts[1::2], self._parts[2::2], strict=True))

    @cached_property
    def _prelude(self) -> dict[str, Any]:
        found: dict[str, Any] = {"__name__": f"{self.name}_side"}
        exec(compile(self._parts[0], str(self._file), "exec"), found)
        return found

    def array(self, value: object) -> Any:
        raise NotImplementedError

    def numpy(self, value: Any) -> Any:
        return np.asarray(value)

    def parts(self, value: Any) -> list[Any]:
        """The real and the imaginary part."""
        return [np.real(value), np.imag(value)]

    def seed(self) -> None:
        """Begin the random numbers anew."""

    def gradient(self, f: Function) -> Function:
        raise NotImplementedError

    def jvp(self, f: Function, points: Sequence[Any], tangents: Sequence[Any]) -> Any:
        raise NotImplementedError

    def vmap(self, f: Function) -> Function:
        """`f` of a batch of each argument."""
        raise NotImplementedError

    def vmap_gradient(self, f: Function) -> Function:
        """The gradients of `f` for a batch of each argument."""
        return self.vmap(self.gradient(f))

    def compiled(self, f: Function, how: str) -> Function:
        raise NotImplementedError

    def compiled_gradient(self, f: Function, how: str) -> Function:
        return self.compiled(self.gradient(f), how)

    def done(self, result: object) -> object:
        """The result, computed."""
        return result

    def made(self, name: str, forward: Function, rule: Function, count: int) -> Function:
        """An op of so many arguments with one rule for all; both get the library's NumPy first."""
        raise NotImplementedError

    def check(self, op: Function, arguments: Sequence[object]) -> None:
        """What the library has to check a rule with; it raises where that is wrong."""
        raise NotImplementedError


class Tapenet(Library):
    name = "tapenet"
    checker = "tn.testing.check_op"
    compilers = ("numpy", "native")

    @cached_property
    def tn(self) -> Any:
        return importlib.import_module("tapenet")

    def source(self, recipe: str) -> str:
        return cookbook.section(recipe)

    @cached_property
    def _prelude(self) -> dict[str, Any]:
        return {"tn": self.tn, **vars(cookbook.foreign())}

    def array(self, value: object) -> Any:
        return self.tn.tensor(value)

    def numpy(self, value: Any) -> Any:
        return np.asarray(value.data if isinstance(value, self.tn.Tensor) else value)

    def seed(self) -> None:
        self.tn.random.seed(0)

    def gradient(self, f: Function) -> Function:
        def found(*points: Any) -> Any:
            return self.tn.grad(f, argnums=tuple(range(len(points))))(*points)

        return found

    def jvp(self, f: Function, points: Sequence[Any], tangents: Sequence[Any]) -> Any:
        return self.tn.jvp(f, tuple(points), tuple(tangents))[1]

    def vmap(self, f: Function) -> Function:
        made: Function = self.tn.vmap(f, randomness="different")
        return made

    def compiled(self, f: Function, how: str) -> Function:
        made: Function = self.tn.compile(f, backend=how)
        return made

    def made(self, name: str, forward: Function, rule: Function, count: int) -> Function:
        xp = SimpleNamespace(**vars(np), constant=self.tn.stop_gradient)
        if count == 1:
            return self.tn.op(
                lambda x: forward(xp, x),
                name=name,
                joint=lambda g, x: dict(zip("x", rule(xp, g, x), strict=True)),
                doc="?",
            )
        return self.tn.op(
            lambda x, y: forward(xp, x, y),
            name=name,
            joint=lambda g, x, y: dict(zip("xy", rule(xp, g, x, y), strict=True)),
            doc="?",
        )

    def check(self, op: Function, arguments: Sequence[object]) -> None:
        self.tn.testing.check_op(op, [self.tn.sample(*arguments)])


class Jax(Library):
    name = "jax"
    checker = "jax.test_util.check_grads"
    compilers = ("jit",)

    @cached_property
    def jax(self) -> Any:
        jax = importlib.import_module("jax")
        jax.config.update("jax_enable_x64", True)
        return jax

    def op(self, recipe: str) -> Function:
        op = super().op(recipe)
        if recipe == "waiting_time":
            return lambda rate: op(rate, self.jax.random.key(0))
        return op

    def array(self, value: object) -> Any:
        return self.jax.numpy.asarray(value)

    def parts(self, value: Any) -> list[Any]:
        return [value.real, value.imag]

    def gradient(self, f: Function) -> Function:
        def found(*points: Any) -> Any:
            return self.jax.grad(f, argnums=tuple(range(len(points))))(*points)

        return found

    def jvp(self, f: Function, points: Sequence[Any], tangents: Sequence[Any]) -> Any:
        return self.jax.jvp(f, tuple(points), tuple(tangents))[1]

    def vmap(self, f: Function) -> Function:
        made: Function = self.jax.vmap(f)
        return made

    def compiled(self, f: Function, how: str) -> Function:
        made: Function = self.jax.jit(f)
        return made

    def done(self, result: object) -> object:
        return self.jax.block_until_ready(result)

    def made(self, name: str, forward: Function, rule: Function, count: int) -> Function:
        xp = SimpleNamespace(**vars(self.jax.numpy), constant=self.jax.lax.stop_gradient)

        @self.jax.custom_vjp
        def op(*given: Any) -> Any:
            return forward(xp, *given)

        op.defvjp(lambda *given: (forward(xp, *given), given), lambda given, g: rule(xp, g, *given))
        return op

    def check(self, op: Function, arguments: Sequence[object]) -> None:
        util = importlib.import_module("jax.test_util")
        util.check_grads(op, tuple(map(self.array, arguments)), order=2, modes=("rev",))


class Torch(Library):
    name = "torch"
    checker = "torch.autograd.gradcheck"
    compilers = ("aot_eager",)

    @cached_property
    def torch(self) -> Any:
        return importlib.import_module("torch")

    def array(self, value: object) -> Any:
        return self.torch.tensor(value)

    def numpy(self, value: Any) -> Any:
        value = value.detach()
        return (value.to_dense() if value.is_sparse else value).resolve_conj().numpy()

    def parts(self, value: Any) -> list[Any]:
        return [value.real, value.imag]

    def seed(self) -> None:
        self.torch.manual_seed(0)

    def gradient(self, f: Function) -> Function:
        def found(*points: Any) -> Any:
            given = [p if p.requires_grad else p.detach().requires_grad_() for p in points]
            got = self.torch.autograd.grad(f(*given), given, create_graph=True, materialize_grads=True)
            return [g.to_dense() if g.is_sparse else g for g in got]

        return found

    def jvp(self, f: Function, points: Sequence[Any], tangents: Sequence[Any]) -> Any:
        return self.torch.func.jvp(f, tuple(points), tuple(tangents))[1]

    def vmap(self, f: Function) -> Function:
        made: Function = self.torch.func.vmap(f, randomness="different")
        return made

    def vmap_gradient(self, f: Function) -> Function:
        def found(*points: Any) -> Any:
            # torch.func.grad takes no custom op.
            return self.gradient(lambda *given: self.vmap(f)(*given).sum())(*points)

        return found

    def compiled(self, f: Function, how: str) -> Function:
        self.torch.compiler.reset()  # it compiles only so many functions of the same code
        made: Function = self.torch.compile(f, backend=how, fullgraph=True)
        return made

    def compiled_gradient(self, f: Function, how: str) -> Function:
        return self.gradient(self.compiled(f, how))

    def made(self, name: str, forward: Function, rule: Function, count: int) -> Function:
        xp = SimpleNamespace(**vars(self.torch), constant=self.torch.detach)

        class Made(self.torch.autograd.Function):  # type: ignore[misc, name-defined]
            @staticmethod
            def forward(ctx: Any, *given: Any) -> Any:
                ctx.save_for_backward(*given)
                return forward(xp, *given)

            @staticmethod
            def backward(ctx: Any, g: Any) -> Any:
                return rule(xp, g, *ctx.saved_tensors)

        return Made.apply

    def check(self, op: Function, arguments: Sequence[object]) -> None:
        given = [self.array(a).requires_grad_() for a in arguments]
        self.torch.autograd.gradcheck(op, given)
        self.torch.autograd.gradgradcheck(op, given)


class Autograd(Library):
    name = "autograd"
    checker = "autograd.test_util.check_grads"

    @cached_property
    def autograd(self) -> Any:
        return importlib.import_module("autograd")

    def array(self, value: object) -> Any:
        return np.array(value)

    def parts(self, value: Any) -> list[Any]:
        numpy = importlib.import_module("autograd.numpy")
        return [numpy.real(value), numpy.imag(value)]

    def seed(self) -> None:
        np.random.seed(0)

    def gradient(self, f: Function) -> Function:
        def found(*points: Any) -> Any:
            return self.autograd.grad(f, argnum=tuple(range(len(points))))(*points)

        return found

    def jvp(self, f: Function, points: Sequence[Any], tangents: Sequence[Any]) -> Any:
        make = self.autograd.make_jvp
        return sum(make(f, argnum=i)(*points)(way)[1] for i, way in enumerate(tangents))

    def made(self, name: str, forward: Function, rule: Function, count: int) -> Function:
        xp = SimpleNamespace(**vars(importlib.import_module("autograd.numpy")), constant=self.autograd.tracer.getval)
        extend = importlib.import_module("autograd.extend")
        op: Function = extend.primitive(lambda *given: forward(xp, *given))
        extend.defvjp_argnums(
            op, lambda argnums, out, given, _: lambda g: tuple(rule(xp, g, *given)[i] for i in argnums)
        )
        return op

    def check(self, op: Function, arguments: Sequence[object]) -> None:
        util = importlib.import_module("autograd.test_util")
        for i in range(len(arguments)):
            util.check_grads(op, i, modes=["rev"], order=2)(*arguments)


LIBRARIES: dict[str, Callable[[], Library]] = {"tapenet": Tapenet, "jax": Jax, "torch": Torch, "autograd": Autograd}
