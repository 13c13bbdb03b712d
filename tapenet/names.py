"""Which names are public, and which module defines each. Nothing else says it: the namespaces look a name up here when it
is first asked for, and what looks for the op of a NumPy function finds its module here.

A new public function, class or layer is one word in this table, beside the module that defines it.
"""

from __future__ import annotations

import functools
import importlib
import sys
from collections.abc import Callable
from typing import Any

from tapenet import plugins

#: Module -> names of what it defines: the ops of arrays, in `tn`.
OPS: dict[str, str] = {
    "tapenet.ops.calculus.interpolation": "interp unwrap",
    "tapenet.ops.calculus.polynomials.arithmetic": "polyadd polydiv polymul polysub",
    "tapenet.ops.calculus.polynomials.evaluation": "polyder polyint polyval",
    "tapenet.ops.calculus.polynomials.fitting": "polyfit vander",
    "tapenet.ops.calculus.polynomials.roots": "poly roots",
    "tapenet.ops.calculus.sampled": "convolve correlate diff ediff1d gradient trapezoid",
    "tapenet.ops.elementwise.elementary": (
        "abs absolute add arccos arccosh arcsin arcsinh arctan arctan2 arctanh cbrt clip cos cosh divide exp exp2 "
        "expm1 hypot log log10 log1p log2 logaddexp maximum minimum multiply negative positive pow power reciprocal "
        "remainder sin sinh sqrt square subtract tan tanh where"
    ),
    "tapenet.ops.elementwise.comparisons": (
        "bitwise_and bitwise_or bitwise_xor ceil equal floor floor_divide greater greater_equal invert isfinite "
        "isinf isnan less less_equal logical_and logical_not logical_or logical_xor not_equal rint sign signbit "
        "trunc"
    ),
    "tapenet.ops.elementwise.complex": "angle conj conjugate imag real real_if_close",
    "tapenet.ops.elementwise.floating": (
        "acos acosh asin asinh atan atan2 atanh copysign deg2rad degrees divmod fabs float_power fmax fmin fmod "
        "frexp heaviside i0 ldexp logaddexp2 mod modf nan_to_num rad2deg radians sinc true_divide"
    ),
    "tapenet.ops.elementwise.special": "erf",
    "tapenet.ops.elementwise.steps": (
        "allclose around array_equal array_equiv bitwise_count bitwise_invert bitwise_left_shift bitwise_not "
        "bitwise_right_shift fix gcd isclose iscomplex isneginf isposinf isreal lcm left_shift nextafter "
        "right_shift round spacing stop_gradient"
    ),
    "tapenet.ops.indexing.applying": "apply_along_axis apply_over_axes piecewise",
    "tapenet.ops.indexing.items": "index_add scatter_add",
    "tapenet.ops.indexing.editing": "append delete insert resize",
    "tapenet.ops.indexing.positions": (
        "argwhere diag_indices_from flatnonzero nonzero packbits ravel_multi_index tril_indices_from "
        "triu_indices_from unpackbits unravel_index"
    ),
    "tapenet.ops.indexing.selecting": "choose compress extract select take take_along_axis",
    "tapenet.ops.indexing.sets": (
        "intersect1d isin setdiff1d setxor1d union1d unique unique_all unique_counts unique_inverse unique_values"
    ),
    "tapenet.ops.indexing.sorting": (
        "argpartition argsort digitize lexsort partition searchsorted sort sort_complex trim_zeros"
    ),
    "tapenet.ops.indexing.writing": "copyto fill_diagonal place put put_along_axis putmask",
    "tapenet.ops.layers.quantized": "quantized_linear",
    "tapenet.ops.layers.recurrent.cells": "gru_cell lstm_cell rnn_relu_cell rnn_tanh_cell",
    "tapenet.ops.layers.recurrent.layers": "gru lstm rnn",
    "tapenet.ops.products.matmul": "dot linear matmul",
    "tapenet.ops.products.contractions": "tensordot",
    "tapenet.ops.products.einsum": "einsum einsum_path",
    "tapenet.ops.products.vectors": "cross inner kron matvec outer vdot vecdot vecmat",
    "tapenet.ops.reductions.extremes": "amax amin max min ptp",
    "tapenet.ops.reductions.histograms": "histogram histogram2d histogram_bin_edges histogramdd",
    "tapenet.ops.reductions.moments": "mean std var",
    "tapenet.ops.reductions.products": "prod",
    "tapenet.ops.reductions.sums": "logsumexp sum",
    "tapenet.ops.reductions.counting": "all any argmax argmin count_nonzero",
    "tapenet.ops.reductions.cumulative": (
        "cumprod cumsum cumulative_max cumulative_min cumulative_prod cumulative_sum logcumsumexp nancumprod nancumsum"
    ),
    "tapenet.ops.reductions.nan": "nanargmax nanargmin nanmax nanmean nanmin nanprod nanstd nansum nanvar",
    "tapenet.ops.reductions.quantiles": "median nanmedian nanpercentile nanquantile percentile quantile",
    "tapenet.ops.reductions.statistics": "average bincount corrcoef cov",
    "tapenet.ops.shapes.arranging": "diag diagflat diagonal fliplr flipud roll rollaxis rot90 trace tril triu",
    "tapenet.ops.shapes.reshaping": (
        "astype broadcast_to copy expand_dims flip matrix_transpose moveaxis ones_like permute_dims ravel reshape "
        "squeeze swapaxes transpose zeros_like"
    ),
    "tapenet.ops.shapes.concatenation": "concat concatenate split stack",
    "tapenet.ops.shapes.cutting": "array_split dsplit hsplit unstack vsplit",
    "tapenet.ops.shapes.filling": "empty empty_like eye fromfunction full full_like identity ones tri zeros",
    "tapenet.ops.shapes.grids": "atleast_1d atleast_2d atleast_3d broadcast_arrays ix_ meshgrid",
    "tapenet.ops.shapes.joining": "block column_stack dstack hstack row_stack vstack",
    "tapenet.ops.shapes.creation": "array asanyarray asarray ascontiguousarray asfortranarray fromiter require",
    "tapenet.ops.shapes.padding": "pad",
    "tapenet.ops.shapes.ranges": "arange geomspace kaiser linspace logspace",
    "tapenet.ops.shapes.repeating": "repeat tile",
    "tapenet.ops.shapes.tricks": "c_ r_",
    "tapenet.ops.shapes.windows": "sliding_window_view",
}

