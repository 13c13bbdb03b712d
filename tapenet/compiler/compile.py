"""`tn.compile`: a function that is captured at its first call and runs as a program from then on.

A call asks for the program of its key (`signature`): the structure of its arguments, shapes and dtypes of the arrays
among them, all else by value, and the thread's switches. Programs of one key differ in what they were captured for
beside that: modes and attributes of modules, options of optimizers, globals. The call that is captured is a real one:
its result stands, and so does all it wrote. If it fails, or does something that a replay could not do again, whatever
it changed is put back.
"""

from __future__ import annotations

import importlib
import inspect
import types
import warnings
from collections.abc import Callable, Sequence
from copy import deepcopy
from functools import partial, update_wrapper
from time import perf_counter
from typing import TYPE_CHECKING, Any, Generic, ParamSpec, TypeVar, overload

import numpy as np
from numpy.typing import ArrayLike

from tapenet.autodiff.state import local
from tapenet.autodiff.tensor import Tensor
from tapenet.compiler.capture import SLOT, Connected, depends, first_call
from tapenet.compiler.connected import InGraph, Linked, fits, flows_of, gradient_of
from tapenet.compiler.explain import Explanation, keeps_changing
from tapenet.compiler.frozen import Freezing
from tapenet.compiler.signature import Call, Key, Parameters, rebuild
from tapenet.compiler.variant import MISS, Variant
from tapenet.llvm import toolchain
from tapenet.locks import lock
from tapenet.ops.stack_frames import user_site
from tapenet.ops.tracebacks import boundary, hide
from tapenet.program.backend import Runner
from tapenet.program.called_ops import Resized
from tapenet.program.passes import Simplified
from tapenet.typing import Array

P = ParamSpec("P")
R = TypeVar("R")

#: Where a backend's `build` is. Loaded at first use: one needs a package that may not be there.
BACKENDS = {"native": "tapenet.program.native", "numpy": "tapenet.program.numpy_backend"}
#: How many programs are tried before a call is looked at closely.
_RECENT = 4
#: After how many calls past it the code that is called is exchanged, which costs as much as several.
_PAST = 8
#: How many kinds of calls that are part of a graph are told apart, at most.
_KINDS = 64
#: Captures run one at a time: they look at state that threads share, and put it back when they fail.
_capturing = lock()


class CompileWarning(UserWarning):
    """A compiled function is slower than it could be."""


def available_backend() -> str:
    """The backend that is used where none is named."""
    return "native" if toolchain.available() else "numpy"


@overload
def compile(
    fn: Callable[P, R],
    *,
    backend: str | None = None,
    max_variants: int = 8,
    keep_grads: bool = False,
    from_first: bool = False,
    lift: bool = False,
    frozen: bool = False,
    quantize: ArrayLike | tuple[ArrayLike, ...] | None = None,
) -> TypedCompiled[P, R]: ...


@overload
def compile(
    fn: None = None,
    *,
    backend: str | None = None,
    max_variants: int = 8,
    keep_grads: bool = False,
    from_first: bool = False,
    lift: bool = False,
    frozen: bool = False,
    quantize: ArrayLike | tuple[ArrayLike, ...] | None = None,
) -> Callable[[Callable[P, R]], TypedCompiled[P, R]]: ...


