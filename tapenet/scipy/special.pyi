# Made by `python -m tests.stubs`.
from numpy.typing import ArrayLike
from tapenet.autodiff.tensor import Tensor as Tensor
from tapenet.special.bessel_derivatives import h1vp as h1vp
from tapenet.special.bessel_derivatives import h2vp as h2vp
from tapenet.special.bessel_derivatives import ivp as ivp
from tapenet.special.bessel_derivatives import jvp as jvp
from tapenet.special.bessel_derivatives import kvp as kvp
from tapenet.special.bessel_derivatives import yvp as yvp
from tapenet.special.counting import comb as comb
from tapenet.special.counting import factorial as factorial
from tapenet.special.counting import perm as perm
from tapenet.special.exponential_sums import logsumexp as logsumexp
from tapenet.special.gamma_functions import multigammaln as multigammaln
from tapenet.special.lambert import lambertw as lambertw
from tapenet.special.legendre_functions import sph_harm_y as sph_harm_y
from tapenet.special.legendre_functions import sph_legendre_p as sph_legendre_p
from tapenet.special.zeta_functions import polygamma as polygamma
from tapenet.special.zeta_functions import zeta as zeta
from tapenet.typing import Axis
from tapenet.typing import UfuncOptions
from typing import Unpack

def agm(x: ArrayLike, y: ArrayLike, **options: Unpack[UfuncOptions]) -> Tensor:
    """`scipy.special.agm`, element by element. Its derivative: by x: 2x out² R_D(0, y², x²) / 3π; the same by y."""

def airy(x: ArrayLike, **options: Unpack[UfuncOptions]) -> tuple[Tensor, ...]:
    """`scipy.special.airy`, element by element. Its derivative: of Ai, Ai', Bi and Bi': Ai', x Ai, Bi' and x Bi."""

def airye(x: ArrayLike, **options: Unpack[UfuncOptions]) -> tuple[Tensor, ...]:
    """`scipy.special.airye`, element by element. Its derivative: those of airy, and of what scales them: √x out, of Bi and Bi' less |Re √x| out."""

def bdtr(x: ArrayLike, y: ArrayLike, z: ArrayLike, **options: Unpack[UfuncOptions]) -> Tensor:
    """`scipy.special.bdtr`, element by element. Its derivative: by p a density, as it is an incomplete beta function."""

def bdtrc(x: ArrayLike, y: ArrayLike, z: ArrayLike, **options: Unpack[UfuncOptions]) -> Tensor:
    """`scipy.special.bdtrc`, element by element. Its derivative: by p a density, as it is an incomplete beta function."""

def bdtri(x: ArrayLike, y: ArrayLike, z: ArrayLike, **options: Unpack[UfuncOptions]) -> Tensor:
    """`scipy.special.bdtri`, element by element. Its derivative: that of an implicit function, where F(k, n, p) is value."""

def bdtrik(x: ArrayLike, y: ArrayLike, z: ArrayLike, **options: Unpack[UfuncOptions]) -> Tensor:
    """`scipy.special.bdtrik`, element by element. Its derivative: that of an implicit function, where F(k, n, p) is value."""

def bdtrin(x: ArrayLike, y: ArrayLike, z: ArrayLike, **options: Unpack[UfuncOptions]) -> Tensor:
    """`scipy.special.bdtrin`, element by element. Its derivative: that of an implicit function, where F(k, n, p) is value."""

def bei(x: ArrayLike, **options: Unpack[UfuncOptions]) -> Tensor:
    """`scipy.special.bei`, element by element. Its derivative: beip(x)."""

def beip(x: ArrayLike, **options: Unpack[UfuncOptions]) -> Tensor:
    """`scipy.special.beip`, element by element. Its derivative: ber(x) - out/x."""

def ber(x: ArrayLike, **options: Unpack[UfuncOptions]) -> Tensor:
    """`scipy.special.ber`, element by element. Its derivative: berp(x)."""

def berp(x: ArrayLike, **options: Unpack[UfuncOptions]) -> Tensor:
    """`scipy.special.berp`, element by element. Its derivative: -bei(x) - out/x."""

def besselpoly(x: ArrayLike, y: ArrayLike, z: ArrayLike, **options: Unpack[UfuncOptions]) -> Tensor:
    """`scipy.special.besselpoly`, element by element. Its derivative: by x: z out/x - 2 besselpoly(x, y + 1, z + 1); by y and z: of each term of the series."""

def beta(x: ArrayLike, y: ArrayLike, **options: Unpack[UfuncOptions]) -> Tensor:
    """`scipy.special.beta`, element by element. Its derivative: out (psi(x) - psi(x + y)); the same by y."""

def betainc(x: ArrayLike, y: ArrayLike, z: ArrayLike, **options: Unpack[UfuncOptions]) -> Tensor:
    """`scipy.special.betainc`, element by element. Its derivative: by the limit of the integral the density, by shapes the integral of its derivative by them."""

def betaincc(x: ArrayLike, y: ArrayLike, z: ArrayLike, **options: Unpack[UfuncOptions]) -> Tensor:
    """`scipy.special.betaincc`, element by element. Its derivative: less by the limit of the integral the density, by shapes the integral of its derivative by them."""

def betainccinv(x: ArrayLike, y: ArrayLike, z: ArrayLike, **options: Unpack[UfuncOptions]) -> Tensor:
    """`scipy.special.betainccinv`, element by element. Its derivative: that of an implicit function, where F(a, b, x) is 1 - value."""

def betaincinv(x: ArrayLike, y: ArrayLike, z: ArrayLike, **options: Unpack[UfuncOptions]) -> Tensor:
    """`scipy.special.betaincinv`, element by element. Its derivative: that of an implicit function, where F(a, b, x) is value."""

def betaln(x: ArrayLike, y: ArrayLike, **options: Unpack[UfuncOptions]) -> Tensor:
    """`scipy.special.betaln`, element by element. Its derivative: psi(x) - psi(x + y); the same by y."""

def binom(x: ArrayLike, y: ArrayLike, **options: Unpack[UfuncOptions]) -> Tensor:
    """`scipy.special.binom`, element by element. Its derivative: out (psi(x + 1) - psi(x - y + 1)); out (psi(x - y + 1) - psi(y + 1))."""

def boxcox(x: ArrayLike, y: ArrayLike, **options: Unpack[UfuncOptions]) -> Tensor:
    """`scipy.special.boxcox`, element by element. Its derivative: x^(y - 1); that of (x^y - 1)/y."""

def boxcox1p(x: ArrayLike, y: ArrayLike, **options: Unpack[UfuncOptions]) -> Tensor:
    """`scipy.special.boxcox1p`, element by element. Its derivative: (1 + x)^(y - 1); that of ((1 + x)^y - 1)/y."""

def btdtria(x: ArrayLike, y: ArrayLike, z: ArrayLike, **options: Unpack[UfuncOptions]) -> Tensor:
    """`scipy.special.btdtria`, element by element. Its derivative: that of an implicit function, where F(a, b, x) is value."""

def btdtrib(x: ArrayLike, y: ArrayLike, z: ArrayLike, **options: Unpack[UfuncOptions]) -> Tensor:
    """`scipy.special.btdtrib`, element by element. Its derivative: that of an implicit function, where F(a, b, x) is value."""

def cbrt(x: ArrayLike, **options: Unpack[UfuncOptions]) -> Tensor:
    """`scipy.special.cbrt`, element by element. Its derivative: 1 / (3 out²)."""

def chdtr(x: ArrayLike, y: ArrayLike, **options: Unpack[UfuncOptions]) -> Tensor:
    """`scipy.special.chdtr`, element by element. Its derivative: by the quantile the density, by the parameters the integral of its derivative by them."""

