"""autograd's functions of functions. Each takes `argnum`, the place of an argument or a tuple of places, and gives a function
of the same arguments; gradients are arrays, in containers as the argument is.

The gradient by a complex argument is autograd's, the conjugate of `tn.grad`'s: of a holomorphic function it is the derivative.
"""

from __future__ import annotations

import functools
import inspect
import warnings
from collections.abc import Callable

import numpy as np

from tapenet import ops
from tapenet.autodiff.state import enable_grad
from tapenet.compat.autograd.values import (
    Function,
    Value,
    conjugate,
    ended,
    floats,
    given,
    holds_tensor,
    ones,
    plain,
    zeros,
)
from tapenet.transforms.gradients import vjp

Argnum = int | tuple[int, ...] | list[int]


def by_argument(operator: Function) -> Function:
    """An operator on functions of one argument made one on functions of several, by the argument at `argnum`."""

    @functools.wraps(operator)
    def transform(fun: Function, argnum: Argnum = 0, *options: object, **named_options: object) -> Function:
        places = [argnum] if isinstance(argnum, int) else list(argnum)
        name = getattr(fun, "__name__", "function")

        def transformed(*args: object, **kwargs: object) -> object:
            def of_one(x: Value) -> object:
                whole = list(args)
                for place, value in zip(places, [x] if isinstance(argnum, int) else x, strict=True):
                    whole[place] = value
                return fun(*whole, **kwargs)

            of_one.__name__ = name
            x = args[argnum] if isinstance(argnum, int) else tuple(args[place] for place in places)
            return operator(of_one, x, *options, **named_options)

        transformed.__name__ = f"{operator.__name__}_of_{name}_wrt_argnum_{argnum}"
        return transformed

    return transform


def pullback(fun: Function, x: object) -> tuple[Function, Value]:
    """What multiplies the Jacobian of `fun` at x from the left, and the value there."""
    arguments: list[object] = []

    def kept(x: object) -> Value:
        arguments.append(x)
        value = fun(x)
        if not holds_tensor(plain(value)):
            warnings.warn("Output seems independent of input.", stacklevel=8)
        return value

    with enable_grad():  # also in a rule: the product is differentiated in its turn
        value, pull = vjp(kept, floats(x))
    ended(arguments)
    return lambda g: given(conjugate(pull(conjugate(g)))), given(value)


def _slope(name: str, fun: Function, x: object) -> tuple[Value, Value]:
    """The value, of one element, and the gradient."""
    product, value = pullback(fun, x)
    if np.size(value) != 1:
        raise TypeError(
            f"{name}: the function returned shape {np.shape(value)}, but a gradient needs a scalar: reduce it, or take "
            "jacobian or elementwise_grad"
        )
    if np.iscomplexobj(value):
        raise TypeError(f"{name}: the function returned a complex number: take its real part, or holomorphic_grad")
    return value, product(ones(value))


@by_argument
def make_vjp(fun: Function, x: object) -> tuple[Function, Value]:
    """The value at the arguments, and before it a function that multiplies the Jacobian there from the left.

    >>> import tapenet.compat.autograd.numpy as np
    >>> pull, value = make_vjp(lambda x: x**2)(np.array([1.0, 2.0]))
    >>> pull(np.array([1.0, 10.0])), value
    (array([ 2., 40.]), array([1., 4.]))
    """
    return pullback(fun, x)


@by_argument
def make_jvp(fun: Function, x: object) -> Function:
    """A function of a tangent: the value, and the product of the Jacobian with the tangent.

    >>> import tapenet.compat.autograd.numpy as np
    >>> make_jvp(np.sin)(0.0)(2.0)
    (np.float64(0.0), np.float64(2.0))
    """
    return lambda v: pushed(fun, x, v)


def pushed(fun: Function, x: object, v: object) -> tuple[Value, Value]:
    """The value at x and the product of the Jacobian with v: the product from the left, which is linear, differentiated."""
    product, value = pullback(fun, x)
    return value, pullback(product, zeros(value))[0](v)


@by_argument
def make_jvp_reversemode(fun: Function, x: object) -> Function:
    """A function of a tangent that gives its product with the Jacobian, by one forward pass for all of them."""
    product, value = pullback(fun, x)
    return pullback(product, zeros(value))[0]


@by_argument
def grad(fun: Function, x: object) -> Value:
    """The gradient of a function that returns a scalar.

    Raises:
        TypeError: the function returns more than one element, or a complex one.

    >>> grad(lambda x, y: x * y**2, argnum=1)(3.0, 2.0)
    np.float64(12.0)
    >>> grad(lambda p: p["w"] * p["b"][0])({"w": 2.0, "b": [3.0]})
    {'w': np.float64(3.0), 'b': [np.float64(2.0)]}
    """
    return _slope("grad", fun, x)[1]


@by_argument
def value_and_grad(fun: Function, x: object) -> tuple[Value, Value]:
    """The value and the gradient, as `scipy.optimize.minimize(..., jac=True)` takes them.

    >>> import tapenet.compat.autograd.numpy as np
    >>> value_and_grad(lambda x: np.sum(x**2))(np.array([1.0, 2.0]))
    (np.float64(5.0), array([2., 4.]))
    """
    return _slope("value_and_grad", fun, x)


