"""Linear systems: from one form to another, and what they answer."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

import numpy as np

from tapenet.ops.derived import array_like, known
from tapenet.ops.registry import sample
from tapenet.scipy.followed import followed, scipys
from tapenet.scipy.interpolate import make_interp_spline
from tapenet.scipy.linalg import expm
from tapenet.scipy.signal.design import zpk2tf
from tapenet.scipy.signal.normalization import normalize
from tapenet.scipy.signal.responses import freqs
from tapenet.typing import Array

if TYPE_CHECKING:
    from tapenet.typing import ArrayLike

States = tuple[Array, Array, Array, Array]


class _Object(Protocol):
    """A system of SciPy's."""

    @property
    def dt(self) -> float | None: ...


#: (b, a), (zeros, poles, gain), (A, B, C, D), or an object of SciPy's.
System = Sequence["ArrayLike"] | _Object

#: What SciPy's classes of systems are made of.
_PARTS = {"TransferFunction": ("num", "den"), "ZerosPolesGain": ("zeros", "poles", "gain"), "StateSpace": tuple("ABCD")}


def _form(name: str, system: System, discrete: bool = False) -> tuple[ArrayLike, ...]:
    """A system as a tuple; of a discrete one its step of time is the last part."""
    if isinstance(system, (tuple, list)):
        return _form(name, system[0]) if len(system) == 1 else tuple(system)  # type: ignore[arg-type]
    for kind, parts in _PARTS.items():
        if isinstance(system, scipys(f"signal.{kind}")):  # type: ignore[arg-type]
            if (system.dt is None) == discrete:  # type: ignore[union-attr]
                raise AttributeError(
                    f"{name} can only be used with {'discrete' if discrete else 'continuous'}-time systems"
                )
            found = tuple(getattr(system, part) for part in parts)
            return (*found, system.dt) if discrete else found  # type: ignore[union-attr,arg-type]
    raise TypeError(f"{name}: a system is a tuple of its parts or a system of SciPy's, not {type(system).__name__}")


def tf2ss(num: ArrayLike, den: ArrayLike) -> States:
    """The matrices A, B, C, D of a system that is given by its coefficients, in controller form.

    Args:
        num: the numerator; several outputs have a row each.
        den: the denominator, with at least as many coefficients, the first of which is not 0.

    Raises:
        ValueError: more coefficients in the numerator.

    >>> import tapenet as tn
    >>> tn.scipy.signal.tf2ss([1.0], tn.tensor([1.0, 3.0, 2.0]))[0]
    Tensor([[-3., -2.],
            [ 1.,  0.]])
    """
    top, a = normalize(num, den)
    top, k = np.atleast_2d(top), a.shape[0]
    if top.shape[1] > k:
        raise ValueError(
            f"tf2ss: improper transfer function: {top.shape[1]} coefficients in the numerator, {k} in the denominator"
        )
    if top.shape[1] < k:
        top = np.concatenate([np.zeros((top.shape[0], k - top.shape[1])), top], 1)
    D = top[:, :1]
    if k == 1:
        return np.zeros((1, 1)), np.zeros((1, 1)), np.zeros((top.shape[0], 1)), D
    A = np.concatenate([-a[np.newaxis, 1:], np.eye(k - 2, k - 1)])
    return A, np.eye(k - 1, 1), top[:, 1:] - D * a[1:], D


def _characteristic(A: Array) -> Array:
    """The coefficients of det(s - A), by Faddeev and Leverrier's recursion: polynomials in the elements of A."""
    n = A.shape[0]
    M, c = np.zeros((n, n)), np.ones(1)
    for k in range(1, n + 1):
        M = A @ M + c[k - 1] * np.eye(n)
        c = np.concatenate([c, np.reshape(-np.trace(A @ M) / k, 1)])
    return c


@followed(
    "signal.ss2tf", "A", "B", "C", "D", outputs=2, gradients="those of det(s - A) and det(s - A + B C)",
    samples=lambda r: [
        sample(r.normal(size=(3, 3)), r.normal(size=(3, 1)), r.normal(size=(1, 3)), r.normal(size=(1, 1))),
        sample(r.normal(size=(2, 2)), r.normal(size=(2, 2)), r.normal(size=(2, 2)), r.normal(size=(2, 2)), 1),
    ],
)  # fmt: skip
def ss2tf(A: Array, B: Array, C: Array, D: Array, input: int = 0) -> tuple[Array, Array]:
    """The coefficients of a system that is given by its matrices, from one of its inputs to all outputs.

    >>> import tapenet as tn
    >>> tn.scipy.signal.ss2tf(tn.tensor([[-3.0, -2.0], [1.0, 0.0]]), [[1.0], [0.0]], [[0.0, 1.0]], [[0.0]])[1]
    Tensor([1., 3., 2.])
    """
    b, d = B[:, input : input + 1], D[:, input : input + 1]
    den = _characteristic(A)
    rows = [_characteristic(A - b * C[k : k + 1]) + (d[k] - 1) * den for k in range(C.shape[0])]
    return np.stack(rows), den