def chdtrc(x: ArrayLike, y: ArrayLike, **options: Unpack[UfuncOptions]) -> Tensor:
    """`scipy.special.chdtrc`, element by element. Its derivative: less by the quantile the density, by the parameters the integral of its derivative by them."""

def chdtri(x: ArrayLike, y: ArrayLike, **options: Unpack[UfuncOptions]) -> Tensor:
    """`scipy.special.chdtri`, element by element. Its derivative: that of an implicit function, where F(v, x) is 1 - value."""

def chdtriv(x: ArrayLike, y: ArrayLike, **options: Unpack[UfuncOptions]) -> Tensor:
    """`scipy.special.chdtriv`, element by element. Its derivative: that of an implicit function, where F(v, x) is value."""

def chndtr(x: ArrayLike, y: ArrayLike, z: ArrayLike, **options: Unpack[UfuncOptions]) -> Tensor:
    """`scipy.special.chndtr`, element by element. Its derivative: sums of those of central distributions."""

def chndtridf(x: ArrayLike, y: ArrayLike, z: ArrayLike, **options: Unpack[UfuncOptions]) -> Tensor:
    """`scipy.special.chndtridf`, element by element. Its derivative: that of an implicit function, where F(x, v, c) is value."""

def chndtrinc(x: ArrayLike, y: ArrayLike, z: ArrayLike, **options: Unpack[UfuncOptions]) -> Tensor:
    """`scipy.special.chndtrinc`, element by element. Its derivative: that of an implicit function, where F(x, v, c) is value."""

def chndtrix(x: ArrayLike, y: ArrayLike, z: ArrayLike, **options: Unpack[UfuncOptions]) -> Tensor:
    """`scipy.special.chndtrix`, element by element. Its derivative: that of an implicit function, where F(x, v, c) is value."""

def cosdg(x: ArrayLike, **options: Unpack[UfuncOptions]) -> Tensor:
    """`scipy.special.cosdg`, element by element. Its derivative: -π/180 sin(x°)."""

def cosm1(x: ArrayLike, **options: Unpack[UfuncOptions]) -> Tensor:
    """`scipy.special.cosm1`, element by element. Its derivative: -sin x."""

def cotdg(x: ArrayLike, **options: Unpack[UfuncOptions]) -> Tensor:
    """`scipy.special.cotdg`, element by element. Its derivative: -π/180 (1 + out²)."""

def dawsn(x: ArrayLike, **options: Unpack[UfuncOptions]) -> Tensor:
    """`scipy.special.dawsn`, element by element. Its derivative: 1 - 2x out."""

def digamma(x: ArrayLike, **options: Unpack[UfuncOptions]) -> Tensor:
    """`scipy.special.psi`, element by element. Its derivative: polygamma(1, x)."""

def diric(x: ArrayLike, n: int) -> Tensor:
    """`scipy.special.diric`: sin(n x / 2) / (n sin(x / 2)), element by element."""

def ellipe(x: ArrayLike, **options: Unpack[UfuncOptions]) -> Tensor:
    """`scipy.special.ellipe`, element by element. Its derivative: -R_D(0, 1 - x, 1) / 6."""

def ellipeinc(x: ArrayLike, y: ArrayLike, **options: Unpack[UfuncOptions]) -> Tensor:
    """`scipy.special.ellipeinc`, element by element. Its derivative: with s = sin x: √(1 - y s²); for |x| ≤ π/2 -s³ R_D(1 - s², 1 - y s², 1) / 6."""

def ellipj(x: ArrayLike, y: ArrayLike, **options: Unpack[UfuncOptions]) -> tuple[Tensor, ...]:
    """`scipy.special.ellipj`, element by element. Its derivative: by x: cn dn, -sn dn, -y sn cn, dn; by y: the amplitude's is -dn times that of ellipkinc."""

def ellipk(x: ArrayLike, **options: Unpack[UfuncOptions]) -> Tensor:
    """`scipy.special.ellipk`, element by element. Its derivative: R_D(0, 1, 1 - x) / 6."""

def ellipkinc(x: ArrayLike, y: ArrayLike, **options: Unpack[UfuncOptions]) -> Tensor:
    """`scipy.special.ellipkinc`, element by element. Its derivative: with s = sin x: 1 / √(1 - y s²); for |x| ≤ π/2 s³ R_D(1 - s², 1, 1 - y s²) / 6."""

def ellipkm1(x: ArrayLike, **options: Unpack[UfuncOptions]) -> Tensor:
    """`scipy.special.ellipkm1`, element by element. Its derivative: -R_D(0, 1, x) / 6."""

def elliprc(x: ArrayLike, y: ArrayLike, **options: Unpack[UfuncOptions]) -> Tensor:
    """`scipy.special.elliprc`, element by element. Its derivative: integrals over t of 1 / ((t + x)^(3/2) (t + y)) and of 1 / ((t + x)^(1/2) (t + y)²)."""

def elliprd(x: ArrayLike, y: ArrayLike, z: ArrayLike, **options: Unpack[UfuncOptions]) -> Tensor:
    """`scipy.special.elliprd`, element by element. Its derivative: by x: -3/4 the integral over t of 1 / ((t + x)^(3/2) (t + y)^(1/2) (t + z)^(3/2))."""

def elliprf(x: ArrayLike, y: ArrayLike, z: ArrayLike, **options: Unpack[UfuncOptions]) -> Tensor:
    """`scipy.special.elliprf`, element by element. Its derivative: -R_D / 6, the argument last."""

def elliprg(x: ArrayLike, y: ArrayLike, z: ArrayLike, **options: Unpack[UfuncOptions]) -> Tensor:
    """`scipy.special.elliprg`, element by element. Its derivative: by x: (R_F - x R_D(y, z, x)/3) / 4."""

def elliprj(x: ArrayLike, y: ArrayLike, z: ArrayLike, w: ArrayLike, **options: Unpack[UfuncOptions]) -> Tensor:
    """`scipy.special.elliprj`, element by element. Its derivative: by x: -3/4 the integral over t of 1 / ((t + x)^(3/2) (t + y)^(1/2) (t + z)^(1/2) (t + p))."""

def entr(x: ArrayLike, **options: Unpack[UfuncOptions]) -> Tensor:
    """`scipy.special.entr`, element by element. Its derivative: -ln x - 1."""

def erf(x: ArrayLike, **options: Unpack[UfuncOptions]) -> Tensor:
    """`scipy.special.erf`, element by element. Its derivative: 2/√π exp(-x²)."""

def erfc(x: ArrayLike, **options: Unpack[UfuncOptions]) -> Tensor:
    """`scipy.special.erfc`, element by element. Its derivative: -2/√π exp(-x²)."""

def erfcinv(x: ArrayLike, **options: Unpack[UfuncOptions]) -> Tensor:
    """`scipy.special.erfcinv`, element by element. Its derivative: -√π/2 exp(out²)."""

def erfcx(x: ArrayLike, **options: Unpack[UfuncOptions]) -> Tensor:
    """`scipy.special.erfcx`, element by element. Its derivative: 2x out - 2/√π."""

def erfi(x: ArrayLike, **options: Unpack[UfuncOptions]) -> Tensor:
    """`scipy.special.erfi`, element by element. Its derivative: 2/√π exp(x²)."""

def erfinv(x: ArrayLike, **options: Unpack[UfuncOptions]) -> Tensor:
    """`scipy.special.erfinv`, element by element. Its derivative: √π/2 exp(out²)."""

def eval_chebyc(x: ArrayLike, y: ArrayLike, **options: Unpack[UfuncOptions]) -> Tensor:
    """`scipy.special.eval_chebyc`, element by element. Its derivative: by y: x eval_chebys(x - 1, y)."""

def eval_chebys(x: ArrayLike, y: ArrayLike, **options: Unpack[UfuncOptions]) -> Tensor:
    """`scipy.special.eval_chebys`, element by element. Its derivative: by y: eval_gegenbauer(x - 1, 2, y/2)."""