#: What layers compute: in `tn` and in `tn.nn.functional`.
LAYERS: dict[str, str] = {
    "tapenet.ops.layers.activations.exponential": "celu elu selu",
    "tapenet.ops.layers.activations.gaussian": "gelu",
    "tapenet.ops.layers.activations.logistic": "glu logsigmoid mish sigmoid silu softplus softsign tanhshrink",
    "tapenet.ops.layers.activations.rectifiers": "leaky_relu prelu relu relu6 rrelu",
    "tapenet.ops.layers.activations.softmax": "gumbel_softmax log_softmax softmax softmin",
    "tapenet.ops.layers.activations.steps": "hardshrink hardsigmoid hardswish hardtanh softshrink threshold",
    "tapenet.ops.layers.attention.heads": "multi_head_attention_forward",
    "tapenet.ops.layers.attention.positions": "alibi_bias rotary_embedding sinusoidal_positions",
    "tapenet.ops.layers.attention.product": "scaled_dot_product_attention",
    "tapenet.ops.layers.bags": "embedding_bag",
    "tapenet.ops.layers.bilinear": "bilinear",
    "tapenet.ops.layers.convolution.family": "conv1d conv2d conv3d",
    "tapenet.ops.layers.convolution.shuffling": "channel_shuffle pixel_shuffle pixel_unshuffle",
    "tapenet.ops.layers.convolution.transposed": "conv_transpose1d conv_transpose2d conv_transpose3d",
    "tapenet.ops.layers.convolution.unfolding": "fold unfold",
    "tapenet.ops.layers.dropout": "alpha_dropout dropout dropout1d dropout2d dropout3d feature_alpha_dropout",
    "tapenet.ops.layers.embedding": "embedding one_hot",
    "tapenet.ops.layers.losses.classes": "nll_loss",
    "tapenet.ops.layers.losses.distances": "huber_loss l1_loss mse_loss smooth_l1_loss",
    "tapenet.ops.layers.losses.entropy": "cross_entropy",
    "tapenet.ops.layers.losses.likelihoods": "gaussian_nll_loss poisson_nll_loss",
    "tapenet.ops.layers.losses.margins": (
        "hinge_embedding_loss margin_ranking_loss multi_margin_loss multilabel_margin_loss "
        "multilabel_soft_margin_loss soft_margin_loss"
    ),
    "tapenet.ops.layers.losses.outputs": "linear_cross_entropy",
    "tapenet.ops.layers.losses.probabilities": (
        "binary_cross_entropy binary_cross_entropy_with_logits kl_div sigmoid_focal_loss"
    ),
    "tapenet.ops.layers.losses.sequences": "ctc_loss",
    "tapenet.ops.layers.losses.vectors": (
        "cosine_embedding_loss cosine_similarity pairwise_distance pdist triplet_margin_loss "
        "triplet_margin_with_distance_loss"
    ),
    "tapenet.ops.layers.normalization.batch": "batch_norm",
    "tapenet.ops.layers.normalization.group": "group_norm instance_norm",
    "tapenet.ops.layers.normalization.layer": "layer_norm rms_norm",
    "tapenet.ops.layers.normalization.length": "local_response_norm normalize",
    "tapenet.ops.layers.pooling.adaptive": (
        "adaptive_avg_pool1d adaptive_avg_pool2d adaptive_avg_pool3d adaptive_max_pool1d adaptive_max_pool2d "
        "adaptive_max_pool3d"
    ),
    "tapenet.ops.layers.pooling.fractional": "fractional_max_pool2d fractional_max_pool3d",
    "tapenet.ops.layers.pooling.maximum": "max_pool1d max_pool2d max_pool3d",
    "tapenet.ops.layers.pooling.mean": "avg_pool1d avg_pool2d avg_pool3d lp_pool1d lp_pool2d lp_pool3d",
    "tapenet.ops.layers.pooling.unpooling": "max_unpool1d max_unpool2d max_unpool3d",
    "tapenet.ops.layers.resampling.grids": "affine_grid grid_sample",
    "tapenet.ops.layers.resampling.interpolation": "interpolate",
}

#: What `tn.NAME` finds beside that, and no list shows: parts of other ops, and names that would hide Python's.
HIDDEN: dict[str, str] = {
    "tapenet.compat.torch_dtypes": "bfloat16 bool float int",
    "tapenet.ops": "emath fft linalg protocol random refused",
    "tapenet.ops.elementwise.floating": "iv sinc_derivative",
    "tapenet.ops.indexing.items": "assign getitem host scatter_sum setitem",
    "tapenet.ops.layers.convolution.family": (
        "conv1d_input_grad conv1d_weight_grad conv2d_input_grad conv2d_weight_grad conv3d_input_grad conv3d_weight_grad"
    ),
    "tapenet.ops.layers.normalization.batch": "batch_norm_train",
    "tapenet.ops.layers.normalization.group": "group_norm_statistics",
    "tapenet.ops.layers.pooling.maximum": "max_pool_grad max_pool_pick max_pool_with_indices",
    "tapenet.ops.layers.pooling.mean": "avg_pool_grad",
    "tapenet.ops.layers.pooling.plane_indices": "max_places plane_places",
    "tapenet.ops.layers.quantized": "quantized_linear_input_grad",
    "tapenet.ops.layers.recurrent.layers": "recurrent_grad",
    "tapenet.ops.layers.resampling.axis": "resample",
    "tapenet.ops.layers.resampling.reading": "grid_formula grid_read grid_read_gradients",
    "tapenet.ops.namespace_info": "__array_namespace_info__",
    "tapenet.ops.products.contractions": "contract",
    "tapenet.ops.random": "random_draw",
    "tapenet.ops.registry": "everything stands_for",
    "tapenet.ops.shapes.barrier": "barrier",
    "tapenet.ops.shapes.reshaping": "alias",
    "tapenet.ops.shapes.grids": "spread",
    "tapenet.ops.shapes.creation": "laid_out",
    "tapenet.ops.shapes.padding": "fold_copies pad_constant pad_copies",
    "tapenet.ops.shapes.ranges": "stepped",
    "tapenet.ops.shapes.windows": "fold_windows",
}

