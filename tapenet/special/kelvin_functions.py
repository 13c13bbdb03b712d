"""Kelvin functions: Bessel functions on the diagonals of the complex plane.

Reference: NIST Digital Library of Mathematical Functions, 10.61.
"""

from __future__ import annotations

from tapenet.ops.op import Op
from tapenet.special.definition import over, special

ber: Op = special("ber", "berp(x)", x=lambda g, x: g * berp(x))
bei: Op = special("bei", "beip(x)", x=lambda g, x: g * beip(x))
berp: Op = special("berp", "-bei(x) - out/x", x=lambda g, out, x: -g * (bei(x) + over(out, x, 0)))
beip: Op = special("beip", "ber(x) - out/x", x=lambda g, out, x: g * (ber(x) - over(out, x, 0.5)))
ker: Op = special("ker", "kerp(x)", x=lambda g, x: g * kerp(x))
kei: Op = special("kei", "keip(x)", x=lambda g, x: g * keip(x))
kerp: Op = special("kerp", "-kei(x) - out/x", x=lambda g, out, x: -g * (kei(x) + out / x))
keip: Op = special("keip", "ker(x) - out/x", x=lambda g, out, x: g * (ker(x) - out / x))
kelvin = special(
    "kelvin", "of Be, Ke, Be' and Ke': Be', Ke', i Be - Be'/x and i Ke - Ke'/x",
    x=lambda g, out, x: (
        g[0] * out[2] + g[1] * out[3] + g[2] * (1j * out[0] - over(out[2], x, 0.5j)) + g[3] * (1j * out[1] - out[3] / x)
    ),
)  # fmt: skip