def eval_chebyt(x: ArrayLike, y: ArrayLike, **options: Unpack[UfuncOptions]) -> Tensor:
    """`scipy.special.eval_chebyt`, element by element. Its derivative: by y: x eval_chebyu(x - 1, y)."""

def eval_chebyu(x: ArrayLike, y: ArrayLike, **options: Unpack[UfuncOptions]) -> Tensor:
    """`scipy.special.eval_chebyu`, element by element. Its derivative: by y: 2 eval_gegenbauer(x - 1, 2, y)."""

def eval_gegenbauer(x: ArrayLike, y: ArrayLike, z: ArrayLike, **options: Unpack[UfuncOptions]) -> Tensor:
    """`scipy.special.eval_gegenbauer`, element by element. Its derivative: by z: 2y eval_gegenbauer(x - 1, y + 1, z)."""

def eval_genlaguerre(x: ArrayLike, y: ArrayLike, z: ArrayLike, **options: Unpack[UfuncOptions]) -> Tensor:
    """`scipy.special.eval_genlaguerre`, element by element. Its derivative: by z: -eval_genlaguerre(x - 1, y + 1, z)."""

def eval_hermite(x: ArrayLike, y: ArrayLike, **options: Unpack[UfuncOptions]) -> Tensor:
    """`scipy.special.eval_hermite`, element by element. Its derivative: by y: 2x eval_hermite(x - 1, y)."""

def eval_hermitenorm(x: ArrayLike, y: ArrayLike, **options: Unpack[UfuncOptions]) -> Tensor:
    """`scipy.special.eval_hermitenorm`, element by element. Its derivative: by y: x eval_hermitenorm(x - 1, y)."""

def eval_jacobi(x: ArrayLike, y: ArrayLike, z: ArrayLike, w: ArrayLike, **options: Unpack[UfuncOptions]) -> Tensor:
    """`scipy.special.eval_jacobi`, element by element. Its derivative: by w: (x + y + z + 1)/2 eval_jacobi(x - 1, y + 1, z + 1, w)."""

def eval_laguerre(x: ArrayLike, y: ArrayLike, **options: Unpack[UfuncOptions]) -> Tensor:
    """`scipy.special.eval_laguerre`, element by element. Its derivative: by y: -eval_genlaguerre(x - 1, 1, y)."""

def eval_legendre(x: ArrayLike, y: ArrayLike, **options: Unpack[UfuncOptions]) -> Tensor:
    """`scipy.special.eval_legendre`, element by element. Its derivative: by y: eval_gegenbauer(x - 1, 3/2, y)."""

def eval_sh_chebyt(x: ArrayLike, y: ArrayLike, **options: Unpack[UfuncOptions]) -> Tensor:
    """`scipy.special.eval_sh_chebyt`, element by element. Its derivative: by y: 2x eval_sh_chebyu(x - 1, y)."""

def eval_sh_chebyu(x: ArrayLike, y: ArrayLike, **options: Unpack[UfuncOptions]) -> Tensor:
    """`scipy.special.eval_sh_chebyu`, element by element. Its derivative: by y: 4 eval_gegenbauer(x - 1, 2, 2y - 1)."""

def eval_sh_jacobi(x: ArrayLike, y: ArrayLike, z: ArrayLike, w: ArrayLike, **options: Unpack[UfuncOptions]) -> Tensor:
    """`scipy.special.eval_sh_jacobi`, element by element. Its derivative: by w: (x + y) eval_jacobi(x - 1, y - z + 1, z, 2w - 1) / binom(2x + y - 1, x)."""

def eval_sh_legendre(x: ArrayLike, y: ArrayLike, **options: Unpack[UfuncOptions]) -> Tensor:
    """`scipy.special.eval_sh_legendre`, element by element. Its derivative: by y: 2 eval_gegenbauer(x - 1, 3/2, 2y - 1)."""

def exp1(x: ArrayLike, **options: Unpack[UfuncOptions]) -> Tensor:
    """`scipy.special.exp1`, element by element. Its derivative: -exp(-x)/x."""

def exp10(x: ArrayLike, **options: Unpack[UfuncOptions]) -> Tensor:
    """`scipy.special.exp10`, element by element. Its derivative: ln 10 · out."""

def exp2(x: ArrayLike, **options: Unpack[UfuncOptions]) -> Tensor:
    """`scipy.special.exp2`, element by element. Its derivative: ln 2 · out."""

def expi(x: ArrayLike, **options: Unpack[UfuncOptions]) -> Tensor:
    """`scipy.special.expi`, element by element. Its derivative: exp(x)/x."""

def expit(x: ArrayLike, **options: Unpack[UfuncOptions]) -> Tensor:
    """`scipy.special.expit`, element by element. Its derivative: out (1 - out)."""

def expm1(x: ArrayLike, **options: Unpack[UfuncOptions]) -> Tensor:
    """`scipy.special.expm1`, element by element. Its derivative: exp(x)."""

def expn(x: ArrayLike, y: ArrayLike, **options: Unpack[UfuncOptions]) -> Tensor:
    """`scipy.special.expn`, element by element. Its derivative: by y: -expn(x - 1, y)."""

def exprel(x: ArrayLike, **options: Unpack[UfuncOptions]) -> Tensor:
    """`scipy.special.exprel`, element by element. Its derivative: (exp(x) - out) / x."""

def fdtr(x: ArrayLike, y: ArrayLike, z: ArrayLike, **options: Unpack[UfuncOptions]) -> Tensor:
    """`scipy.special.fdtr`, element by element. Its derivative: by the quantile the density, by the parameters the integral of its derivative by them."""

def fdtrc(x: ArrayLike, y: ArrayLike, z: ArrayLike, **options: Unpack[UfuncOptions]) -> Tensor:
    """`scipy.special.fdtrc`, element by element. Its derivative: less by the quantile the density, by the parameters the integral of its derivative by them."""

def fdtri(x: ArrayLike, y: ArrayLike, z: ArrayLike, **options: Unpack[UfuncOptions]) -> Tensor:
    """`scipy.special.fdtri`, element by element. Its derivative: that of an implicit function, where F(n, d, x) is value."""

def fdtridfd(x: ArrayLike, y: ArrayLike, z: ArrayLike, **options: Unpack[UfuncOptions]) -> Tensor:
    """`scipy.special.fdtridfd`, element by element. Its derivative: that of an implicit function, where F(n, d, x) is value."""

def fresnel(x: ArrayLike, **options: Unpack[UfuncOptions]) -> tuple[Tensor, ...]:
    """`scipy.special.fresnel`, element by element. Its derivative: of S: sin(π/2 x²); of C: cos(π/2 x²)."""

def gamma(x: ArrayLike, **options: Unpack[UfuncOptions]) -> Tensor:
    """`scipy.special.gamma`, element by element. Its derivative: out psi(x)."""

def gammainc(x: ArrayLike, y: ArrayLike, **options: Unpack[UfuncOptions]) -> Tensor:
    """`scipy.special.gammainc`, element by element. Its derivative: by the limit of the integral the density, by shapes the integral of its derivative by them."""

def gammaincc(x: ArrayLike, y: ArrayLike, **options: Unpack[UfuncOptions]) -> Tensor:
    """`scipy.special.gammaincc`, element by element. Its derivative: less by the limit of the integral the density, by shapes the integral of its derivative by them."""

def gammainccinv(x: ArrayLike, y: ArrayLike, **options: Unpack[UfuncOptions]) -> Tensor:
    """`scipy.special.gammainccinv`, element by element. Its derivative: that of an implicit function, where F(a, x) is 1 - value."""