@boundary
def compile(
    fn: Callable[..., object] | None = None,
    *,
    backend: str | None = None,
    max_variants: int = 8,
    keep_grads: bool = False,
    from_first: bool = False,
    lift: bool = False,
    frozen: bool = False,
    quantize: ArrayLike | tuple[ArrayLike, ...] | None = None,
) -> object:
    """Make a function run as one program. The first call with arguments of a kind is captured: it runs as ever and is
    recorded, with backward passes and optimizer steps. Further calls run the program made of that.

    Takes functions, methods (also where they are defined, as a decorator in the class) and modules.

    - **Arguments** may be trees (`tn.tree`): tuples, lists, dicts, dataclasses. Arrays and NumPy numbers in them are
      tensors inside the function, given anew at each call. Everything else (Python numbers too) is part of the program,
      which is captured anew for another value.
      Other shapes, dtypes and structures are captured anew as well, and so is the function when
      a module's mode or attribute, an optimizer's option or a global that it reads has changed. Native programs are made
      for the memory order of arrays too (row-major, Fortran, the batch innermost ...); what is not dense is copied.
    - **State** is read and written where it is at each call: parameters, buffers, optimizer state, step counts,
      learning rates, schedules, the random generator, arrays that are given to ops. What the names in the function stand
      for is part of the program: numbers, what is in lists, dicts, sets and objects, small arrays that plain NumPy reads.
      The function is captured anew when that changes. To compare what is in a container takes time at each call, some
      10 ns an entry: give a large one as an array.
    - **Results** have the structure that the function returned. Tensors among them are new and in no graph: put
      `backward()` inside. A gradient that an optimizer's step inside has used is None after the call, unless the
      function reads `.grad`, or adds to the gradient of the call before, or `keep_grads` is true; all others are as in
      eager. A tensor argument that is a leaf gets
      its gradient.
    - **In a graph**: where an argument is part of a graph (as inside of `tn.grad` and the like), or a result depends on an
      argument that wants a gradient and no `backward()` inside has used that, graphs stay connected. The first such call runs
      the plain function; from the second on the program is one node of the graph, and its gradients, of any order and by
      parameters too, are compiled functions that compute values anew. The plain function runs where it does more
      than to compute its results: writes, random numbers, `backward()`. `explain()` says which it is. What `tn.grad`,
      `tn.vmap`, `tn.hessian` and the like make of a compiled function is compiled likewise.
    - **Inline**: inside a `tn.Tape()` or another capture (a compiled function, `tn.vmap`, `tn.jvp`) the plain function runs,
      and is part of what is recorded there.
    - **Python** runs only when the function is captured: text that it prints and files that it writes appear then, and
      not at later calls.
    - **Not possible** while a function is captured, and an error that names your line: asking a tensor for its value
      (`if`, `float()`, `print`), changing globals, lists or attributes, keeping a tensor anywhere but in the results,
      drawing random numbers other than by `tn.random`. A failed capture leaves everything as it was.

    Args:
        fn: the function; None to make a decorator with options.
        backend: "native" (machine code, needs `pip install tapenet[jit]`), "numpy", or None for the best there is.
        max_variants: how many programs are made. Then a warning says what keeps changing, and calls that fit none of
            them run the plain function.
        keep_grads: leave all gradients after a call as in eager.
        from_first: what the captured call did is put back, and its program run in its place. So a run is bit for bit the
            same whether its programs were made at its beginning or, when it was resumed, in its middle.
        lift: the function is a NumPy program, as `tn.lift` takes it: what it writes to its arguments is there after each
            call, loops and branches are part of the program. Its first call is as with `from_first`.
        frozen: parameters, buffers and all other arrays that the function reads from outside are constants of the program,
            as they are when it is captured: what is written to them later is not seen. For a trained model, in eval mode:
            what depends on them alone is computed once, and batch norms become part of the weights before them. A function
            that writes to them, or computes their gradients, is refused with an error. In a graph it runs uncompiled.
        quantize: of a frozen model, examples of its argument along the first axis, any number of them (for several arguments
            a tuple of arrays): convolutions and products with parameters are computed in integers of 8 bits, with scales
            that the examples give. A hundred examples like those to come are enough. Results differ from those of floats
            by some percent; larger numbers than the examples led to become the largest.

    Raises:
        ImportError: backend="native" and llvmlite is not installed, or makes no code that runs.
        TypeError: `fn` cannot be called, or is a generator function or a coroutine.
        ValueError: `quantize` without `frozen`; at the first call, examples that do not fit the arguments.

    >>> import tapenet as tn
    >>> from tapenet import nn, optim
    >>> net = nn.Linear(2, 1)
    >>> opt = optim.SGD(net.parameters(), lr=0.1)
    >>> @tn.compile
    ... def step(x, y):
    ...     loss = ((net(x) - y) ** 2).mean()
    ...     opt.zero_grad()
    ...     loss.backward()
    ...     opt.step()
    ...     return loss
    >>> import numpy as np
    >>> x, y = np.ones((4, 2), np.float32), np.zeros((4, 1), np.float32)
    >>> losses = [step(x, y).item() for _ in range(10)]
    >>> losses[-1] < losses[0], len(step.variants)
    (True, 1)
    """
    if fn is None:
        return partial(
            compile, backend=backend, max_variants=max_variants, keep_grads=keep_grads, from_first=from_first, lift=lift,
            frozen=frozen, quantize=quantize,
        )  # fmt: skip
    if quantize is not None and not frozen:
        raise ValueError("tn.compile: quantize= is for frozen models: give frozen=True too")
    how: bool | tuple[Array, ...] = frozen
    if isinstance(quantize, tuple) and not quantize:
        raise ValueError("tn.compile: quantize=() has no examples: give an array for each argument")
    if quantize is not None:  # all calls give what the program gives, the first one too
        how = tuple(np.array(q, order="C") for q in (quantize if isinstance(quantize, tuple) else (quantize,)))
        from_first = True
    kind = importlib.import_module("tapenet.lifting.compiled").CompiledLift if lift else Compiled
    return kind(fn, backend, max_variants, keep_grads, from_first, how)