#: What is no op.
CORE: dict[str, str] = {
    "tapenet": (
        "autograd cuda data drawing emath fft files implicit linalg metrics nn optim optimize parallel random scipy special "
        "testing training tree"
    ),
    "tapenet.autodiff.control.flow": "cond fori scan while_loop",
    "tapenet.transforms.checkpoint": "checkpoint",
    "tapenet.transforms.custom": "custom_jvp custom_vjp",
    "tapenet.transforms.forward": "jvp linearize",
    "tapenet.transforms.gradients": "elementwise_grad grad value_and_grad vjp",
    "tapenet.transforms.graph_gradients": "gradients",
    "tapenet.transforms.jacobians": "hessian hvp jacfwd jacobian jacrev value_and_jacobian",
    "tapenet.transforms.vectorize": "vmap",
    "tapenet.ops.native_functions": "native",
    "tapenet.ops.rule_results": "GradientError",
    "tapenet.ops.user_primitives": "primitive",
    "numpy": "broadcast_shapes can_cast e inf nan newaxis pi result_type",
    "tapenet.autodiff.creation": "from_dlpack tensor",
    "tapenet.autodiff.observe.autocast": "autocast",
    "tapenet.autodiff.observe.anomaly": "debug",
    "tapenet.autodiff.state": "enable_grad is_grad_enabled no_grad",
    "tapenet.autodiff.observe.tape": "CaptureError Tape tape",
    "tapenet.autodiff.telling": "debug_print",
    "tapenet.autodiff.tensor": "Tensor backward",
    "tapenet.compat.torch_dtypes": (
        "complex128 complex64 double float16 float32 float64 half int16 int32 int64 int8 long short uint16 uint32 uint64 "
        "uint8"
    ),
    "tapenet.compat.torch_functions": (
        "addmm baddbmm bernoulli bmm cat chunk clamp device div flatten from_numpy gather index_select "
        "inference_mode is_floating_point is_tensor lerp manual_seed masked_fill mm movedim mul multinomial neg "
        "norm numel permute rand rand_like randint randn randn_like randperm repeat_interleave rsqrt "
        "set_grad_enabled sub swapdims t topk unbind unsqueeze"
    ),
    "tapenet.compiler.compile": "CompileWarning compile",
    "tapenet.llvm.workers": "deterministic get_num_threads set_num_threads",
    "tapenet.drawing.draw_call": "draw",
    "tapenet.files.saving": "load save",
    "tapenet.lifting.lift": "lift",
    "tapenet.nn.functional_call": "functional_call",
    "tapenet.ops.derived": "array_like derived known",
    "tapenet.ops.dtypes": "finfo iinfo isdtype",
    "tapenet.ops.elementwise.elementary": "safe_mul",
    "tapenet.ops.formula": "derive",
    "tapenet.ops.op": "Op Scatter op",
    "tapenet.ops.operators": "Operand",
    "tapenet.ops.registry": "Sample sample",
    "tapenet.profiling.profile": "profile",
    "tapenet.training.network": "Network",
}