def gammaincinv(x: ArrayLike, y: ArrayLike, **options: Unpack[UfuncOptions]) -> Tensor:
    """`scipy.special.gammaincinv`, element by element. Its derivative: that of an implicit function, where F(a, x) is value."""

def gammaln(x: ArrayLike, **options: Unpack[UfuncOptions]) -> Tensor:
    """`scipy.special.gammaln`, element by element. Its derivative: psi(x)."""

def gammasgn(x: ArrayLike, **options: Unpack[UfuncOptions]) -> Tensor:
    """`scipy.special.gammasgn`, element by element. Its derivative: 0."""

def gdtr(x: ArrayLike, y: ArrayLike, z: ArrayLike, **options: Unpack[UfuncOptions]) -> Tensor:
    """`scipy.special.gdtr`, element by element. Its derivative: by the quantile the density, by the parameters the integral of its derivative by them."""

def gdtrc(x: ArrayLike, y: ArrayLike, z: ArrayLike, **options: Unpack[UfuncOptions]) -> Tensor:
    """`scipy.special.gdtrc`, element by element. Its derivative: less by the quantile the density, by the parameters the integral of its derivative by them."""

def gdtria(x: ArrayLike, y: ArrayLike, z: ArrayLike, **options: Unpack[UfuncOptions]) -> Tensor:
    """`scipy.special.gdtria`, element by element. Its derivative: that of an implicit function, where F(a, b, x) is value."""

def gdtrib(x: ArrayLike, y: ArrayLike, z: ArrayLike, **options: Unpack[UfuncOptions]) -> Tensor:
    """`scipy.special.gdtrib`, element by element. Its derivative: that of an implicit function, where F(a, b, x) is value."""

def gdtrix(x: ArrayLike, y: ArrayLike, z: ArrayLike, **options: Unpack[UfuncOptions]) -> Tensor:
    """`scipy.special.gdtrix`, element by element. Its derivative: that of an implicit function, where F(a, b, x) is value."""

def hankel1(x: ArrayLike, y: ArrayLike, **options: Unpack[UfuncOptions]) -> Tensor:
    """`scipy.special.hankel1`, element by element. Its derivative: by x: of the polynomial through values at orders around x; by y: 0.5 hankel1(x - 1, y) + -0.5 hankel1(x + 1, y)."""

def hankel1e(x: ArrayLike, y: ArrayLike, **options: Unpack[UfuncOptions]) -> Tensor:
    """`scipy.special.hankel1e`, element by element. Its derivative: by x: of the polynomial through values at orders around x; by y: 0.5 hankel1e(x - 1, y) + -0.5 hankel1e(x + 1, y) - i out."""

def hankel2(x: ArrayLike, y: ArrayLike, **options: Unpack[UfuncOptions]) -> Tensor:
    """`scipy.special.hankel2`, element by element. Its derivative: by x: of the polynomial through values at orders around x; by y: 0.5 hankel2(x - 1, y) + -0.5 hankel2(x + 1, y)."""

def hankel2e(x: ArrayLike, y: ArrayLike, **options: Unpack[UfuncOptions]) -> Tensor:
    """`scipy.special.hankel2e`, element by element. Its derivative: by x: of the polynomial through values at orders around x; by y: 0.5 hankel2e(x - 1, y) + -0.5 hankel2e(x + 1, y) + i out."""

def huber(x: ArrayLike, y: ArrayLike, **options: Unpack[UfuncOptions]) -> Tensor:
    """`scipy.special.huber`, element by element. Its derivative: by the limit x: |y| - x beyond it, else 0; y within the limit, else x sign y."""

def hyp0f1(x: ArrayLike, y: ArrayLike, **options: Unpack[UfuncOptions]) -> Tensor:
    """`scipy.special.hyp0f1`, element by element. Its derivative: by x: of the series, or of the polynomial through values at parameters around x; by y: hyp0f1(x + 1, y) / x."""

def hyp1f1(x: ArrayLike, y: ArrayLike, z: ArrayLike, **options: Unpack[UfuncOptions]) -> Tensor:
    """`scipy.special.hyp1f1`, element by element. Its derivative: by z: x/y hyp1f1(x + 1, y + 1, z)."""

def hyp2f1(x: ArrayLike, y: ArrayLike, z: ArrayLike, w: ArrayLike, **options: Unpack[UfuncOptions]) -> Tensor:
    """`scipy.special.hyp2f1`, element by element. Its derivative: by w: x y/z hyp2f1(x + 1, y + 1, z + 1, w)."""

def hyperu(x: ArrayLike, y: ArrayLike, z: ArrayLike, **options: Unpack[UfuncOptions]) -> Tensor:
    """`scipy.special.hyperu`, element by element. Its derivative: by z: -x hyperu(x + 1, y + 1, z)."""

def i0(x: ArrayLike, **options: Unpack[UfuncOptions]) -> Tensor:
    """`scipy.special.i0`, element by element. Its derivative: i1(x)."""

def i0e(x: ArrayLike, **options: Unpack[UfuncOptions]) -> Tensor:
    """`scipy.special.i0e`, element by element. Its derivative: i1e(x) - sign(x) out."""

def i1(x: ArrayLike, **options: Unpack[UfuncOptions]) -> Tensor:
    """`scipy.special.i1`, element by element. Its derivative: (i0(x) + iv(2, x)) / 2."""

def i1e(x: ArrayLike, **options: Unpack[UfuncOptions]) -> Tensor:
    """`scipy.special.i1e`, element by element. Its derivative: i0e(x) - (sign(x) + 1/x) out."""

def inv_boxcox(x: ArrayLike, y: ArrayLike, **options: Unpack[UfuncOptions]) -> Tensor:
    """`scipy.special.inv_boxcox`, element by element. Its derivative: out / (1 + x y); that of (1 + x y)^(1/y)."""

def inv_boxcox1p(x: ArrayLike, y: ArrayLike, **options: Unpack[UfuncOptions]) -> Tensor:
    """`scipy.special.inv_boxcox1p`, element by element. Its derivative: (1 + out) / (1 + x y); that of (1 + x y)^(1/y)."""

def it2i0k0(x: ArrayLike, **options: Unpack[UfuncOptions]) -> tuple[Tensor, ...]:
    """`scipy.special.it2i0k0`, element by element. Its derivative: (i0(x) - 1)/x, -k0(x)/x."""

def it2j0y0(x: ArrayLike, **options: Unpack[UfuncOptions]) -> tuple[Tensor, ...]:
    """`scipy.special.it2j0y0`, element by element. Its derivative: (1 - j0(x))/x, -y0(x)/x."""

def it2struve0(x: ArrayLike, **options: Unpack[UfuncOptions]) -> Tensor:
    """`scipy.special.it2struve0`, element by element. Its derivative: -struve(0, x)/x."""

def itairy(x: ArrayLike, **options: Unpack[UfuncOptions]) -> tuple[Tensor, ...]:
    """`scipy.special.itairy`, element by element. Its derivative: Ai(x), Bi(x), Ai(-x), Bi(-x)."""

def iti0k0(x: ArrayLike, **options: Unpack[UfuncOptions]) -> tuple[Tensor, ...]:
    """`scipy.special.iti0k0`, element by element. Its derivative: i0(x), k0(x)."""

def itj0y0(x: ArrayLike, **options: Unpack[UfuncOptions]) -> tuple[Tensor, ...]:
    """`scipy.special.itj0y0`, element by element. Its derivative: j0(x), y0(x)."""

def itmodstruve0(x: ArrayLike, **options: Unpack[UfuncOptions]) -> Tensor:
    """`scipy.special.itmodstruve0`, element by element. Its derivative: modstruve(0, x)."""

def itstruve0(x: ArrayLike, **options: Unpack[UfuncOptions]) -> Tensor:
    """`scipy.special.itstruve0`, element by element. Its derivative: struve(0, x)."""

