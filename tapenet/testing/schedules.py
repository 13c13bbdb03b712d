"""What a learning-rate schedule promises: `check_schedule`."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from tapenet.optim.schedules import Schedule
from tapenet.testing.findings import Findings


def check_schedule(schedule: Schedule, steps: int = 1000, *, values: Mapping[int, float] | None = None) -> None:
    """Check a schedule: a function of the number of steps so far that returns the learning rate, or another option.

    It returns a finite number of at least 0 at every step from 0 on, also beyond the last of its `steps`, and always
    the same at the same step, in whatever order it is asked.

    Args:
        schedule: the function.
        steps: how many steps it is made for.
        values: what it is to be at some steps, to rounding.

    Raises:
        AssertionError: says what is wrong, and at which step.

    >>> import tapenet as tn
    >>> tn.testing.check_schedule(tn.optim.cosine(0.1, 100), 100, values={0: 0.1, 50: 0.05, 100: 0.0})
    >>> tn.testing.check_schedule(lambda step: 0.1 / step)
    Traceback (most recent call last):
    AssertionError: check_schedule(<lambda>): it raises ZeroDivisionError (float division by zero) at step 0; steps count from 0
    """
    if isinstance(schedule, type) or not callable(schedule):
        what = f"the class {schedule.__name__}" if isinstance(schedule, type) else f"a {type(schedule).__name__}"
        raise TypeError(f"check_schedule takes a function of the number of steps so far, not {what}")
    findings = Findings("check_schedule", schedule)
    some = np.unique([*range(min(20, steps)), *np.linspace(0, steps, 50, dtype=int), steps - 1, steps])
    asked = [*(int(step) for step in some if step >= 0), steps + 1, 2 * steps + 1, 10 * steps + 1]
    first = {step: _value(findings, schedule, step, steps) for step in asked}
    for step in [*reversed(asked), *asked[::2]]:
        again = _value(findings, schedule, step, steps)
        if again != first[step]:
            findings.fail(
                f"it gave {first[step]:g}, and then {again:g}, at step {step}: a schedule depends on the step alone, "
                "and neither counts its calls nor draws random numbers, since a run that is resumed asks from the middle on"
            )
    for step, expected in (values or {}).items():
        found = _value(findings, schedule, step, steps)
        if not math.isclose(found, expected, rel_tol=1e-9, abs_tol=1e-15):
            findings.fail(f"it is {found:.10g} at step {step}, and {expected:.10g} was expected")


def _value(findings: Findings, schedule: Schedule, step: int, steps: int) -> float:
    beyond = ""
    if step > steps:
        beyond = f", beyond its {steps} steps; a run may be longer, so hold the last value, as with min(step, {steps})"
    elif step == 0:
        beyond = "; steps count from 0"
    try:
        value: object = schedule(step)
    except Exception as error:
        findings.fail(f"it raises {type(error).__name__} ({error}) at step {step}{beyond}", error)
    if (
        isinstance(value, bool)
        or not isinstance(value, (int, float, np.number))
        or isinstance(value, np.complexfloating)
    ):
        shown = "None" if value is None else f"a {type(value).__name__}"
        findings.fail(f"it returns {shown} at step {step}{beyond or ': it is to return a number'}")
    if not math.isfinite(value):
        findings.fail(f"it returns {value} at step {step}{beyond}")
    if value < 0:
        findings.fail(f"it returns {value:g}, which is negative, at step {step}{beyond}")
    return float(value)