#: Namespace -> tables of its names. A later table goes before an earlier one, and a submodule stands under its package.
NAMES: dict[str, tuple[dict[str, str], ...]] = {
    "tapenet": (CORE, OPS, LAYERS),
    "tapenet.ops": (OPS, LAYERS),
    "tapenet.linalg": (
        {
            "tapenet.ops.linalg.decompositions": "svd svdvals",
            "tapenet.ops.linalg.determinants": "det slogdet",
            "tapenet.ops.linalg.eigen": "eig eigh eigvals eigvalsh",
            "tapenet.ops.linalg.factorizations": "cholesky qr",
            "tapenet.ops.linalg.least_squares": "lstsq matrix_rank pinv",
            "tapenet.ops.linalg.norms": "cond matrix_norm norm vector_norm",
            "tapenet.ops.linalg.products": "cross diagonal matrix_transpose multi_dot outer trace",
            "tapenet.ops.linalg.solving": "inv matrix_power solve tensorinv tensorsolve",
            "tapenet.ops.products.matmul": "matmul",
            "tapenet.ops.products.contractions": "tensordot",
            "tapenet.ops.products.vectors": "vecdot",
        },
    ),
    "tapenet.fft": (
        {
            "tapenet.ops.fft.frequencies": "fftfreq rfftfreq",
            "tapenet.ops.fft.axes": "fft2 fftn ifft2 ifftn irfft2 irfftn rfft2 rfftn",
            "tapenet.ops.fft.transforms": "fft fftshift hfft ifft ifftshift ihfft irfft rfft",
        },
    ),
    "tapenet.special": (
        {
            "tapenet.ops.elementwise.floating": "sinc",
            "tapenet.special.airy_functions": "airy airye itairy",
            "tapenet.special.bessel_derivatives": "h1vp h2vp ivp jvp kvp yvp",
            "tapenet.special.bessel": (
                "hankel1 hankel1e hankel2 hankel2e i0 i0e i1 i1e iv ive j0 j1 jn jv jve k0 k0e k1 k1e kn kv kve "
                "spherical_in spherical_jn spherical_kn spherical_yn y0 y1 yn yv yve"
            ),
            "tapenet.special.bessel_integrals": "besselpoly it2i0k0 it2j0y0 iti0k0 itj0y0",
            "tapenet.special.distributions": (
                "bdtr bdtrc bdtri bdtrik bdtrin chdtr chdtrc chdtri chdtriv fdtr fdtrc fdtri fdtridfd gdtr gdtrc gdtria gdtrib "
                "gdtrix nbdtr nbdtrc nbdtri nbdtrik nbdtrin nrdtrimn nrdtrisd pdtr pdtrc pdtri pdtrik stdtr stdtridf stdtrit"
            ),
            "tapenet.special.elliptic": (
                "agm ellipe ellipeinc ellipj ellipk ellipkinc ellipkm1 elliprc elliprd elliprf elliprg elliprj"
            ),
            "tapenet.special.exponential_sums": "log_softmax logsumexp softmax",
            "tapenet.special.error_functions": (
                "dawsn erf erfc erfcinv erfcx erfi erfinv log_ndtr ndtr ndtri ndtri_exp owens_t voigt_profile wofz"
            ),
            "tapenet.special.exponentials": (
                "boxcox boxcox1p cbrt cosdg cosm1 cotdg entr exp10 exp2 expit expm1 exprel huber inv_boxcox "
                "inv_boxcox1p kl_div log1p log_expit logit powm1 pseudo_huber radian rel_entr round sindg tandg xlog1py xlogy"
            ),
            "tapenet.special.noncentral": (
                "chndtr chndtridf chndtrinc chndtrix ncfdtr ncfdtri ncfdtridfd ncfdtridfn ncfdtrinc nctdtr nctdtridf nctdtrinc "
                "nctdtrit"
            ),
            "tapenet.special.statistics_of_tests": "kolmogi kolmogorov smirnov smirnovi tklmbda",
            "tapenet.special.zeta_functions": "digamma polygamma psi zeta zetac",
            "tapenet.special.gamma_functions": (
                "beta betaln binom gamma gammaln gammasgn loggamma multigammaln poch rgamma"
            ),
            "tapenet.special.incomplete": (
                "betainc betaincc betainccinv betaincinv btdtria btdtrib gammainc gammaincc gammainccinv gammaincinv"
            ),
            "tapenet.special.hypergeometric": "hyp1f1 hyp2f1 hyperu",
            "tapenet.special.mathieu": (
                "mathieu_a mathieu_b mathieu_cem mathieu_modcem1 mathieu_modcem2 mathieu_modsem1 mathieu_modsem2 mathieu_sem"
            ),
            "tapenet.special.orthogonal_polynomials": (
                "eval_chebyc eval_chebys eval_chebyt eval_chebyu eval_gegenbauer eval_genlaguerre eval_hermite "
                "eval_hermitenorm eval_jacobi eval_laguerre eval_legendre eval_sh_chebyt eval_sh_chebyu eval_sh_jacobi "
                "eval_sh_legendre"
            ),
            "tapenet.special.parabolic_cylinder": "pbdv pbvv pbwa",
            "tapenet.special.hypergeometric_limits": "hyp0f1",
            "tapenet.special.spheroidal": (
                "obl_ang1 obl_ang1_cv obl_cv obl_rad1 obl_rad1_cv obl_rad2 obl_rad2_cv pro_ang1 pro_ang1_cv pro_cv pro_rad1 "
                "pro_rad1_cv pro_rad2 pro_rad2_cv"
            ),
            "tapenet.special.counting": "comb factorial perm",
            "tapenet.special.dirichlet": "diric",
            "tapenet.special.lambert": "lambertw wrightomega",
            "tapenet.special.legendre_functions": "lpmv sph_harm_y sph_legendre_p",
            "tapenet.special.integrals": "exp1 expi expn fresnel modfresnelm modfresnelp shichi sici spence",
            "tapenet.special.kelvin_functions": "bei beip ber berp kei keip kelvin ker kerp",
            "tapenet.special.struve_functions": "it2struve0 itmodstruve0 itstruve0 modstruve struve",
            "tapenet.special.wright_functions": "log_wright_bessel wright_bessel",
        },
    ),
    "tapenet.optimize": (
        {
            "tapenet.optimize.bracketing": "bisect brenth brentq ridder toms748",
            "tapenet.optimize.equations": "newton newton_krylov root root_scalar",
            "tapenet.optimize.fixed_points": "fixed_point",
            "tapenet.optimize.linear_fits": "lsq_linear nnls",
            "tapenet.optimize.minimization": "minimize minimize_scalar",
            "tapenet.optimize.minpack": "fsolve leastsq",
            "tapenet.optimize.residuals": "curve_fit least_squares",
            "tapenet.optimize.rosenbrock": "rosen rosen_der rosen_hess rosen_hess_prod",
            "tapenet.optimize.searching": "basinhopping differential_evolution direct dual_annealing shgo",
        },
    ),
    "tapenet.scipy": (
        {
            "tapenet.scipy": "fft integrate interpolate linalg ndimage optimize signal sparse spatial special stats",
        },
    ),
    "tapenet.scipy.fft": (
        {
            "tapenet.ops.fft.transforms": "fftshift ifftshift",
            "tapenet.ops.fft.frequencies": "fftfreq rfftfreq",
            "tapenet.scipy.fft.cosines": "dct dctn dst dstn idct idctn idst idstn",
            "tapenet.scipy.fft.fourier": (
                "fft fft2 fftn hfft hfft2 hfftn ifft ifft2 ifftn ihfft ihfft2 ihfftn irfft irfft2 irfftn rfft rfft2 rfftn"
            ),
            "tapenet.scipy.fft.hankel": "fht fhtoffset ifht",
        },
    ),
    "tapenet.scipy.integrate": (
        {
            "tapenet.scipy.integrate.boundary_values": "solve_bvp",
            "tapenet.scipy.integrate.initial_values": "solve_ivp",
            "tapenet.scipy.integrate.odepack": "odeint",
            "tapenet.scipy.integrate.nested_quadrature": "dblquad nquad tplquad",
            "tapenet.scipy.integrate.quadrature": "quad quad_vec",
            "tapenet.scipy.integrate.sampled": (
                "cumulative_simpson cumulative_trapezoid fixed_quad newton_cotes romb simpson trapezoid"
            ),
        },
    ),
    "tapenet.scipy.interpolate": (
        {
            "tapenet.scipy.interpolate.cubic": "Akima1DInterpolator CubicHermiteSpline CubicSpline PchipInterpolator",
            "tapenet.scipy.interpolate.bsplines": "BSpline",
            "tapenet.scipy.interpolate.fitpack": (
                "InterpolatedUnivariateSpline RectBivariateSpline UnivariateSpline splantider splder splev splint splrep"
            ),
            "tapenet.scipy.interpolate.fitted_splines": "make_interp_spline make_lsq_spline",
            "tapenet.scipy.interpolate.grids": "RegularGridInterpolator interpn",
            "tapenet.scipy.interpolate.nearest": "NearestNDInterpolator griddata",
            "tapenet.scipy.interpolate.one_axis": "interp1d",
            "tapenet.scipy.interpolate.piecewise": "PPoly",
            "tapenet.scipy.interpolate.polynomials": "BarycentricInterpolator KroghInterpolator",
            "tapenet.scipy.interpolate.scattered": "LinearNDInterpolator RBFInterpolator",
            "tapenet.scipy.interpolate.smoothing_splines": "make_smoothing_spline",
        },
    ),
    "tapenet.scipy.linalg": (
        {
            "tapenet.scipy.linalg.banded": "cho_solve_banded cholesky_banded solve_banded solveh_banded",
            "tapenet.scipy.linalg.eigenvalues": (
                "eig eig_banded eigh eigh_tridiagonal eigvals eigvals_banded eigvalsh eigvalsh_tridiagonal"
            ),
            "tapenet.scipy.linalg.elimination": "ldl lu lu_factor lu_solve",
            "tapenet.scipy.linalg.matrix_equations": (
                "solve_continuous_are solve_continuous_lyapunov solve_discrete_are solve_discrete_lyapunov solve_lyapunov "
                "solve_sylvester"
            ),
            "tapenet.scipy.linalg.matrix_functions": (
                "coshm cosm expm expm_frechet fractional_matrix_power funm khatri_rao logm signm sinhm sinm sqrtm tanhm tanm"
            ),
            "tapenet.scipy.linalg.orthogonal_factors": (
                "null_space orth orthogonal_procrustes polar qr qr_multiply rq subspace_angles svd svdvals"
            ),
            "tapenet.scipy.linalg.patterned": (
                "block_diag cdf2rdf circulant companion convolution_matrix diagsvd fiedler fiedler_companion hankel leslie "
                "toeplitz"
            ),
            "tapenet.scipy.linalg.positive": "cho_factor cho_solve cholesky",
            "tapenet.scipy.linalg.pseudoinverses": "lstsq pinv pinvh",
            "tapenet.scipy.linalg.schur_form": "hessenberg matrix_balance rsf2csf schur",
            "tapenet.scipy.linalg.systems": "det inv norm solve solve_triangular",
            "tapenet.scipy.linalg.toeplitz_systems": "matmul_toeplitz solve_circulant solve_toeplitz",
        },
    ),
    "tapenet.scipy.ndimage": (
        {
            "tapenet.scipy.ndimage.correlation": "convolve convolve1d correlate correlate1d",
            "tapenet.scipy.ndimage.extremes": "center_of_mass extrema maximum median minimum",
            "tapenet.scipy.ndimage.fourier_filters": "fourier_gaussian fourier_shift",
            "tapenet.scipy.ndimage.gaussians": (
                "gaussian_filter gaussian_filter1d gaussian_gradient_magnitude gaussian_laplace laplace prewitt sobel"
            ),
            "tapenet.scipy.ndimage.measurements": "mean standard_deviation sum sum_labels variance",
            "tapenet.scipy.ndimage.morphology": "black_tophat morphological_gradient morphological_laplace white_tophat",
            "tapenet.scipy.ndimage.windows": (
                "grey_closing grey_dilation grey_erosion grey_opening maximum_filter median_filter minimum_filter "
                "percentile_filter rank_filter uniform_filter uniform_filter1d"
            ),
            "tapenet.scipy.ndimage.sampling": "affine_transform geometric_transform map_coordinates rotate shift zoom",
            "tapenet.scipy.ndimage.spline_filters": "spline_filter spline_filter1d",
        },
    ),
    "tapenet.scipy.signal.windows": (
        {
            "tapenet.scipy.signal.windows.shapes": (
                "exponential gaussian general_cosine general_gaussian general_hamming kaiser tukey"
            )
        },
    ),
    "tapenet.scipy.signal": (
        {
            "tapenet.scipy.signal": "windows",
            "tapenet.scipy.signal.chosen_windows": "get_window",
            "tapenet.scipy.signal.separable": "sepfir2d",
            "tapenet.scipy.signal.convolution": "convolve convolve2d correlate correlate2d fftconvolve oaconvolve",
            "tapenet.scipy.signal.analytic_signals": "envelope hilbert hilbert2",
            "tapenet.scipy.signal.resampling": "decimate resample resample_poly upfirdn",
            "tapenet.scipy.signal.chirp_transforms": "czt zoom_fft",
            "tapenet.scipy.signal.smoothing": "detrend medfilt savgol_filter wiener",
            "tapenet.scipy.signal.spline_curves": "cspline1d cspline1d_eval qspline1d qspline1d_eval symiirorder1",
            "tapenet.scipy.signal.spline_images": "cspline2d qspline2d spline_filter symiirorder2",
            "tapenet.scipy.signal.spectra": "coherence csd istft periodogram spectrogram stft welch",
            "tapenet.scipy.signal.design": (
                "bessel bilinear_zpk butter cheby1 cheby2 ellip firwin iirfilter lp2bp_zpk lp2bs_zpk lp2hp_zpk lp2lp_zpk zpk2tf"
            ),
            "tapenet.scipy.signal.normalization": "normalize",
            "tapenet.scipy.signal.peaks": "find_peaks peak_prominences peak_widths",
            "tapenet.scipy.signal.resonators": "iirnotch iirpeak",
            "tapenet.scipy.signal.systems": ("bode dimpulse dlsim dstep freqresp impulse lsim ss2tf step tf2ss zpk2ss"),
            "tapenet.scipy.signal.forms": "sos2tf sos2zpk ss2zpk tf2sos tf2zpk zpk2sos",
            "tapenet.scipy.signal.substitutions": "bilinear lp2bp lp2bs lp2hp lp2lp",
            "tapenet.scipy.signal.waveforms": "chirp gausspulse sawtooth square",
            "tapenet.scipy.signal.responses": "freqs freqz freqz_sos freqz_zpk group_delay sosfreqz",
            "tapenet.scipy.signal.filtering": (
                "deconvolve filtfilt lfilter lfilter_zi lfiltic sosfilt sosfilt_zi sosfiltfilt"
            ),
        },
    ),
    "tapenet.scipy.sparse": (
        {
            "tapenet.scipy.sparse": "linalg",
            "tapenet.scipy.sparse.arrays": "coo_array csc_array csr_array",
            "tapenet.scipy.sparse.construction": (
                "block_array block_diag diags_array eye_array find hstack issparse kron kronsum random_array tril triu vstack"
            ),
            "tapenet.scipy.sparse.older_names": "bmat diags eye identity spdiags",
        },
    ),
    "tapenet.scipy.sparse.linalg": (
        {
            "tapenet.scipy.sparse.linalg.eigenvalues": "eigsh svds",
            "tapenet.scipy.sparse.linalg.functions": "expm_multiply matrix_power norm",
            "tapenet.scipy.sparse.linalg.least_squares": "lsmr lsqr",
            "tapenet.scipy.sparse.linalg.factorization": "factorized inv splu spsolve spsolve_triangular",
            "tapenet.scipy.sparse.linalg.iteration": "bicgstab cg cgs gcrotmk gmres lgmres minres tfqmr",
        },
    ),
    "tapenet.scipy.spatial": ({"tapenet.scipy.spatial": "distance"},),
    "tapenet.scipy.spatial.distance": (
        {
            "tapenet.scipy.spatial.distance.all_pairs": "cdist pdist squareform",
            "tapenet.scipy.spatial.distance.two_vectors": (
                "braycurtis canberra chebyshev cityblock correlation cosine dice directed_hausdorff euclidean hamming jaccard "
                "jensenshannon mahalanobis minkowski rogerstanimoto russellrao seuclidean sokalsneath sqeuclidean yule"
            ),
        },
    ),
    "tapenet.scipy.stats": (
        {
            "tapenet.scipy.stats.continuous": (
                "alpha anglit arcsine argus beta betaprime bradford burr burr12 cauchy chi chi2 cosine crystalball "
                "dgamma dpareto_lognorm dweibull erlang expon exponnorm exponpow exponweib f fatiguelife fisk "
                "foldcauchy foldnorm gamma gausshyper genexpon genextreme gengamma genhalflogistic genhyperbolic "
                "geninvgauss genlogistic gennorm genpareto gibrat gompertz gumbel_l gumbel_r halfcauchy halfgennorm "
                "halflogistic halfnorm hypsecant invgamma invgauss invweibull irwinhall jf_skew_t johnsonsb johnsonsu "
                "kappa3 kappa4 ksone kstwo kstwobign landau laplace laplace_asymmetric levy levy_l levy_stable "
                "loggamma logistic loglaplace lognorm loguniform lomax maxwell mielke moyal nakagami ncf nct ncx2 "
                "norm norminvgauss pareto pearson3 powerlaw powerlognorm powernorm rayleigh rdist recipinvgauss "
                "reciprocal rel_breitwigner rice semicircular skewcauchy skewnorm studentized_range t trapezoid "
                "triang truncexpon truncnorm truncpareto truncweibull_min tukeylambda uniform vonmises vonmises_line "
                "wald weibull_max weibull_min wrapcauchy"
            ),
            "tapenet.scipy.stats.discrete": (
                "bernoulli betabinom betanbinom binom boltzmann dlaplace geom hypergeom logser nbinom "
                "nchypergeom_fisher nchypergeom_wallenius nhypergeom planck poisson randint skellam yulesimon zipf "
                "zipfian"
            ),
            "tapenet.scipy.stats.poisson_binomial": "poisson_binom",
            "tapenet.scipy.stats.multivariate": (
                "dirichlet dirichlet_multinomial invwishart matrix_normal multinomial multivariate_hypergeom "
                "multivariate_normal multivariate_t normal_inverse_gamma vonmises_fisher wishart"
            ),
        },
    ),
    "tapenet.implicit": (
        {
            "tapenet.transforms.implicit.linear": "linear_solve",
            "tapenet.transforms.implicit.roots": "fixed_point minimize root",
        },
    ),
    "tapenet.testing": (
        {
            "tapenet.compat.porting": "PortingWarning porting",
            "tapenet.ops.registry": "Sample",
            "tapenet.testing.array_types": "check_array_type",
            "tapenet.testing.data": "check_data",
            "tapenet.testing.drawings": "check_renderer check_theme",
            "tapenet.testing.gradients": "GradientMismatch check_grads",
            "tapenet.testing.initialisers": "check_initialiser",
            "tapenet.testing.layers": "check_layer",
            "tapenet.testing.losses": "check_loss",
            "tapenet.testing.ops": "check_op",
            "tapenet.testing.optimizers": "check_optimizer",
            "tapenet.testing.primitives": "check_primitive",
            "tapenet.testing.schedules": "check_schedule",
        },
    ),
    "tapenet.emath": (
        {
            "tapenet.ops.emath": "arccos arcsin arctanh log log10 log2 logn power sqrt",
        },
    ),
    "tapenet.random": (
        {
            "tapenet.ops.random": "draw generator get_state integers seed set_state",
            "tapenet.random.continuous": (
                "beta cauchy chisquare exponential f gamma gumbel half_cauchy half_normal inverse_gamma laplace logistic "
                "lognormal noncentral_chisquare normal pareto power rayleigh standard_gamma standard_t triangular uniform "
                "vonmises wald weibull"
            ),
            "tapenet.random.discrete": "bernoulli binomial geometric hypergeometric logseries negative_binomial poisson zipf",
            "tapenet.random.distribution": "Distribution",
            "tapenet.random.multivariate": (
                "categorical dirichlet multinomial multivariate_hypergeometric multivariate_normal multivariate_t wishart"
            ),
            "tapenet.random.orders": "choice permutation spawn",
            "tapenet.random.truncation": "truncated truncated_normal",
        },
    ),
    "tapenet.nn": (
        {
            "tapenet.nn": "functional init quantized utils",
            "tapenet.nn.activation": (
                "CELU ELU GELU GLU Hardshrink Hardsigmoid Hardswish Hardtanh LeakyReLU LogSigmoid LogSoftmax Mish PReLU "
                "RReLU ReLU ReLU6 SELU SiLU Sigmoid Softmax Softmax2d Softmin Softplus Softshrink Softsign Tanh "
                "Tanhshrink Threshold"
            ),
            "tapenet.nn.adaptive": (
                "AdaptiveAvgPool1d AdaptiveAvgPool2d AdaptiveAvgPool3d AdaptiveMaxPool1d AdaptiveMaxPool2d "
                "AdaptiveMaxPool3d FractionalMaxPool2d FractionalMaxPool3d"
            ),
            "tapenet.nn.attention": "MultiheadAttention RotaryPositionalEmbeddings SinusoidalPositionalEncoding",
            "tapenet.nn.batch_normalization": (
                "BatchNorm1d BatchNorm2d BatchNorm3d InstanceNorm1d InstanceNorm2d InstanceNorm3d"
            ),
            "tapenet.nn.containers": "ModuleDict ModuleList Sequential",
            "tapenet.nn.convolution": "Conv1d Conv2d Conv3d ConvTranspose1d ConvTranspose2d ConvTranspose3d",
            "tapenet.nn.dropout": "AlphaDropout Dropout Dropout1d Dropout2d Dropout3d FeatureAlphaDropout Identity",
            "tapenet.nn.embedding": "Embedding EmbeddingBag",
            "tapenet.nn.lazy": (
                "LazyBatchNorm1d LazyBatchNorm2d LazyBatchNorm3d LazyConv1d LazyConv2d LazyConv3d LazyConvTranspose1d "
                "LazyConvTranspose2d LazyConvTranspose3d LazyInstanceNorm1d LazyInstanceNorm2d LazyInstanceNorm3d "
                "LazyLinear"
            ),
            "tapenet.nn.linear": "Bilinear Linear",
            "tapenet.nn.loss.classification": "BCELoss BCEWithLogitsLoss CTCLoss CrossEntropyLoss KLDivLoss NLLLoss",
            "tapenet.nn.loss.margins": (
                "HingeEmbeddingLoss MarginRankingLoss MultiLabelMarginLoss MultiLabelSoftMarginLoss MultiMarginLoss "
                "SoftMarginLoss"
            ),
            "tapenet.nn.loss.parametric": "AdaptiveLogSoftmaxWithLoss LinearCrossEntropyLoss",
            "tapenet.nn.loss.regression": "GaussianNLLLoss HuberLoss L1Loss MSELoss PoissonNLLLoss SmoothL1Loss",
            "tapenet.nn.loss.similarity": (
                "CosineEmbeddingLoss CosineSimilarity PairwiseDistance TripletMarginLoss TripletMarginWithDistanceLoss"
            ),
            "tapenet.nn.module": "Module",
            "tapenet.nn.normalization": "GroupNorm LayerNorm LocalResponseNorm RMSNorm",
            "tapenet.nn.padding": (
                "CircularPad1d CircularPad2d CircularPad3d ConstantPad1d ConstantPad2d ConstantPad3d ReflectionPad1d "
                "ReflectionPad2d ReflectionPad3d ReplicationPad1d ReplicationPad2d ReplicationPad3d ZeroPad1d ZeroPad2d "
                "ZeroPad3d"
            ),
            "tapenet.nn.parameter": "Buffer Parameter UninitializedBuffer UninitializedParameter",
            "tapenet.nn.parameter_containers": "ParameterDict ParameterList",
            "tapenet.nn.pooling": (
                "AvgPool1d AvgPool2d AvgPool3d LPPool1d LPPool2d LPPool3d MaxPool1d MaxPool2d MaxPool3d MaxUnpool1d "
                "MaxUnpool2d MaxUnpool3d"
            ),
            "tapenet.nn.quantized": "quantize",
            "tapenet.nn.recurrent": "GRU LSTM RNN",
            "tapenet.nn.recurrent_cells": "GRUCell LSTMCell RNNCell",
            "tapenet.nn.resampling": "Upsample UpsamplingBilinear2d UpsamplingNearest2d",
            "tapenet.nn.reshaping": "ChannelShuffle Flatten Fold PixelShuffle PixelUnshuffle Unflatten Unfold",
            "tapenet.nn.state_dict": "LoadReport",
            "tapenet.nn.summarize": "Summary summary",
            "tapenet.nn.transformer": (
                "Transformer TransformerDecoder TransformerDecoderLayer TransformerEncoder TransformerEncoderLayer"
            ),
        },
    ),
    "tapenet.nn.functional": (
        LAYERS,
        {
            "tapenet.nn.inplace_functions": "batch_norm embedding embedding_bag instance_norm",
            "tapenet.nn.loss.reduced": "reduced",
            "tapenet.ops.elementwise.elementary": "tanh",
            "tapenet.ops.layers.padding": "pad",
            "tapenet.ops.products.matmul": "linear",
        },
    ),
    "tapenet.nn.utils": (
        {
            "tapenet.nn.utils": "parametrizations parametrize prune rnn",
            "tapenet.nn.utils.clipping": "clip_grad_norm_ clip_grad_value_ clip_grads_with_norm_ get_total_norm",
            "tapenet.nn.utils.fusion": "fuse_conv_bn_eval fuse_linear_bn_eval",
            "tapenet.nn.utils.parameter_vector": "parameters_to_vector vector_to_parameters",
        },
    ),
    "tapenet.optim": (
        {
            "tapenet.parameters.clipping": "clip_grad_norm clip_grad_value",
            "tapenet.optim": "lr_scheduler",
            "tapenet.optim.accumulation": "accumulate",
            "tapenet.optim.weight_averaging": "Averaged update_bn",
            "tapenet.optim.grad_scaler": "GradScaler",
            "tapenet.optim.master_weights": "MasterWeights",
            "tapenet.optim.optimizer": "Optimizer",
            "tapenet.optim.parameters": "param_groups",
            "tapenet.optim.plateau": "Plateau",
            "tapenet.optim.rules.adafactor": "Adafactor",
            "tapenet.optim.rules.adam": "Adam AdamW Adamax NAdam RAdam",
            "tapenet.optim.rules.adaptive": "Adadelta Adagrad RMSprop Rprop",
            "tapenet.optim.rules.lbfgs": "LBFGS",
            "tapenet.optim.rules.lion": "Lion",
            "tapenet.optim.rules.muon": "Muon",
            "tapenet.optim.rules.sgd": "ASGD SGD",
            "tapenet.optim.rules.sparse": "SparseAdam",
            "tapenet.optim.rules.trust": "LAMB LARS",
            "tapenet.optim.schedules": (
                "Schedule averaging constant cosine cosine_restarts cyclic exponential inverse_sqrt linear "
                "multiplicative multistep one_cycle piecewise polynomial product step_decay warmup"
            ),
            "tapenet.optim.torch_export": "to_torch",
            "tapenet.optim.whole_parameters": "WholeOptimizer",
        },
    ),
    "tapenet.data": (
        {
            "tapenet.data": "transforms",
            "tapenet.data.array_dataset": "ArrayDataset",
            "tapenet.data.bundled": "digits iris",
            "tapenet.data.cifar_files": "CIFAR10_CLASSES cifar10",
            "tapenet.data.collation": "PadCollate Padded collate",
            "tapenet.data.columns": "Columns",
            "tapenet.data.csv_files": "CsvChunks csv csv_chunks",
            "tapenet.data.dataset": "Concat Dataset Mapped Subset",
            "tapenet.data.housing_files": "california_housing",
            "tapenet.data.idx_files": "read_idx",
            "tapenet.data.image_files": "ImageFolder image_folder read_image",
            "tapenet.data.loader": "DataLoader",
            "tapenet.data.minibatch": "Batches batches",
            "tapenet.data.mnist_files": "FASHION_MNIST_CLASSES LabelledImages fashion_mnist mnist",
            "tapenet.data.samplers": (
                "BalancedSampler BatchSampler LengthBatchSampler RandomSampler Sampler SequentialSampler "
                "StratifiedSampler WeightedSampler"
            ),
            "tapenet.data.splits": "kfold split",
            "tapenet.data.stream": "Stream",
            "tapenet.data.tables": "Table table",
            "tapenet.data.text_files": "tiny_shakespeare",
        },
    ),
    "tapenet.data.transforms": (
        {
            "tapenet.data.transforms.affine": "RandomAffine RandomRotation",
            "tapenet.data.transforms.colour": "ColorJitter Grayscale",
            "tapenet.data.transforms.crops": (
                "CenterCrop Pad RandomCrop RandomErasing RandomHorizontalFlip RandomVerticalFlip"
            ),
            "tapenet.data.transforms.normalizing": "Normalize OneHot ToFloat",
            "tapenet.data.transforms.resizing": "RandomResizedCrop Resize",
            "tapenet.data.transforms.transform": "Compose RandomApply RandomChoice Transform",
        },
    ),
    "tapenet.drawing": (
        {
            "tapenet.drawing.draw_call": "draw",
            "tapenet.drawing.forms.render": "RenderError Renderer add_renderer remove_renderer render renderers",
            "tapenet.drawing.picture": "Picture formats",
            "tapenet.drawing.sources.mathematics": "formula gradient_rules",
            "tapenet.drawing.style": "Box Palette Theme themes",
        },
    ),
    "tapenet.training": (
        {
            "tapenet.training.callbacks": "EarlyStopping KeepBest every_batch",
            "tapenet.training.checkpoint": "Checkpoint",
            "tapenet.training.evaluation": "evaluate predict",
            "tapenet.training.fitting": "fit",
            "tapenet.training.history": "History",
            "tapenet.training.loggers": "CSVLogger TensorBoardLogger",
            "tapenet.training.rate_finder": "Rates find_lr",
            "tapenet.training.seeding": "seed",
            "tapenet.training.state": "State",
        },
    ),
    "tapenet.parallel": (
        {
            "tapenet.parallel.averaging": "equal optimizer",
            "tapenet.parallel.collectives": "allgather allreduce broadcast recv reduce reduce_scatter send",
            "tapenet.parallel.mapping": "map",
            "tapenet.parallel.ranks": "init rank size",
            "tapenet.parallel.sharding": "Shard shard",
            "tapenet.parallel.statistics": "synchronize_batch_norm",
        },
    ),
    "tapenet.metrics": (
        {
            "tapenet.metrics.accuracy": "Accuracy TopK",
            "tapenet.metrics.by_name": "from_sklearn resolve",
            "tapenet.metrics.calibration": "CalibrationError",
            "tapenet.metrics.confusion": "ConfusionMatrix",
            "tapenet.metrics.metric": "Metric",
            "tapenet.metrics.perplexity": "Perplexity",
            "tapenet.metrics.precision_recall": "F1 Precision Recall",
            "tapenet.metrics.ranking": "AUC AveragePrecision",
            "tapenet.metrics.regression": "MAE MSE R2 RMSE",
        },
    ),
    "tapenet.files": (
        {
            "tapenet.files.atomic_write": "atomic",
            "tapenet.files.safetensors": "DamagedFile",
            "tapenet.files.saving": "load metadata save",
        },
    ),
}
# The same namespaces under SciPy's names.
NAMES["tapenet.scipy.special"] = NAMES["tapenet.special"]
NAMES["tapenet.scipy.optimize"] = NAMES["tapenet.optimize"]