class Compiled:
    """A function made by `tn.compile`. Called like the function itself, which is its `__wrapped__`.

    A call takes the first of these that applies:

    1. the program that ran last, whose code is the object's `__call__` (`_call_by`), or one of those before it (`missed`);
    2. where the call is part of a graph: the program as one node of that (`_connected`);
    3. a program that was made for the call's key, and still holds (`_general`);
    4. a capture, which makes a new program (`_new`);
    5. once there are `max_variants` programs: the plain function (`_eager`).
    """

    __wrapped__: Callable[..., object]

    def __init__(
        self, fn: Callable[..., object], backend: str | None, max_variants: int, keep_grads: bool, from_first: bool,
        frozen: bool | tuple[Array, ...] = False,
    ) -> None:  # fmt: skip
        plain = isinstance(fn, (types.FunctionType, types.MethodType))
        object.__setattr__(self, "_plain", plain)
        object.__setattr__(self, "__wrapped__", fn)
        if isinstance(fn, (staticmethod, classmethod)):
            raise TypeError(f"tn.compile: write @{type(fn).__name__} above @tn.compile, not below")
        if not callable(fn):
            raise TypeError(f"tn.compile takes a function, a method or a module, not {type(fn).__name__}")
        target = fn if plain else type(fn).__call__
        for kind in (inspect.isgeneratorfunction, inspect.iscoroutinefunction, inspect.isasyncgenfunction):
            if kind(target):
                raise TypeError(
                    f"tn.compile: {_title(fn)} is a {kind.__name__[2:].removesuffix('function')} function, which does not "
                    "run when it is called: compile the function that it calls for each of its steps"
                )
        if max_variants < 1:
            raise ValueError(f"tn.compile: max_variants={max_variants} must be at least 1")
        self._backend = _checked_backend(backend)
        self._max_variants = max_variants
        self._keep_grads = keep_grads
        self._from_first = from_first
        self._frozen = frozen
        #: The arguments after `fn`, for a copy.
        self._options = self._backend, max_variants, keep_grads, from_first, frozen
        if plain:
            update_wrapper(self, fn)
        else:
            self.__doc__ = fn.__doc__
        self._title = _title(fn)
        self._parameters = Parameters(fn if plain else getattr(fn, "forward", fn), self._title)
        self._variants: dict[Key, list[Variant]] = {}
        #: How often it was captured.
        self._captures = 0
        #: Why a capture gave no program, though it did not fail.
        self._doubt = ""
        #: Keys of calls that must stay part of a graph.
        self._inline: set[Key] = set()
        #: What is known of them, by key and by which arrays among the arguments are part of a graph.
        self._graphs: dict[Key, InGraph] = {}
        #: What transformations made of it.
        self._transformed: dict[object, Compiled] = {}
        self._warned = self._warned_unseen = False
        #: The programs that were used last, and how many calls went past the one whose code is the object's `__call__`.
        self._recent: list[Variant] = []
        self._past = 0
        #: Whether a capture's values are looked at by nobody.
        self._sketches = False
        #: Under which attribute an object keeps its own, where this is a method.
        self._slot = f"{SLOT}{getattr(fn, '__module__', '')}.{getattr(fn, '__qualname__', '')}>"

    # -- calling -------------------------------------------------------------------------------------------------

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        # The code of a program takes the place of this, in a class of the object's own: what lies in between would cost a
        # fifth of a small op.
        try:
            return self.missed(args, kwargs)
        except Exception as error:
            hide(error)
            raise

    def _call_by(self, variant: Variant) -> None:
        """Have the code of a program be what is called."""
        self._past = 0
        kind = type(self)
        if kind is Compiled:
            made = type("Compiled", (Compiled,), {"__module__": Compiled.__module__, "__call__": variant.fast})
            object.__setattr__(self, "__class__", made)
        elif not issubclass(kind, _Transformed) and kind.__call__ is not variant.fast:
            kind.__call__ = variant.fast  # type: ignore[method-assign,assignment]

    def missed(self, args: tuple[object, ...], kwargs: dict[str, object]) -> object:
        """A call to which the code of the program that was used last does not apply."""
        if kwargs:
            args, kwargs = self._parameters.place(args, kwargs)
        if not kwargs:  # one of the programs before may: calls of two kinds take turns
            for recent in self._recent:
                result = MISS if recent.fast is None else recent.fast(None, *args)
                if result is not MISS:
                    self._past += 1
                    if self._past == _PAST:
                        self._call_by(recent)
                    return result
        profile = local.state.profile
        if profile is None:
            return self._general(args, kwargs)
        start = perf_counter()
        result = self._general(args, kwargs)
        profile += (f"compiled {self._title}", start, perf_counter())
        return result

    def _general(self, args: tuple[object, ...], kwargs: dict[str, object]) -> object:
        """A call to which none of the latest programs applies by its code."""
        state = local.state
        call = self._parameters.call(args, kwargs, state.grad)
        key = call.key, state.grad, state.debug, state.autocast
        if state.tape is not None:
            return self._eager(call)
        if call.connected or key in self._inline:
            return self._connected(key, call)
        variant = self._fitting(key, call)
        if variant is None:
            with _capturing:
                variant = self._fitting(key, call)  # another thread may have made it meanwhile
                if variant is None:
                    return self._new(key, call)
        if variant.redone is not None:
            return self._sized(key, call)
        variant.specialise(call)
        if variant.fast is not None:
            self._call_by(variant)
        self._recent = [variant, *(v for v in self._recent if v is not variant)][:_RECENT]
        return variant.run(call)

    def _freezing(self) -> Freezing | None:
        examples = self._frozen if isinstance(self._frozen, tuple) else None
        return Freezing(self._backend == "native", examples) if self._frozen else None

    def _fitting(self, key: Key, call: Call) -> Variant | None:
        """The program that fits a call, if there is one."""
        for variant in self._variants.get(key, ()):
            if variant.begins_with(call.leaves) and variant.holds():
                return variant
        return None

    def _sized(self, key: Key, call: Call) -> object:
        """A call whose values decide how many elements there are: run the program that was made for that number, if
        there is one."""
        for variant in self._variants[key]:
            if variant.begins_with(call.leaves) and variant.holds():
                states = [(g, g.bit_generator.state) for g in variant.redone or ()]
                try:
                    return variant.run(call)
                except Resized:
                    for generator, state in states:
                        generator.bit_generator.state = state
        with _capturing:
            return self._new(key, call)

    def _new(self, key: Key, call: Call) -> object:
        """A call that no program fits: capture it, or run it uncompiled where there are programs enough."""
        doubted = self._doubted(key, call)
        if self._captures >= self._max_variants and not doubted:
            self._warn()
            result = self._eager(call)
            return result if depends(result, call) else rebuild(result, _detached)
        self._captures += 1
        try:
            result, variant = first_call(
                self.__wrapped__, self._parameters, key, call, self._keep_grads, self._from_first, self._build,
                self._warn_unseen, sketches=self._sketches,
                frozen=self._freezing(), doubted=doubted,
            )  # fmt: skip
        except Connected:
            self._inline.add(key)
            self._captures -= 1
            return self._connected(key, call)
        except BaseException:
            self._captures -= 1
            raise
        if isinstance(variant, str):
            self._doubt = variant
            if result is MISS:
                return self._eager(call)
        else:
            self._keep(key, variant)
            if result is MISS:
                return variant.run(call) if variant.holds() else self._eager(call)
        return result

    def _doubted(self, key: Key, call: Call) -> list[Variant]:
        """The programs that fit a call but for arrays that have changed and that ops read.

        They fit if plain NumPy reads none of these. To find out takes a capture, which is not made beyond twice
        `max_variants`.
        """
        if self._captures >= 2 * self._max_variants:
            return []
        known = self._variants.get(key, ())
        return [v for v in known if v.begins_with(call.leaves) and v.holds(but_read=True) and not v.holds()]

    def _keep(self, key: Key, variant: Variant) -> None:
        """Keep a program for later calls, unless it is kept already or there are `max_variants`."""
        known = self._variants.setdefault(key, [])
        if variant in known:
            self._captures -= 1
        elif self._captures <= self._max_variants:
            known.append(variant)

    def in_graph(self, *args: object, **kwargs: object) -> object:
        """A call that is part of a graph even where no argument is: what the function reads from outside may be."""
        args, kwargs = self._parameters.place(args, kwargs)
        call = self._parameters.call(args, kwargs, local.state.grad)
        if local.state.tape is not None:
            return self._eager(call)
        return self._connected((call.key, local.state.grad, local.state.debug, local.state.autocast), call)

    def transformed(self, key: object, make: Callable[[Callable[..., object]], Callable[..., object]]) -> Compiled:
        """A function made of the plain one, compiled as this one is; the same one for the same key."""
        return self._of_plain(key, make, self.__wrapped__)

    def _of_plain(
        self, key: object, make: Callable[[Callable[..., object]], Callable[..., object]], plain: Callable[..., object]
    ) -> Compiled:
        try:
            found = self._transformed.get(key)
        except TypeError:  # a list among the options
            return _Transformed(make(plain), self._backend, self._max_variants, False, False)
        if found is None:
            found = _Transformed(make(plain), self._backend, self._max_variants, False, False)
            self._transformed[key] = found
        return found

    def _connected(self, key: Key, call: Call) -> object:
        """A call whose result is part of a graph. The first of a kind runs uncompiled, and shows what gradients flow
        through; from the second on it is one node."""
        which = (*key, *(type(t) is Tensor and t._node is not None for t in call.given))
        known = self._graphs.get(which)
        if known is None:
            result = self._eager(call)
            if len(self._graphs) < _KINDS:
                self._graphs[which] = InGraph(flows_of(result))
            return result
        if local.state.fast and not known.plain:
            for linked in known.linked:
                if linked.variant.holds():
                    return linked.run(call)
            with _capturing:
                made = self._linked(key, call, known.flows)
            if isinstance(made, Linked):
                made = next((linked for linked in known.linked if linked.variant is made.variant), made)
                if made not in known.linked:
                    known.linked.append(made)
                return made.run(call)
            known.plain = made
        return self._eager(call)

    def _linked(self, key: Key, call: Call, flows: list[bool]) -> Linked | str:
        """The program for a call that is part of a graph; or in words why it has to run uncompiled."""
        if self._frozen:
            return "it is frozen, and gradients are those by the parameters as they are"

        def apart(value: object) -> object:
            """An argument in no graph. One that wants a gradient still does: the function may ask for that, and for what it
            does then no program is part of a graph."""
            if type(value) is not Tensor:
                return value
            return Tensor._of(value._data).requires_grad_(call.grad and value.requires_grad)

        alone = self._parameters.call(
            tuple(rebuild(a, apart) for a in call.args),
            {n: rebuild(v, apart) for n, v in call.kwargs.items()},
            call.grad,
        )
        key = (alone.key, *key[1:])
        variant = self._fitting(key, alone)
        if variant is None:
            doubted = self._doubted(key, alone)
            if self._captures >= self._max_variants and not doubted:
                return f"there are {self._max_variants} programs"
            self._captures += 1
            found: Variant | str
            try:
                _, found = first_call(
                    self.__wrapped__, self._parameters, key, alone, self._keep_grads, True, self._build, _refuse_unseen, True,
                    doubted=doubted,
                )  # fmt: skip
            except Exception as error:  # uncompiled it may well run; where not, it raises this again
                found = str(error)
            if isinstance(found, str) or not found.holds():
                self._captures -= 1
                return found if isinstance(found, str) else "it changes what it reads"
            variant = found
            self._keep(key, variant)
        if not fits(variant):
            return "it does more than to compute its results, or a tensor that it reads is part of a graph or has hooks"

        def compiled(wanted: Sequence[int], leaves: Sequence[Tensor]) -> Compiled:
            pulled = gradient_of(self.__wrapped__, self._title, wanted, leaves)
            return Compiled(pulled, self._backend, self._max_variants, False, False)

        return Linked(variant, call, flows, compiled)

    def _build(self, program: Simplified) -> Runner:
        given = program if self._backend == "native" else program.program
        runner: Runner = importlib.import_module(BACKENDS[self._backend]).build(given)
        return runner

    def _eager(self, call: Call) -> object:
        """Run the plain function; arrays are tensors inside, as in a program."""

        def tensor(value: object) -> Tensor:
            return value if type(value) is Tensor else Tensor._of(np.asarray(value))

        return self.__wrapped__(
            *(rebuild(a, tensor) for a in call.args), **{n: rebuild(v, tensor) for n, v in call.kwargs.items()}
        )

    def _warn(self) -> None:
        if self._warned:
            return
        self._warned = True
        file, line = user_site()
        doubt = f" Of some no program could be made: {self._doubt}." if self._doubt else ""
        warnings.warn_explicit(
            f"{self._title} was captured {self._captures} times, and runs uncompiled from now on where none of these "
            f"programs fits. {keeps_changing(self.variants, self._parameters)}{doubt}",
            CompileWarning,
            file,
            line,
        )

    def _warn_unseen(self, array: str) -> None:
        """Warn of an array that plain NumPy may have read: such a read happens once, at the capture."""
        if self._warned_unseen:
            return
        file, line = user_site()
        warnings.warn_explicit(
            f"{self._title} names {array}, and gives it to no op: what NumPy computes of it is computed once, when the "
            "function is captured, and stays as it is when the array changes. Compute with tn.asarray of it, give it as an "
            "argument, or, if it never changes, set its flags.writeable = False",
            CompileWarning,
            file,
            line,
        )
        self._warned_unseen = True  # not where it is an error, which the next call is then too

    # -- what there is -------------------------------------------------------------------------------------------

    @property
    def doubt(self) -> str:
        """Why the last capture gave no program though it did not fail; "" if there was no such capture."""
        return self._doubt

    @property
    def variants(self) -> tuple[Variant, ...]:
        """The programs made so far, in order."""
        return tuple(variant for variants in list(self._variants.values()) for variant in variants)

    def explain(self, full: bool = False) -> Explanation:
        """What was compiled and how: for which arguments there are programs, how much they compute and move, in how many
        kernels, and which ops are called as they are and why. To be printed.

        Args:
            full: show the programs too, before and after all passes, and all that the backend made of them: for a model of
                a few layers hundreds of lines.

        >>> import numpy as np, tapenet as tn
        >>> f = tn.compile(lambda x: tn.exp(x).sum(), backend="numpy")
        >>> f(np.zeros(3)).item()
        3.0
        >>> print(f.explain())  # doctest: +ELLIPSIS
        <lambda>: 1 program, backend numpy
        ...
        """
        return Explanation(self._title, self._backend, self.variants, self._parameters, [*self._graphs.values()], full)

    # -- where it is a method, or stands for a module --------------------------------------------------------------

    def __get__(self, instance: object, owner: type | None = None) -> object:
        if instance is None:
            return self
        if isinstance(instance, type):
            return types.MethodType(self, instance)  # of a class method
        try:
            attributes = instance.__dict__
        except AttributeError:
            raise TypeError(
                f"{self._title} is compiled in a class whose objects have no __dict__, where programs could be kept: "
                "compile the method of the object, tn.compile(object.method)"
            ) from None
        found = attributes.get(self._slot)
        bound = types.MethodType(self.__wrapped__, instance)
        if found is None or found.__wrapped__ != bound:  # of the object that this one is a copy of
            found = attributes[self._slot] = Compiled(bound, *self._options)
        return found

    def __getattr__(self, name: str) -> Any:
        return getattr(self.__wrapped__, name)

    def __setattr__(self, name: str, value: object) -> None:
        if self._plain or name.startswith("_"):
            object.__setattr__(self, name, value)
        else:
            setattr(self.__wrapped__, name, value)  # net.training = False is meant for the module

    def __copy__(self) -> Compiled:
        return self

    def __deepcopy__(self, memo: dict[int, object]) -> Compiled:
        if isinstance(self.__wrapped__, types.FunctionType):
            return self
        return Compiled(deepcopy(self.__wrapped__, memo), *self._options)

    def __reduce__(self) -> str | tuple[object, ...]:
        if isinstance(self.__wrapped__, types.FunctionType):
            return str(self.__qualname__)  # pickled by name, as functions are
        return Compiled, (self.__wrapped__, *self._options)

    def __repr__(self) -> str:
        count = len(self.variants)
        return f"<compiled {self._title}: {count} program{'' if count == 1 else 's'}, backend {self._backend}>"