@by_argument
def elementwise_grad(fun: Function, x: object) -> Value:
    """The gradient of the sum of the result: of a function of each element, its derivative there.

    Raises:
        TypeError: the result is complex.

    >>> import tapenet.compat.autograd.numpy as np
    >>> elementwise_grad(elementwise_grad(lambda x: x**3))(np.array([1.0, 2.0]))
    array([ 6., 12.])
    """
    product, value = pullback(fun, x)
    if np.iscomplexobj(value):
        raise TypeError("elementwise_grad: the function returned complex numbers: take their real part first")
    return product(ones(value))


@by_argument
def deriv(fun: Function, x: object) -> Value:
    """The derivative by a scalar, of a result of any shape."""
    return pushed(fun, x, ones(floats(x)))[1]


@by_argument
def jacobian(fun: Function, x: Value) -> Value:
    """The Jacobian by an array: an array whose axes are those of the result, then those of the argument. A pass backward for
    each element of the result; `tn.jacobian` is faster.

    >>> import tapenet.compat.autograd.numpy as np
    >>> jacobian(lambda x: np.array([x[0] * x[1], x[0]]))(np.array([2.0, 3.0]))
    array([[3., 2.],
           [1., 0.]])
    """
    product, value = pullback(fun, x)
    shape = np.shape(value)
    basis = np.eye(int(np.prod(shape)), dtype=np.result_type(value))
    rows = [product(row.reshape(shape)) for row in basis]
    return ops.reshape(ops.stack(rows), (*shape, *np.shape(x)))


@by_argument
def holomorphic_grad(fun: Function, x: Value) -> Value:
    """The derivative of a holomorphic function."""
    if not np.iscomplexobj(x):
        warnings.warn("Input to holomorphic_grad is not complex", stacklevel=3)
    return grad(lambda z: np.real(fun(z)))(x)


def grad_named(fun: Function, argname: str) -> Function:
    """The gradient by the argument of a name."""
    found: Function = grad(fun, list(inspect.signature(fun).parameters).index(argname))
    return found


@by_argument
def hessian(fun: Function, x: object) -> Value:
    """The Hessian: the Jacobian of the Jacobian."""
    return jacobian(jacobian(fun))(x)


@by_argument
def make_hvp(fun: Function, x: object) -> tuple[Function, Value]:
    """A function that multiplies the Hessian at the arguments with a vector, and the gradient there."""
    return pullback(grad(fun), x)


def _dotted(product: Function) -> Function:
    """A function of the arguments and, last, a tensor, with which `product` contracts."""
    return lambda *args, **kwargs: product(args[-1], *args[:-1], **kwargs)


def hessian_tensor_product(fun: Function, argnum: int = 0) -> Function:
    """A function of the arguments and of a tensor that gives the Hessian's product with the tensor."""
    slope = grad(fun, argnum)
    found: Function = grad(_dotted(lambda v, *args, **kwargs: ops.sum(slope(*args, **kwargs) * v)), argnum)
    return found


def tensor_jacobian_product(fun: Function, argnum: int = 0) -> Function:
    """A function of the arguments and of a tensor that gives the tensor's product with the Jacobian."""

    def contracted(v: Value, *args: object, **kwargs: object) -> object:
        return ops.tensordot(v, fun(*args, **kwargs), axes=np.ndim(v))

    found: Function = jacobian(_dotted(contracted), argnum)
    return found


hessian_vector_product = hessian_tensor_product
vector_jacobian_product = tensor_jacobian_product


def make_ggnvp(f: Function, g: Function = lambda x: 0.5 * ops.sum(x**2, axis=-1), f_argnum: int = 0) -> Function:
    """A function of the arguments of `f` that gives what multiplies the generalized Gauss-Newton matrix of g(f(x)) with a
    vector: JᵀHJ, with J the Jacobian of `f` and H the Hessian of `g`."""

    def product(f: Function, x: object) -> Function:
        pull, value = pullback(f, x)
        curve, slope = pullback(grad(g), value)
        push, _ = pullback(pull, zeros(slope))
        return lambda v: pull(curve(push(v)))

    found: Function = by_argument(product)(f, f_argnum)
    return found


@by_argument
def grad_and_aux(fun: Function, x: object) -> tuple[Value, Value]:
    """The gradient of the first of two results, and the second."""
    product, (value, aux) = pullback(lambda x: tuple(fun(x)), x)
    return product((ones(value), zeros(aux))), aux


def multigrad_dict(fun: Function) -> Callable[..., dict[str, Value]]:
    """The gradients by all arguments, by their names.

    >>> multigrad_dict(lambda x, y=2.0: x * y)(3.0)
    {'x': np.float64(2.0), 'y': np.float64(3.0)}
    """
    signature = inspect.signature(fun)

    def gradients(*args: object, **kwargs: object) -> dict[str, Value]:
        bound = signature.bind(*args, **kwargs)
        bound.apply_defaults()

        def of_all(arguments: dict[str, Value]) -> object:
            call = inspect.BoundArguments(signature, arguments)
            return fun(*call.args, **call.kwargs)

        return dict(grad(of_all)(dict(bound.arguments)))

    return gradients