@functools.cache
def homes(space: str) -> dict[str, str]:
    """The module that defines each name of a namespace; of a submodule the namespace itself.

    >>> homes("tapenet.nn")["Linear"], homes("tapenet.nn")["functional"]
    ('tapenet.nn.linear', 'tapenet.nn')
    """
    return {name: module for table in NAMES[space] for module, names in table.items() for name in names.split()}


def home(space: str, name: str) -> str | None:
    """The module that defines a name, also a hidden one; None if the namespace has no such name."""
    found = homes(space).get(name)
    if found is None and space in ("tapenet", "tapenet.ops"):
        found = next((module for module, names in HIDDEN.items() if name in names.split()), None)
    return found


def namespace(space: str) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """`__getattr__` and `__dir__` of a namespace: each name is loaded when it is first asked for. Its documentation ends in
    a list of the names."""
    module = sys.modules[space]

    def attribute(name: str) -> object:
        if name == "__all__":
            # To help(), which would print the documentation of them all, the list above is enough.
            return [] if sys._getframe(1).f_globals.get("__name__") == "pydoc" else names()
        where = home(space, name)
        if where is None:
            return plugins.attribute(module, name)
        if where == space:
            return importlib.import_module(f"{space}.{name}")
        found = getattr(importlib.import_module(where), name)
        setattr(module, name, found)
        return found

    def names() -> list[str]:
        return sorted(homes(space))

    lines = [f"{where.rpartition('.')[2]}: {names}" for table in NAMES[space] for where, names in table.items()]
    module.__doc__ = "\n".join([module.__doc__ or "", *lines])
    return attribute, names