class _Transformed(Compiled):
    """What a transformation made of a compiled function: where what that reads from outside is part of a graph, it is too."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.in_graph(*args, **kwargs)


def _refuse_unseen(array: str) -> None:
    """Make no program that needs a warning."""
    raise CompileWarning(f"it names {array}, and gives it to no op")


if TYPE_CHECKING:

    class TypedCompiled(Compiled, Generic[P, R]):
        """A compiled function as type checkers see it: with the signature of the function."""

        def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R: ...


def _title(fn: object) -> str:
    """A function's name, or a module's class."""
    if isinstance(fn, partial):
        return _title(fn.func)
    return getattr(fn, "__name__", None) or type(fn).__name__


def _detached(value: object) -> object:
    """A result as a program gives it: new, and in no graph."""
    if type(value) is Tensor:
        return Tensor._of(np.array(value._data, order="K"))
    return value if isinstance(value, np.generic) else np.array(value, order="K")


def _checked_backend(name: str | None) -> str:
    if name is None:
        return available_backend()
    if name not in BACKENDS:
        raise ValueError(f"tn.compile: there is no backend {name!r}; there are {', '.join(map(repr, BACKENDS))}")
    if name == "native" and available_backend() != "native":
        raise ImportError(
            "tn.compile(backend='native') needs llvmlite, 0.45 or later: pip install -U tapenet[jit], or leave backend= out "
            "to use NumPy"
        )
    return name