def iv(x: ArrayLike, y: ArrayLike, **options: Unpack[UfuncOptions]) -> Tensor:
    """`scipy.special.iv`, element by element. Its derivative: by x: of the polynomial through values at orders around x; by y: 0.5 iv(x - 1, y) + 0.5 iv(x + 1, y)."""

def ive(x: ArrayLike, y: ArrayLike, **options: Unpack[UfuncOptions]) -> Tensor:
    """`scipy.special.ive`, element by element. Its derivative: by x: of the polynomial through values at orders around x; by y: 0.5 ive(x - 1, y) + 0.5 ive(x + 1, y); less that of |Re y| out."""

def j0(x: ArrayLike, **options: Unpack[UfuncOptions]) -> Tensor:
    """`scipy.special.j0`, element by element. Its derivative: -j1(x)."""

def j1(x: ArrayLike, **options: Unpack[UfuncOptions]) -> Tensor:
    """`scipy.special.j1`, element by element. Its derivative: (j0(x) - jv(2, x)) / 2."""

def jn(x: ArrayLike, y: ArrayLike, **options: Unpack[UfuncOptions]) -> Tensor:
    """`scipy.special.jv`, element by element. Its derivative: by x: of the polynomial through values at orders around x; by y: 0.5 jv(x - 1, y) + -0.5 jv(x + 1, y)."""

def jv(x: ArrayLike, y: ArrayLike, **options: Unpack[UfuncOptions]) -> Tensor:
    """`scipy.special.jv`, element by element. Its derivative: by x: of the polynomial through values at orders around x; by y: 0.5 jv(x - 1, y) + -0.5 jv(x + 1, y)."""

def jve(x: ArrayLike, y: ArrayLike, **options: Unpack[UfuncOptions]) -> Tensor:
    """`scipy.special.jve`, element by element. Its derivative: by x: of the polynomial through values at orders around x; by y: 0.5 jve(x - 1, y) + -0.5 jve(x + 1, y); less that of |Im y| out."""

def k0(x: ArrayLike, **options: Unpack[UfuncOptions]) -> Tensor:
    """`scipy.special.k0`, element by element. Its derivative: -k1(x)."""

def k0e(x: ArrayLike, **options: Unpack[UfuncOptions]) -> Tensor:
    """`scipy.special.k0e`, element by element. Its derivative: out - k1e(x)."""

def k1(x: ArrayLike, **options: Unpack[UfuncOptions]) -> Tensor:
    """`scipy.special.k1`, element by element. Its derivative: -k0(x) - out/x."""

def k1e(x: ArrayLike, **options: Unpack[UfuncOptions]) -> Tensor:
    """`scipy.special.k1e`, element by element. Its derivative: out - k0e(x) - out/x."""

def kei(x: ArrayLike, **options: Unpack[UfuncOptions]) -> Tensor:
    """`scipy.special.kei`, element by element. Its derivative: keip(x)."""

def keip(x: ArrayLike, **options: Unpack[UfuncOptions]) -> Tensor:
    """`scipy.special.keip`, element by element. Its derivative: ker(x) - out/x."""

def kelvin(x: ArrayLike, **options: Unpack[UfuncOptions]) -> tuple[Tensor, ...]:
    """`scipy.special.kelvin`, element by element. Its derivative: of Be, Ke, Be' and Ke': Be', Ke', i Be - Be'/x and i Ke - Ke'/x."""

def ker(x: ArrayLike, **options: Unpack[UfuncOptions]) -> Tensor:
    """`scipy.special.ker`, element by element. Its derivative: kerp(x)."""

def kerp(x: ArrayLike, **options: Unpack[UfuncOptions]) -> Tensor:
    """`scipy.special.kerp`, element by element. Its derivative: -kei(x) - out/x."""

def kl_div(x: ArrayLike, y: ArrayLike, **options: Unpack[UfuncOptions]) -> Tensor:
    """`scipy.special.kl_div`, element by element. Its derivative: ln(x/y); 1 - x/y."""

def kn(x: ArrayLike, y: ArrayLike, **options: Unpack[UfuncOptions]) -> Tensor:
    """`scipy.special.kn`, element by element. Its derivative: by y: -(kn(x - 1, y) + kn(x + 1, y)) / 2."""

def kolmogi(x: ArrayLike, **options: Unpack[UfuncOptions]) -> Tensor:
    """`scipy.special.kolmogi`, element by element. Its derivative: 1 / that of kolmogorov."""

def kolmogorov(x: ArrayLike, **options: Unpack[UfuncOptions]) -> Tensor:
    """`scipy.special.kolmogorov`, element by element. Its derivative: that of 2 Σ (-1)^(k - 1) exp(-2 k² x²)."""

def kv(x: ArrayLike, y: ArrayLike, **options: Unpack[UfuncOptions]) -> Tensor:
    """`scipy.special.kv`, element by element. Its derivative: by x: of the polynomial through values at orders around x; by y: -0.5 kv(x - 1, y) + -0.5 kv(x + 1, y)."""

def kve(x: ArrayLike, y: ArrayLike, **options: Unpack[UfuncOptions]) -> Tensor:
    """`scipy.special.kve`, element by element. Its derivative: by x: of the polynomial through values at orders around x; by y: -0.5 kve(x - 1, y) + -0.5 kve(x + 1, y) + out."""

def log1p(x: ArrayLike, **options: Unpack[UfuncOptions]) -> Tensor:
    """`scipy.special.log1p`, element by element. Its derivative: 1 / (1 + x)."""

def log_expit(x: ArrayLike, **options: Unpack[UfuncOptions]) -> Tensor:
    """`scipy.special.log_expit`, element by element. Its derivative: expit(-x)."""

def log_ndtr(x: ArrayLike, **options: Unpack[UfuncOptions]) -> Tensor:
    """`scipy.special.log_ndtr`, element by element. Its derivative: √(2/π) / erfcx(-x/√2)."""

def log_softmax(x: ArrayLike, axis: Axis = None) -> Tensor:
    """`scipy.special.log_softmax`: the logarithm of `softmax`, without overflow."""

def log_wright_bessel(x: ArrayLike, y: ArrayLike, z: ArrayLike, **options: Unpack[UfuncOptions]) -> Tensor:
    """`scipy.special.log_wright_bessel`, element by element. Its derivative: those of wright_bessel by wright_bessel."""

def loggamma(x: ArrayLike, **options: Unpack[UfuncOptions]) -> Tensor:
    """`scipy.special.loggamma`, element by element. Its derivative: psi(x)."""

def logit(x: ArrayLike, **options: Unpack[UfuncOptions]) -> Tensor:
    """`scipy.special.logit`, element by element. Its derivative: 1 / (x (1 - x))."""

def lpmv(x: ArrayLike, y: ArrayLike, z: ArrayLike, **options: Unpack[UfuncOptions]) -> Tensor:
    """`scipy.special.lpmv`, element by element. Its derivative: by y: of the polynomial through values at degrees around y, or of the series at 1; by z: -(x z out + √(1 - z²) lpmv(x + 1, y, z)) / (1 - z²)."""

def mathieu_a(x: ArrayLike, y: ArrayLike, **options: Unpack[UfuncOptions]) -> Tensor:
    """`scipy.special.mathieu_a`, element by element. Its derivative: by y: by interpolation."""

def mathieu_b(x: ArrayLike, y: ArrayLike, **options: Unpack[UfuncOptions]) -> Tensor:
    """`scipy.special.mathieu_b`, element by element. Its derivative: by y: by interpolation."""

def mathieu_cem(x: ArrayLike, y: ArrayLike, z: ArrayLike, **options: Unpack[UfuncOptions]) -> tuple[Tensor, ...]:
    """`scipy.special.mathieu_cem`, element by element. Its derivative: by z, in radians: of the function its derivative, of that (2y cos 2z - a) times the function."""

