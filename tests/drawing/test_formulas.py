"""Ops as mathematics: what they state themselves, and else what is read of their forwards and rules."""

import functools
import linecache
import types

import numpy as np
import pytest

import tapenet as tn
from tapenet.drawing.sources.mathematics import LIMIT, formula, gradient_rules
from tapenet.ops.op import derive


def named(name="op_of_the_test", forward=lambda x: x * 2, **options):
    return tn.op(forward, name=name, **options)


# -- what an op states -------------------------------------------------------------------------------------------


def test_an_op_of_the_package_says_what_it_states() -> None:
    assert formula(tn.matmul) == tn.matmul.formula == "x @ y"
    assert gradient_rules(tn.matmul) == {"x": "g @ yᵀ", "y": "xᵀ @ g"}
    assert list(gradient_rules(tn.clip)) == ["a", "a_min", "a_max"]  # one name begins with another
    assert gradient_rules(tn.clip)["a_min"] == "g where a < a_min ≤ a_max, else 0"
    assert gradient_rules(tn.equal) == {}


def test_of_a_single_input_the_name_may_be_left_out() -> None:
    assert gradient_rules(named(x=lambda g: g * 2, gradients="2 g")) == {"x": "2 g"}
    assert gradient_rules(named(x=lambda g: g * 2, gradients="x:2 g; doubled")) == {"x": "2 g; doubled"}


def test_an_input_that_is_not_stated_is_shown_by_its_source() -> None:
    product = named(
        forward=lambda x, y: x * y, x=lambda g, y: g * y, y=lambda g, x: g * x, gradients="y: g · x; z: what is z?"
    )
    assert gradient_rules(product) == {"x": "g · y", "y": "g · x; z: what is z?"}
    assert gradient_rules(named(x=lambda g: g * 2, gradients="x: ")) == {"x": "g · 2"}
    assert gradient_rules(named(x=lambda g: g * 2, gradients="")) == {"x": "g · 2"}


def test_texts_are_one_clean_line() -> None:
    op = named(x=lambda g: g, formula="two\nlines\x00", gradients="x: a\tb" + "c" * 1000)
    assert formula(op) == "two lines\\x00"
    assert gradient_rules(op)["x"].startswith("a bccc")
    assert len(gradient_rules(op)["x"]) == LIMIT


# -- source ------------------------------------------------------------------------------------------------------


def test_lambdas_are_shown_by_what_they_return() -> None:
    softplus = tn.op(lambda x: np.logaddexp(0, x), name="softplus", x=lambda g, x: g * (0.5 + 0.5 * np.tanh(x / 2)))
    assert formula(softplus) == "ln(1 + eˣ)"
    assert gradient_rules(softplus) == {"x": "g · (½ + tanh(x/2)/2)"}


def test_of_several_lambdas_in_a_line_each_is_found() -> None:
    op = tn.op(lambda x, y, z: x, name="many", x=lambda g, x: g + 1, y=lambda g, x: [g + k for k in x], z=lambda g: 3)
    assert formula(op) == "x"
    assert gradient_rules(op) == {"x": "g + 1", "y": "rule(g, x)", "z": "3"}


def test_of_lambdas_within_lambdas_each_is_found() -> None:
    k = 2
    rules = {"ω": lambda g, x: g if k else x, "y": lambda g, x: lambda g, x: g * k}  # columns count in bytes
    assert gradient_rules(named(x=rules["ω"])) == {"x": "g"}
    assert gradient_rules(named(x=rules["y"])) == {"x": "rule(g, x)"}
    assert gradient_rules(named(x=rules["y"](1, 2))) == {"x": "g · k"}


def test_a_lambda_over_several_lines_is_one_line() -> None:
    op = named(
        x=lambda g, x: (
            g  # the gradient
            * np.where(x > 0, 1, 0)
        )
    )
    assert gradient_rules(op) == {"x": "g where x > 0, else 0"}


def returning(g, x):
    """A rule in one line."""
    return g * 2


def longer(g, x, y):
    if x is y:
        return g
    return g * y


@functools.wraps(returning)
def wrapper(*args):
    return returning(*args)


def test_named_functions() -> None:
    op = named(
        forward=lambda x, y, z, w: x,
        x=returning,
        y=longer,
        z=wrapper,
        w=functools.partial(longer),
    )
    assert gradient_rules(op) == {"x": "g · 2", "y": "longer(g, x, y)", "z": "g · 2", "w": "partial(g, x, y)"}


def test_forwards() -> None:
    @tn.op(x=lambda g: g)
    def decorated(x, limit=1.0):
        """Documentation."""
        return np.tanh(x / limit) * limit

    @tn.op(x=lambda g: g)
    def statements(x, limit=1.0):
        y = x / limit
        return np.tanh(y) * limit

    assert formula(decorated) == "tanh(x/limit) · limit"
    assert formula(statements) == "tanh(x/limit) · limit"
    assert formula(tn.op(np.logaddexp, name="soft_maximum")) == "ln(eˣ + eʸ)"
    assert formula(named(forward=len, name="length")) == "return the number of items in a container"