def zpk2ss(z: ArrayLike, p: ArrayLike, k: ArrayLike) -> States:
    """The matrices of a system that is given by its zeros, poles and gain.

    >>> import tapenet as tn
    >>> tn.scipy.signal.zpk2ss([], [-1.0], tn.tensor(2.0))[2]
    Tensor([[2.]])
    """
    return tf2ss(*zpk2tf(z, p, k))


def _matrices(system: Sequence[ArrayLike]) -> States:
    """The matrices of a system in any form."""
    if len(system) == 4:
        A, B, C, D = (np.atleast_2d(array_like(m)) for m in system)
        return A, B, C, D
    if len(system) not in (2, 3):
        raise ValueError(f"a system is (b, a), (zeros, poles, gain) or (A, B, C, D), not {len(system)} parts")
    return tf2ss(*system) if len(system) == 2 else zpk2ss(*system)


def _followed(step: Array, start: Array, pushes: Array) -> Array:
    """The rows s[0] = start, s[i] = s[i - 1] @ step + pushes[i - 1], by doubling: sums over 1, 2, 4, ... steps."""
    states = np.concatenate([start[np.newaxis], pushes])
    n, reach, power = states.shape[0], 1, step
    while reach < n:
        states = states + np.concatenate([np.zeros((reach, states.shape[1])), states[:-reach] @ power])
        power = power @ power
        reach *= 2
    return states


def lsim(
    system: System, U: ArrayLike | None, T: ArrayLike, X0: ArrayLike | None = None, interp: bool = True
) -> tuple[Array, Array, Array]:
    """What a continuous system answers to an input. There are gradients by the system, by the input and by the state at the
    beginning, and by the times through their first two.

    Args:
        system: (b, a), (zeros, poles, gain), (A, B, C, D), or a `scipy.signal.lti`.
        U: the input at each time, with a column for each where there are several; None for 0.
        T: the times, which are equally spaced and begin at 0 or later.
        X0: the state at the beginning; by default 0.
        interp: whether the input goes linearly from one time to the next, else it stays.

    Returns:
        the times, the output, and the states.

    Raises:
        ValueError: times that are not equally spaced, or inputs that do not fit.

    >>> import numpy as np, tapenet as tn
    >>> t = np.array([0.0, 1.0, 2.0])
    >>> tn.scipy.signal.lsim(([1.0], tn.tensor([1.0, 1.0])), np.ones(3), t)[1].round(6)
    Tensor([0.      , 0.632121, 0.864665])
    """
    A, B, C, D = _matrices(_form("lsim", system))
    T = np.atleast_1d(array_like(T))
    n, inputs, steps = A.shape[0], B.shape[1], T.shape[0]
    times = known(T)
    if T.ndim != 1 or (times is not None and times[0] < 0):
        raise ValueError(f"lsim: T has shape {T.shape}: it is a vector of times from 0 on")
    if steps > 1 and times is not None and not np.allclose(np.diff(times), times[1] - times[0]):
        raise ValueError("lsim: Time steps are not equally spaced.")
    start = np.zeros(n) if X0 is None else array_like(X0)
    start = np.reshape(start, n) @ expm(np.transpose(A) * T[0])
    plain = U is None or (isinstance(U, (int, float)) and U == 0)
    u = np.zeros((steps, inputs)) if plain else np.atleast_1d(array_like(U))
    u = u[:, np.newaxis] if u.ndim == 1 else u
    if u.shape != (steps, inputs):
        raise ValueError(f"lsim: U has shape {u.shape}: for {steps} times and {inputs} inputs it is {(steps, inputs)}")
    if steps == 1:
        states = start[np.newaxis]
    else:
        dt = T[1] - T[0]
        # Inputs are states too: constant ones, or with interp ones that grow at rates that are states.
        blocks = [A * dt, B * dt, np.zeros((n, inputs))]
        below = np.concatenate([np.zeros((inputs, n + inputs)), np.eye(inputs)], 1)
        whole = expm(np.concatenate([np.concatenate(blocks, 1), below, np.zeros((inputs, n + 2 * inputs))]))
        Ad, held, ramp = (np.transpose(whole[:n, i:j]) for i, j in ((0, n), (n, n + inputs), (n + inputs, None)))
        pushes = u[:-1] @ held + ((u[1:] - u[:-1]) @ ramp if interp else 0.0)
        states = _followed(Ad, start, pushes)
    out = states @ np.transpose(C) + u @ np.transpose(D)
    return T, np.squeeze(out), np.squeeze(states)