def mathieu_modcem1(x: ArrayLike, y: ArrayLike, z: ArrayLike, **options: Unpack[UfuncOptions]) -> tuple[Tensor, ...]:
    """`scipy.special.mathieu_modcem1`, element by element. Its derivative: by z: of the function its derivative, of that (a - 2y cosh 2z) times the function."""

def mathieu_modcem2(x: ArrayLike, y: ArrayLike, z: ArrayLike, **options: Unpack[UfuncOptions]) -> tuple[Tensor, ...]:
    """`scipy.special.mathieu_modcem2`, element by element. Its derivative: by z: of the function its derivative, of that (a - 2y cosh 2z) times the function."""

def mathieu_modsem1(x: ArrayLike, y: ArrayLike, z: ArrayLike, **options: Unpack[UfuncOptions]) -> tuple[Tensor, ...]:
    """`scipy.special.mathieu_modsem1`, element by element. Its derivative: by z: of the function its derivative, of that (a - 2y cosh 2z) times the function."""

def mathieu_modsem2(x: ArrayLike, y: ArrayLike, z: ArrayLike, **options: Unpack[UfuncOptions]) -> tuple[Tensor, ...]:
    """`scipy.special.mathieu_modsem2`, element by element. Its derivative: by z: of the function its derivative, of that (a - 2y cosh 2z) times the function."""

def mathieu_sem(x: ArrayLike, y: ArrayLike, z: ArrayLike, **options: Unpack[UfuncOptions]) -> tuple[Tensor, ...]:
    """`scipy.special.mathieu_sem`, element by element. Its derivative: by z, in radians: of the function its derivative, of that (2y cos 2z - a) times the function."""

def modfresnelm(x: ArrayLike, **options: Unpack[UfuncOptions]) -> tuple[Tensor, ...]:
    """`scipy.special.modfresnelm`, element by element. Its derivative: of F: -exp(-i x²); of K: 2i x K - exp(i π/4)/√π."""

def modfresnelp(x: ArrayLike, **options: Unpack[UfuncOptions]) -> tuple[Tensor, ...]:
    """`scipy.special.modfresnelp`, element by element. Its derivative: of F: -exp(i x²); of K: -2i x K - exp(-i π/4)/√π."""

def modstruve(x: ArrayLike, y: ArrayLike, **options: Unpack[UfuncOptions]) -> Tensor:
    """`scipy.special.modstruve`, element by element. Its derivative: by x: of the polynomial through values at orders around x; by y: modstruve(x - 1, y) - x out/y."""

def nbdtr(x: ArrayLike, y: ArrayLike, z: ArrayLike, **options: Unpack[UfuncOptions]) -> Tensor:
    """`scipy.special.nbdtr`, element by element. Its derivative: by p a density, as it is an incomplete beta function."""

def nbdtrc(x: ArrayLike, y: ArrayLike, z: ArrayLike, **options: Unpack[UfuncOptions]) -> Tensor:
    """`scipy.special.nbdtrc`, element by element. Its derivative: by p a density, as it is an incomplete beta function."""

def nbdtri(x: ArrayLike, y: ArrayLike, z: ArrayLike, **options: Unpack[UfuncOptions]) -> Tensor:
    """`scipy.special.nbdtri`, element by element. Its derivative: that of an implicit function, where F(k, n, p) is value."""

def nbdtrik(x: ArrayLike, y: ArrayLike, z: ArrayLike, **options: Unpack[UfuncOptions]) -> Tensor:
    """`scipy.special.nbdtrik`, element by element. Its derivative: that of an implicit function, where F(k, n, p) is value."""

def nbdtrin(x: ArrayLike, y: ArrayLike, z: ArrayLike, **options: Unpack[UfuncOptions]) -> Tensor:
    """`scipy.special.nbdtrin`, element by element. Its derivative: that of an implicit function, where F(k, n, p) is value."""

def ncfdtr(x: ArrayLike, y: ArrayLike, z: ArrayLike, w: ArrayLike, **options: Unpack[UfuncOptions]) -> Tensor:
    """`scipy.special.ncfdtr`, element by element. Its derivative: sums of those of central distributions."""

def ncfdtri(x: ArrayLike, y: ArrayLike, z: ArrayLike, w: ArrayLike, **options: Unpack[UfuncOptions]) -> Tensor:
    """`scipy.special.ncfdtri`, element by element. Its derivative: that of an implicit function, where F(n, d, c, f) is value."""

def ncfdtridfd(x: ArrayLike, y: ArrayLike, z: ArrayLike, w: ArrayLike, **options: Unpack[UfuncOptions]) -> Tensor:
    """`scipy.special.ncfdtridfd`, element by element. Its derivative: that of an implicit function, where F(n, d, c, f) is value."""

def ncfdtridfn(x: ArrayLike, y: ArrayLike, z: ArrayLike, w: ArrayLike, **options: Unpack[UfuncOptions]) -> Tensor:
    """`scipy.special.ncfdtridfn`, element by element. Its derivative: that of an implicit function, where F(n, d, c, f) is value."""

def ncfdtrinc(x: ArrayLike, y: ArrayLike, z: ArrayLike, w: ArrayLike, **options: Unpack[UfuncOptions]) -> Tensor:
    """`scipy.special.ncfdtrinc`, element by element. Its derivative: that of an implicit function, where F(n, d, c, f) is value."""

def nctdtr(x: ArrayLike, y: ArrayLike, z: ArrayLike, **options: Unpack[UfuncOptions]) -> Tensor:
    """`scipy.special.nctdtr`, element by element. Its derivative: of the polynomial through values nearby."""

def nctdtridf(x: ArrayLike, y: ArrayLike, z: ArrayLike, **options: Unpack[UfuncOptions]) -> Tensor:
    """`scipy.special.nctdtridf`, element by element. Its derivative: that of an implicit function, where F(v, c, t) is value."""

def nctdtrinc(x: ArrayLike, y: ArrayLike, z: ArrayLike, **options: Unpack[UfuncOptions]) -> Tensor:
    """`scipy.special.nctdtrinc`, element by element. Its derivative: that of an implicit function, where F(v, c, t) is value."""

def nctdtrit(x: ArrayLike, y: ArrayLike, z: ArrayLike, **options: Unpack[UfuncOptions]) -> Tensor:
    """`scipy.special.nctdtrit`, element by element. Its derivative: that of an implicit function, where F(v, c, t) is value."""

def ndtr(x: ArrayLike, **options: Unpack[UfuncOptions]) -> Tensor:
    """`scipy.special.ndtr`, element by element. Its derivative: exp(-x²/2) / √(2π)."""

def ndtri(x: ArrayLike, **options: Unpack[UfuncOptions]) -> Tensor:
    """`scipy.special.ndtri`, element by element. Its derivative: √(2π) exp(out²/2)."""

def ndtri_exp(x: ArrayLike, **options: Unpack[UfuncOptions]) -> Tensor:
    """`scipy.special.ndtri_exp`, element by element. Its derivative: √(π/2) erfcx(-out/√2)."""

def nrdtrimn(x: ArrayLike, y: ArrayLike, z: ArrayLike, **options: Unpack[UfuncOptions]) -> Tensor:
    """`scipy.special.nrdtrimn`, element by element. Its derivative: of z - y ndtri(x)."""

def nrdtrisd(x: ArrayLike, y: ArrayLike, z: ArrayLike, **options: Unpack[UfuncOptions]) -> Tensor:
    """`scipy.special.nrdtrisd`, element by element. Its derivative: of (z - x) / ndtri(y)."""

def obl_ang1(x: ArrayLike, y: ArrayLike, z: ArrayLike, w: ArrayLike, **options: Unpack[UfuncOptions]) -> tuple[Tensor, ...]:
    """`scipy.special.obl_ang1`, element by element. Its derivative: by the last: of the function its derivative, of that the second one by the differential equation."""