def test_residuals_are_no_part_of_the_formula() -> None:
    one = named(forward=lambda x: (x.max(axis=1), x.argmax(axis=1)), residuals=("place",), x=lambda g, place: g)
    two = named(forward=lambda x: (x, -x, x > 0), outputs=2, residuals=("above",), x=lambda g, above: g[0])
    assert formula(one) == "max(x)"
    assert formula(two) == "x, −x"
    assert formula(named(forward=lambda x: (x, -x), outputs=2)) == "x, −x"


def test_joint_rules() -> None:
    def shared(g, wanted, x):
        found = {"x": g}
        return found | {"y": g * x}

    by_name = named(forward=lambda x, y: x * y, joint=lambda g, x, y: {"x": g * y, "y": g * x})
    assert gradient_rules(by_name) == {"x": "g · y", "y": "g · x"}
    by_function = named(forward=lambda x, y: x * y, joint=shared)
    assert gradient_rules(by_function) == dict.fromkeys("xy", "joint rule shared(g, wanted, x)")
    partly = named(forward=lambda x, y: x * y, joint=lambda g, x, y: {"x": g * y, **{"y": g * x}})
    assert gradient_rules(partly) == {"x": "g · y", "y": "joint rule(g, x, y)"}


# -- source that cannot be had -----------------------------------------------------------------------------------


class Rule:
    def __call__(self, g, x):
        return g * x


def evaluated(text):
    return eval(text)


@pytest.mark.parametrize(
    ("rule", "text"),
    [
        (Rule(), "Rule(g, x)"),
        (Rule().__call__, "g · x"),
        (evaluated("lambda g, x: g"), "rule(g, x)"),
        (functools.partial(evaluated("lambda g, x: g")), "partial(g, x)"),
    ],
)
def test_without_source_the_signature_is_shown(rule, text) -> None:
    assert gradient_rules(named(x=rule)) == {"x": text}


@pytest.fixture
def compiled(monkeypatch):
    """A function that runs a program and returns its `f`; what can be read of the program may be another."""

    def run(program, shown):
        names = {}
        exec(compile(program, "<program>", "exec"), names)
        monkeypatch.setitem(linecache.cache, "<program>", (len(shown), None, shown.splitlines(True), "<program>"))
        return names["f"]

    return run


@pytest.mark.parametrize(
    "shown",
    ["", "\n\n\n\n", "def f(:\n", "\n\nf = lambda g: (", "\0", "\n\nf = " + "(" * 5000, "\n\nf = lambda g, y: g\n"],
)
def test_a_file_that_changed_since_is_no_error(compiled, shown) -> None:
    program = "\n\nf = lambda x, y: x * y\n"
    assert gradient_rules(named(x=compiled("\n\nf = lambda g, x: g * x\n", shown))) == {"x": "rule(g, x)"}
    assert formula(named("times", compiled(program, shown), nondiff=True)) == "times(x, y)"
    assert formula(named("times", compiled(program, program), nondiff=True)) == "x · y"


def test_a_rule_too_deep_to_be_written_is_no_error(compiled) -> None:
    program = "f = lambda g, x: " + "-" * 900 + "g\n"
    assert gradient_rules(named(x=compiled(program, program))) == {"x": "rule(g, x)"}


def test_without_positions_lambdas_in_one_line_are_not_mixed_up(compiled) -> None:
    """Python can be told to leave them out."""
    program = "f = [lambda g, x: g, lambda g, x: x, lambda g: g * 2]\n"
    first, second, third = compiled(program, program)
    without = [types.FunctionType(f.__code__.replace(co_linetable=b"\xef\x00" * 2), {}) for f in (first, second, third)]
    assert gradient_rules(named(x=first)) == {"x": "g"}
    assert gradient_rules(named(x=second)) == {"x": "x"}
    assert [gradient_rules(named(x=f))["x"] for f in without] == ["rule(g, x)", "rule(g, x)", "rule(g)"]


def test_rules_that_are_derived_are_written_where_they_are_short() -> None:
    one = tn.op(lambda x: np.logaddexp(0, x), name="soft")
    two = tn.op(lambda x, y: np.exp(x) * y, name="product_of_exp")
    long = tn.op(lambda x: np.tanh(np.sin(x) * np.exp(x) * np.log(x)) * np.cos(x) * np.sqrt(x), name="long")
    step = tn.op(lambda x: np.cumsum(x), name="running")
    assert formula(one) == "ln(1 + eˣ)"
    assert gradient_rules(one) == {"x": "g · σ(x)"}
    assert gradient_rules(two) == {"x": "g · y · eˣ", "y": "g · eˣ"}
    assert gradient_rules(long) == gradient_rules(step) == {"x": "derived from the formula"}


def _scaled(x, kinds):
    scale = {"a": lambda: x.sum()}[kinds]()
    return x * scale


def test_what_hides_in_a_local_name_has_no_part_of_a_derivative_left_out() -> None:
    op = tn.op(_scaled, name="scaled", x=derive, nondiff=("kinds",))
    assert formula(op) in ("x · scale", "scaled(x, kinds)")
    assert gradient_rules(op) == {"x": "derived from the formula"}


def test_a_division_by_zero_is_written_as_it_is() -> None:
    op = tn.op(lambda x: np.log(x), name="f", x=lambda g, x: g / (x - x))
    assert gradient_rules(op) == {"x": "g/0"}