def _times(name: str, A: Array, T: ArrayLike | None, N: int | None) -> ArrayLike:
    """SciPy's choice of times where there are none: seven of the longest time of decay."""
    if T is not None:
        return T
    rates = np.abs(np.real(np.linalg.eigvals(_values(name, A))))
    return np.linspace(0.0, 7 / (np.min(rates) or 1.0), 100 if N is None else N)


def _values(name: str, value: ArrayLike) -> Array:
    found = known(array_like(value))
    if found is None:
        raise ValueError(
            f"{name}: how many times there are, or where, depends on what is computed in a compiled program: give the times, "
            "and steps of time as numbers"
        )
    return np.asarray(found)


def step(
    system: System, X0: ArrayLike | None = None, T: ArrayLike | None = None, N: int | None = None
) -> tuple[Array, Array]:
    """What a continuous system answers to a step from 0 to 1; the arguments are those of `lsim`, and `N` times are chosen
    where `T` is None; these are constant for derivatives.

    >>> import numpy as np, tapenet as tn
    >>> tn.scipy.signal.step(([1.0], tn.tensor([1.0, 1.0])), T=np.array([0.0, 1.0]))[1].round(6)
    Tensor([0.      , 0.632121])
    """
    A, B, C, D = _matrices(_form("step", system))
    at = array_like(_times("step", A, T, N))
    return lsim((A, B, C, D), np.ones((at.shape[0], B.shape[1])), at, X0, interp=False)[:2]


def impulse(
    system: System, X0: ArrayLike | None = None, T: ArrayLike | None = None, N: int | None = None
) -> tuple[Array, Array]:
    """What a continuous system of one input answers to an impulse; the arguments are those of `step`.

    >>> import numpy as np, tapenet as tn
    >>> tn.scipy.signal.impulse(([1.0], tn.tensor([1.0, 1.0])), T=np.array([0.0, 1.0]))[1].round(6)
    Tensor([1.      , 0.367879])
    """
    A, B, C, D = _matrices(_form("impulse", system))
    if B.shape[1] != 1:
        raise ValueError(f"impulse: the system has {B.shape[1]} inputs: give the matrices of one of them")
    start = B[:, 0] if X0 is None else B[:, 0] + array_like(X0)
    return lsim((A, B, C, D), None, _times("impulse", A, T, N), start, interp=False)[:2]


def dlsim(system: System, u: ArrayLike, t: ArrayLike | None = None, x0: ArrayLike | None = None) -> tuple[Array, ...]:
    """What a discrete system answers to an input. There are gradients by the system, the input and the state at the beginning.

    Args:
        system: (b, a, dt), (zeros, poles, gain, dt), (A, B, C, D, dt), or a `scipy.signal.dlti`.
        u: the input, with a column for each where there are several.
        t: the times of the inputs, between which these go linearly; by default there is one for each step of the system.
        x0: the state at the beginning; by default 0.

    Returns:
        the times and the output, a column for each; of a system that is given by its matrices the states too.

    Raises:
        AttributeError: a system of SciPy's that is continuous.
        ValueError: inputs that do not fit, or times that a compiled program computes: how many steps there are depends on
            the last.

    >>> import numpy as np, tapenet as tn
    >>> tn.scipy.signal.dlsim(([1.0], tn.tensor([1.0, -0.5]), 1.0), np.ones(4))[1].ravel()
    Tensor([0.  , 1.  , 1.5 , 1.75])
    """
    parts = _form("dlsim", system, discrete=True)
    A, B, C, D = _matrices(parts[:-1])
    dt = float(_values("dlsim", parts[-1]))
    u = np.atleast_1d(array_like(u))
    u = u[:, np.newaxis] if u.ndim == 1 else u
    if u.shape[1] != B.shape[1]:
        raise ValueError(f"dlsim: u has shape {u.shape}, and the system {B.shape[1]} inputs: give a column for each")
    if t is None:
        times = np.linspace(0.0, (u.shape[0] - 1) * dt, u.shape[0])
    else:
        t = array_like(t)
        last = t[-1]
        times = np.linspace(0.0, last, math.floor(_values("dlsim", last) / dt) + 1)
        u = array_like(make_interp_spline(t, u, k=1)(times))
    start = np.zeros(A.shape[0]) if x0 is None else np.zeros(A.shape[0]) + np.ravel(array_like(x0))
    states = _followed(np.transpose(A), start, u[:-1] @ np.transpose(B))
    out = states @ np.transpose(C) + u @ np.transpose(D)
    return (times, out, states) if len(parts) == 5 else (times, out)