def obl_ang1_cv(x0: ArrayLike, x1: ArrayLike, x2: ArrayLike, x3: ArrayLike, x4: ArrayLike, **options: Unpack[UfuncOptions]) -> tuple[Tensor, ...]:
    """`scipy.special.obl_ang1_cv`, element by element. Its derivative: by the last: of the function its derivative, of that the second one by the differential equation."""

def obl_cv(x: ArrayLike, y: ArrayLike, z: ArrayLike, **options: Unpack[UfuncOptions]) -> Tensor:
    """`scipy.special.obl_cv`, element by element. Its derivative: by z: by interpolation."""

def obl_rad1(x: ArrayLike, y: ArrayLike, z: ArrayLike, w: ArrayLike, **options: Unpack[UfuncOptions]) -> tuple[Tensor, ...]:
    """`scipy.special.obl_rad1`, element by element. Its derivative: by the last: of the function its derivative, of that the second one by the differential equation."""

def obl_rad1_cv(x0: ArrayLike, x1: ArrayLike, x2: ArrayLike, x3: ArrayLike, x4: ArrayLike, **options: Unpack[UfuncOptions]) -> tuple[Tensor, ...]:
    """`scipy.special.obl_rad1_cv`, element by element. Its derivative: by the last: of the function its derivative, of that the second one by the differential equation."""

def obl_rad2(x: ArrayLike, y: ArrayLike, z: ArrayLike, w: ArrayLike, **options: Unpack[UfuncOptions]) -> tuple[Tensor, ...]:
    """`scipy.special.obl_rad2`, element by element. Its derivative: by the last: of the function its derivative, of that the second one by the differential equation."""

def obl_rad2_cv(x0: ArrayLike, x1: ArrayLike, x2: ArrayLike, x3: ArrayLike, x4: ArrayLike, **options: Unpack[UfuncOptions]) -> tuple[Tensor, ...]:
    """`scipy.special.obl_rad2_cv`, element by element. Its derivative: by the last: of the function its derivative, of that the second one by the differential equation."""

def owens_t(x: ArrayLike, y: ArrayLike, **options: Unpack[UfuncOptions]) -> Tensor:
    """`scipy.special.owens_t`, element by element. Its derivative: -exp(-x²/2) erf(x y/√2) / √(8π); exp(-x² (1 + y²)/2) / (2π (1 + y²))."""

def pbdv(x: ArrayLike, y: ArrayLike, **options: Unpack[UfuncOptions]) -> tuple[Tensor, ...]:
    """`scipy.special.pbdv`, element by element. Its derivative: by y: of D its derivative, of that (y²/4 - x - 1/2) D."""

def pbvv(x: ArrayLike, y: ArrayLike, **options: Unpack[UfuncOptions]) -> tuple[Tensor, ...]:
    """`scipy.special.pbvv`, element by element. Its derivative: by y: of V its derivative, of that (y²/4 - x - 1/2) V."""

def pbwa(x: ArrayLike, y: ArrayLike, **options: Unpack[UfuncOptions]) -> tuple[Tensor, ...]:
    """`scipy.special.pbwa`, element by element. Its derivative: by y: of W its derivative, of that (x - y²/4) W."""

def pdtr(x: ArrayLike, y: ArrayLike, **options: Unpack[UfuncOptions]) -> Tensor:
    """`scipy.special.pdtr`, element by element. Its derivative: by y less the probability of x."""

def pdtrc(x: ArrayLike, y: ArrayLike, **options: Unpack[UfuncOptions]) -> Tensor:
    """`scipy.special.pdtrc`, element by element. Its derivative: by y the probability of x."""

def pdtri(x: ArrayLike, y: ArrayLike, **options: Unpack[UfuncOptions]) -> Tensor:
    """`scipy.special.pdtri`, element by element. Its derivative: that of an implicit function, where F(k, m) is value."""

def pdtrik(x: ArrayLike, y: ArrayLike, **options: Unpack[UfuncOptions]) -> Tensor:
    """`scipy.special.pdtrik`, element by element. Its derivative: that of an implicit function, where F(k, m) is value."""

def poch(x: ArrayLike, y: ArrayLike, **options: Unpack[UfuncOptions]) -> Tensor:
    """`scipy.special.poch`, element by element. Its derivative: out (psi(x + y) - psi(x)); out psi(x + y)."""

def powm1(x: ArrayLike, y: ArrayLike, **options: Unpack[UfuncOptions]) -> Tensor:
    """`scipy.special.powm1`, element by element. Its derivative: y x^(y - 1); x^y ln x."""

def pro_ang1(x: ArrayLike, y: ArrayLike, z: ArrayLike, w: ArrayLike, **options: Unpack[UfuncOptions]) -> tuple[Tensor, ...]:
    """`scipy.special.pro_ang1`, element by element. Its derivative: by the last: of the function its derivative, of that the second one by the differential equation."""

def pro_ang1_cv(x0: ArrayLike, x1: ArrayLike, x2: ArrayLike, x3: ArrayLike, x4: ArrayLike, **options: Unpack[UfuncOptions]) -> tuple[Tensor, ...]:
    """`scipy.special.pro_ang1_cv`, element by element. Its derivative: by the last: of the function its derivative, of that the second one by the differential equation."""

def pro_cv(x: ArrayLike, y: ArrayLike, z: ArrayLike, **options: Unpack[UfuncOptions]) -> Tensor:
    """`scipy.special.pro_cv`, element by element. Its derivative: by z: by interpolation."""

def pro_rad1(x: ArrayLike, y: ArrayLike, z: ArrayLike, w: ArrayLike, **options: Unpack[UfuncOptions]) -> tuple[Tensor, ...]:
    """`scipy.special.pro_rad1`, element by element. Its derivative: by the last: of the function its derivative, of that the second one by the differential equation."""

def pro_rad1_cv(x0: ArrayLike, x1: ArrayLike, x2: ArrayLike, x3: ArrayLike, x4: ArrayLike, **options: Unpack[UfuncOptions]) -> tuple[Tensor, ...]:
    """`scipy.special.pro_rad1_cv`, element by element. Its derivative: by the last: of the function its derivative, of that the second one by the differential equation."""

def pro_rad2(x: ArrayLike, y: ArrayLike, z: ArrayLike, w: ArrayLike, **options: Unpack[UfuncOptions]) -> tuple[Tensor, ...]:
    """`scipy.special.pro_rad2`, element by element. Its derivative: by the last: of the function its derivative, of that the second one by the differential equation."""

def pro_rad2_cv(x0: ArrayLike, x1: ArrayLike, x2: ArrayLike, x3: ArrayLike, x4: ArrayLike, **options: Unpack[UfuncOptions]) -> tuple[Tensor, ...]:
    """`scipy.special.pro_rad2_cv`, element by element. Its derivative: by the last: of the function its derivative, of that the second one by the differential equation."""

def pseudo_huber(x: ArrayLike, y: ArrayLike, **options: Unpack[UfuncOptions]) -> Tensor:
    """`scipy.special.pseudo_huber`, element by element. Its derivative: with s = √(1 + (y/x)²): 2x (s - 1) - y²/(x s); y/s."""

def psi(x: ArrayLike, **options: Unpack[UfuncOptions]) -> Tensor:
    """`scipy.special.psi`, element by element. Its derivative: polygamma(1, x)."""

def radian(x: ArrayLike, y: ArrayLike, z: ArrayLike, **options: Unpack[UfuncOptions]) -> Tensor:
    """`scipy.special.radian`, element by element. Its derivative: π/180; π/180/60; π/180/3600."""

