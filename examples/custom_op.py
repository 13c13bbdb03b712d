"""Ops of your own: a forward and a gradient rule in plain NumPy give every order of derivative.

python examples/custom_op.py
"""

import numpy as np

import tapenet as tn
from tapenet import nn, optim

# The short form: a function, and the gradient by its input `x` in terms of what it names. `g` is the gradient of the
# loss by the output.
softplus = tn.op(
    lambda x: np.logaddexp(0, x),
    name="softplus",
    x=lambda g, x: g * (0.5 + 0.5 * np.tanh(x / 2)),
)


# The decorator: `limit` is an option, `out` the result, saved because the rule names it.
@tn.op(x=lambda g, out, limit: g * (1 - (out / limit) ** 2))
def softclip(x, limit=1.0):
    """`x` pressed smoothly into (-limit, limit)."""
    return np.tanh(x / limit) * limit


# Several inputs whose gradients share work: one joint rule, told which are wanted.
def _rotate_rule(g, wanted, x, y, angle):
    gx, gy = g
    c, s = np.cos(angle), np.sin(angle)
    found = {"x": gx * c + gy * s, "y": gy * c - gx * s}
    if "angle" in wanted:
        found["angle"] = (gx * (-x * s - y * c) + gy * (x * c - y * s)).sum()
    return found


rotate = tn.op(
    lambda x, y, angle: (x * np.cos(angle) - y * np.sin(angle), x * np.sin(angle) + y * np.cos(angle)),
    name="rotate",
    outputs=2,
    joint=_rotate_rule,
)

# Right to second order, against finite differences.
rng = np.random.default_rng(0)
tn.testing.check_grads(softplus, [rng.normal(size=5)], order=2)
tn.testing.check_grads(softclip, [rng.normal(size=5)], order=2, kwargs={"limit": 0.5})
tn.testing.check_grads(rotate, [rng.normal(size=3), rng.normal(size=3), np.array(0.3)], order=2)
print("the rules agree with finite differences to second order")

# A wrong rule is caught, and the message says what is probably wrong with it.
wrong = tn.op(np.sin, name="wrong_sine", x=lambda g, x: 2 * g * np.cos(x))
try:
    tn.testing.check_grads(wrong, [rng.normal(size=3)])
except AssertionError as error:
    print(f"caught: {error}")
    assert "constant factor of 2" in str(error)
else:
    raise AssertionError("the wrong rule went unnoticed")


class Net(nn.Module):
    """An op of one's own is used like any other."""

    def __init__(self) -> None:
        self.first = nn.Linear(1, 16)
        self.second = nn.Linear(16, 1)

    def forward(self, x):
        return softclip(self.second(softplus(self.first(x))), limit=2.0)


tn.random.seed(0)
x = np.linspace(-3, 3, 100, dtype=np.float32)[:, None]
y = np.sin(x)
net = Net()
opt = optim.Adam(net.parameters(), lr=0.02)
for _ in range(1500):
    loss = ((net(x) - y) ** 2).mean()
    opt.zero_grad()
    loss.backward()
    opt.step()
print(f"fitted a sine to a mean squared error of {loss.item():.2e}")
assert loss.item() < 1e-2, loss

# Where does an angle of rotation lead to? Descend on it.
angle = tn.tensor(0.0, requires_grad=True)
opt = optim.SGD([angle], lr=0.2)
for _ in range(200):
    u, v = rotate(np.array(1.0), np.array(0.0), angle)
    loss = (u - 0.6) ** 2 + (v - 0.8) ** 2
    opt.zero_grad()
    loss.backward()
    opt.step()
print(f"the rotation that takes (1, 0) to (0.6, 0.8) is by {angle.item():.4f} radians")
assert abs(angle.item() - np.arctan2(0.8, 0.6)) < 1e-3