def _answers(
    name: str, system: System, x0: ArrayLike | None, t: ArrayLike | None, n: int | None, first: bool
) -> tuple[Array, tuple[Array, ...]]:
    """What a discrete system answers to each of its inputs, 1 at the first time alone or at all."""
    *parts, dt = _form(name, system, discrete=True)
    matrices = _matrices(parts)
    count = 100 if n is None else n
    at = np.linspace(0, count * _values(name, dt), count, endpoint=False) if t is None else array_like(t)
    inputs, outs = matrices[1].shape[1], []
    for i in range(inputs):
        u = np.zeros((at.shape[0], inputs))
        u[: 1 if first else None, i] = 1.0
        times, out, _ = dlsim((*matrices, dt), u, at, x0)
        outs.append(out)
    return times, tuple(outs)


def dstep(
    system: System, x0: ArrayLike | None = None, t: ArrayLike | None = None, n: int | None = None
) -> tuple[Array, tuple[Array, ...]]:
    """What a discrete system answers to a step of each input from 0 to 1, over `n` steps, 100 by default, or at times `t`; the
    others are as for `dlsim`.

    >>> import tapenet as tn
    >>> tn.scipy.signal.dstep(([1.0], tn.tensor([1.0, -0.5]), 1.0), n=4)[1][0].ravel()
    Tensor([0.  , 1.  , 1.5 , 1.75])
    """
    return _answers("dstep", system, x0, t, n, False)


def dimpulse(
    system: System, x0: ArrayLike | None = None, t: ArrayLike | None = None, n: int | None = None
) -> tuple[Array, tuple[Array, ...]]:
    """What a discrete system answers to an impulse at each input; the arguments are those of `dstep`.

    >>> import tapenet as tn
    >>> tn.scipy.signal.dimpulse(([1.0], tn.tensor([1.0, -0.5]), 1.0), n=4)[1][0].ravel()
    Tensor([0.  , 1.  , 0.5 , 0.25])
    """
    return _answers("dimpulse", system, x0, t, n, True)


def freqresp(system: System, w: ArrayLike | None = None, n: int = 10000) -> tuple[Array, Array]:
    """The response of a continuous system to frequencies.

    Args:
        system: as for `lsim`, of one input and one output.
        w: the angular frequencies; by default `n` that SciPy chooses.

    >>> import tapenet as tn
    >>> abs(tn.scipy.signal.freqresp(([1.0], tn.tensor([1.0, 1.0])), [0.0, 1.0])[1]).round(3)
    Tensor([1.   , 0.707])
    """
    b, a = _coefficients(_form("freqresp", system))
    if w is None:
        shown = tuple(_values("freqresp", c) for c in (b, a))
        w = scipys("signal.freqresp")(shown, None, n)[0]  # type: ignore[index]
    found: tuple[Array, Array] = freqs(b, a, array_like(w))
    return found


def _coefficients(system: Sequence[ArrayLike]) -> tuple[Array, Array]:
    if len(system) == 2:
        return np.atleast_1d(array_like(system[0])), np.atleast_1d(array_like(system[1]))
    if len(system) == 3:
        b, a = zpk2tf(*system)
        return b, a
    A, B, C, D = _matrices(system)
    if D.shape != (1, 1):
        raise ValueError(f"freqresp: the system has {D.shape[1]} inputs and {D.shape[0]} outputs: it takes one of each")
    num, den = ss2tf(A, B, C, D)
    return num[0], den


def bode(system: System, w: ArrayLike | None = None, n: int = 100) -> tuple[Array, Array, Array]:
    """The angular frequencies, the magnitude in decibels and the phase in degrees of a continuous system's response; the
    arguments are those of `freqresp`.

    >>> import tapenet as tn
    >>> [part.round(3) for part in tn.scipy.signal.bode(([1.0], tn.tensor([1.0, 1.0])), [1.0])[1:]]
    [Tensor([-3.01]), Tensor([-45.])]
    """
    at, h = freqresp(system, w, n)
    magnitude = 20 / math.log(10) * np.log(abs(h))
    return at, magnitude, np.unwrap(np.arctan2(np.imag(h), np.real(h))) * (180 / math.pi)