def rel_entr(x: ArrayLike, y: ArrayLike, **options: Unpack[UfuncOptions]) -> Tensor:
    """`scipy.special.rel_entr`, element by element. Its derivative: ln(x/y) + 1; -x/y."""

def rgamma(x: ArrayLike, **options: Unpack[UfuncOptions]) -> Tensor:
    """`scipy.special.rgamma`, element by element. Its derivative: -out psi(x), and its limit at poles of Γ."""

def round(x: ArrayLike, **options: Unpack[UfuncOptions]) -> Tensor:
    """`scipy.special.round`, element by element. Its derivative: 0."""

def shichi(x: ArrayLike, **options: Unpack[UfuncOptions]) -> tuple[Tensor, ...]:
    """`scipy.special.shichi`, element by element. Its derivative: of Shi: sinh x / x; of Chi: cosh x / x."""

def sici(x: ArrayLike, **options: Unpack[UfuncOptions]) -> tuple[Tensor, ...]:
    """`scipy.special.sici`, element by element. Its derivative: of Si: sin x / x; of Ci: cos x / x."""

def sinc(x: ArrayLike) -> Tensor:
    """sin(πx) / (πx), and 1 at x = 0, element by element."""

def sindg(x: ArrayLike, **options: Unpack[UfuncOptions]) -> Tensor:
    """`scipy.special.sindg`, element by element. Its derivative: π/180 cos(x°)."""

def smirnov(x: ArrayLike, y: ArrayLike, **options: Unpack[UfuncOptions]) -> Tensor:
    """`scipy.special.smirnov`, element by element. Its derivative: by y, of the sum that it is."""

def smirnovi(x: ArrayLike, y: ArrayLike, **options: Unpack[UfuncOptions]) -> Tensor:
    """`scipy.special.smirnovi`, element by element. Its derivative: 1 / that of smirnov."""

def softmax(x: ArrayLike, axis: Axis = None) -> Tensor:
    """`scipy.special.softmax`: exponentials by their sum over `axis`, all axes if None."""

def spence(x: ArrayLike, **options: Unpack[UfuncOptions]) -> Tensor:
    """`scipy.special.spence`, element by element. Its derivative: ln x / (1 - x)."""

def spherical_in(n: ArrayLike, z: ArrayLike, derivative: bool = False) -> Tensor:
    """`scipy.special.spherical_in`, element by element; with `derivative` its derivative by z. That is by z: (n f(n - 1, z) + (n + 1) f(n + 1, z)) / (2n + 1)."""

def spherical_jn(n: ArrayLike, z: ArrayLike, derivative: bool = False) -> Tensor:
    """`scipy.special.spherical_jn`, element by element; with `derivative` its derivative by z. That is by z: (n f(n - 1, z) - (n + 1) f(n + 1, z)) / (2n + 1)."""

def spherical_kn(n: ArrayLike, z: ArrayLike, derivative: bool = False) -> Tensor:
    """`scipy.special.spherical_kn`, element by element; with `derivative` its derivative by z. That is by z: -(n f(n - 1, z) + (n + 1) f(n + 1, z)) / (2n + 1)."""

def spherical_yn(n: ArrayLike, z: ArrayLike, derivative: bool = False) -> Tensor:
    """`scipy.special.spherical_yn`, element by element; with `derivative` its derivative by z. That is by z: (n f(n - 1, z) - (n + 1) f(n + 1, z)) / (2n + 1)."""

def stdtr(x: ArrayLike, y: ArrayLike, **options: Unpack[UfuncOptions]) -> Tensor:
    """`scipy.special.stdtr`, element by element. Its derivative: by the quantile the density, by the parameters the integral of its derivative by them."""

def stdtridf(x: ArrayLike, y: ArrayLike, **options: Unpack[UfuncOptions]) -> Tensor:
    """`scipy.special.stdtridf`, element by element. Its derivative: that of an implicit function, where F(v, t) is value."""

def stdtrit(x: ArrayLike, y: ArrayLike, **options: Unpack[UfuncOptions]) -> Tensor:
    """`scipy.special.stdtrit`, element by element. Its derivative: that of an implicit function, where F(v, t) is value."""

def struve(x: ArrayLike, y: ArrayLike, **options: Unpack[UfuncOptions]) -> Tensor:
    """`scipy.special.struve`, element by element. Its derivative: by x: of the polynomial through values at orders around x; by y: struve(x - 1, y) - x out/y."""

def tandg(x: ArrayLike, **options: Unpack[UfuncOptions]) -> Tensor:
    """`scipy.special.tandg`, element by element. Its derivative: π/180 (1 + out²)."""

def tklmbda(x: ArrayLike, y: ArrayLike, **options: Unpack[UfuncOptions]) -> Tensor:
    """`scipy.special.tklmbda`, element by element. Its derivative: 1 / (p^(y - 1) + (1 - p)^(y - 1)) with p = out; that of an implicit function."""

def voigt_profile(x: ArrayLike, y: ArrayLike, z: ArrayLike, **options: Unpack[UfuncOptions]) -> Tensor:
    """`scipy.special.voigt_profile`, element by element. Its derivative: with V = wofz((x + i z) / (y √2)) / (y √(2π)), the real parts of V', y V'' and i V'."""

def wofz(x: ArrayLike, **options: Unpack[UfuncOptions]) -> Tensor:
    """`scipy.special.wofz`, element by element. Its derivative: -2x out + 2i/√π."""

def wright_bessel(x: ArrayLike, y: ArrayLike, z: ArrayLike, **options: Unpack[UfuncOptions]) -> Tensor:
    """`scipy.special.wright_bessel`, element by element. Its derivative: by x: x times that by b of wright_bessel(x, x + y, z); by y: of the integral; by z: wright_bessel(x, x + y, z)."""

def wrightomega(x: ArrayLike, **options: Unpack[UfuncOptions]) -> Tensor:
    """`scipy.special.wrightomega`, element by element. Its derivative: out / (1 + out)."""

def xlog1py(x: ArrayLike, y: ArrayLike, **options: Unpack[UfuncOptions]) -> Tensor:
    """`scipy.special.xlog1py`, element by element. Its derivative: ln(1 + y); x/(1 + y)."""

def xlogy(x: ArrayLike, y: ArrayLike, **options: Unpack[UfuncOptions]) -> Tensor:
    """`scipy.special.xlogy`, element by element. Its derivative: ln y; x/y."""

def y0(x: ArrayLike, **options: Unpack[UfuncOptions]) -> Tensor:
    """`scipy.special.y0`, element by element. Its derivative: -y1(x)."""

def y1(x: ArrayLike, **options: Unpack[UfuncOptions]) -> Tensor:
    """`scipy.special.y1`, element by element. Its derivative: y0(x) - out/x."""

def yn(x: ArrayLike, y: ArrayLike, **options: Unpack[UfuncOptions]) -> Tensor:
    """`scipy.special.yn`, element by element. Its derivative: by y: (yn(x - 1, y) - yn(x + 1, y)) / 2."""

def yv(x: ArrayLike, y: ArrayLike, **options: Unpack[UfuncOptions]) -> Tensor:
    """`scipy.special.yv`, element by element. Its derivative: by x: of the polynomial through values at orders around x; by y: 0.5 yv(x - 1, y) + -0.5 yv(x + 1, y)."""

def yve(x: ArrayLike, y: ArrayLike, **options: Unpack[UfuncOptions]) -> Tensor:
    """`scipy.special.yve`, element by element. Its derivative: by x: of the polynomial through values at orders around x; by y: 0.5 yve(x - 1, y) + -0.5 yve(x + 1, y); less that of |Im y| out."""

def zetac(x: ArrayLike, **options: Unpack[UfuncOptions]) -> Tensor:
    """`scipy.special.zetac`, element by element. Its derivative: of the series, and of the reflection formula for x < 0."""
