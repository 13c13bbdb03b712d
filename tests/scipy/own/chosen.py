"""The tests of SciPy's that run on tensors, and those that cannot pass there."""

#: For each module the files of its tests, and which tests of them, as pytest's -k says it.
CHOSEN: dict[str, tuple[list[str], str]] = {
    "special": (
        [
            "test_logsumexp.py", "test_orthogonal_eval.py", "test_sph_harm.py", "test_lambertw.py", "test_gammainc.py",
            "test_ndtr.py", "test_logit.py", "test_zeta.py", "test_sici.py", "test_boxcox.py", "test_kolmogorov.py",
            "test_bdtr.py", "test_pcf.py", "test_owens_t.py", "test_powm1.py", "test_spence.py", "test_wrightomega.py",
            "test_erfinv.py", "test_digamma.py", "test_loggamma.py", "test_faddeeva.py", "test_trig.py", "test_hyp2f1.py",
        ],
        "",
    ),
    "linalg": (
        [
            "test_matfuncs.py", "test_decomp_polar.py", "test_decomp_cholesky.py", "test_decomp_ldl.py", "test_decomp_lu.py",
            "test_matmul_toeplitz.py", "test_solve_toeplitz.py", "test_solvers.py", "test_special_matrices.py",
        ],
        "not fuzz",
    ),
    "fft": (["test_basic.py", "test_real_transforms.py", "test_fftlog.py"], "not multiprocess"),
    "signal": (
        [
            "test_filter_design.py", "test_czt.py", "test_savitzky_golay.py", "test_spectral.py", "test_splines.py",
            "test_signaltools.py", "test_ltisys.py", "test_dltisys.py", "test_peak_finding.py", "test_waveforms.py",
            "test_windows.py", "test_upfirdn.py", "test_fir_filter_design.py", "test_short_time_fft.py",
            "test_result_type.py",
        ],
        "not (test_energy_conservation and 1337)",  # a third of the time: of shorter signals it is the same
    ),
    "interpolate": (
        ["test_rgi.py", "test_rbfinterp.py", "test_bsplines.py", "test_polyint.py"],
        "(TestRegularGridInterpolator or TestInterpN or TestRBFInterpolator or TestBSpline or TestInterp or TestLSQ "
        "or TestPCHIP or TestCubicSpline or TestZeroSizeArrays) "
        "and not (TestInterop or from_power_basis or subclassing or roots)",
    ),
    "sparse.linalg._isolve": (
        ["test_iterative.py"], "not (maxiter or test_convergence or precond_dummy or x0_equals_Mb or show)"
    ),
    "stats": (
        ["test_distributions.py", "test_multivariate.py"],
        "(test_distributions and (pdf or cdf or ppf or entropy or sf)) or (test_multivariate and (pdf or entropy or pmf))",
    ),
    "integrate": (["test_quadpack.py", "test_quadrature.py", "test_integrate.py", "test__quad_vec.py"], ""),
    "ndimage": (["test_splines.py", "test_interpolation.py", "test_measurements.py", "test_fourier.py"], ""),
    "optimize": (["test_minpack.py", "test_nnls.py"], "CurveFit or NNLS or RootHybr"),
    "spatial": (["test_distance.py"], ""),
}  # fmt: skip

#: Parts of the names of tests that pass with SciPy and not on tensors, and why.
EXCEPTIONS: dict[str, dict[str, str]] = {
    "special": {
        "test_logsumexp_complex_sign": "the sign of a complex number has no derivative, and is refused",
        "test_gh21610": "the sign of a complex number has no derivative, and is refused",
    },
    "interpolate": {
        "test_duck_typed_values": "values that are no arrays",
        "test_complex_spline2fd": "complex values are refused, where SciPy warns and drops the imaginary part",
        "test_integrate_ppoly": "SciPy's own conversion of its B-splines",
        "test_integrate_0D_always": "a number is a tensor without axes",
        "test_periodic_knots_exception": "knots of periodic splines are refused in other words",
        "test_periodic_splev": "splrep(per=True) is refused",
    },
    "sparse.linalg._isolve": {
        "atol": "minres has no atol, in SciPy neither",
        "test_zero_rhs": "minres has no atol, in SciPy neither",
        "test_x0_working": "minres has no atol, in SciPy neither",
    },
    "stats": {
        "TestBeta::test_entropy_broadcasting": "a distribution of SciPy's new kind made of another",
        "test_norm_logcdf": "complex arguments",
        "TestMultivariateT": "seed= and rvs, which are not there",
        "TestMultinomial::test_entropy": "an entropy that is not there",
        "TestVonMises_Fisher::test_entropy": "an entropy that is not there",
    },
    "integrate": {
        "TestTrapezoid::test_masked": "masked arrays are refused",
    },
    "linalg": {
        "test_disp_dep": "an argument that SciPy is about to drop",
        "test_blocksize_dep": "an argument that SciPy is about to drop",
        "TestPascal::test_big": "whole numbers of any size are no tensors",
    },
    "ndimage": {
        "test_affine_transform_output_shape": "output= is no array to write into, whose shape would count",
    },
    "signal": {
        "TestGetWindow::test_general_cosine": "xp= is not taken, and so not refused beside a list",
    },
    "optimize": {
        "test_pressure_network_with_gradient": "np.hstack of a matrix without rows and a vector",
        "test_curvefit_covariance": "a method of an array is given a tensor",
        "test_args_in_kwargs": "another class of error",
        "test_gh4555b": "the covariance by exact derivatives has other last digits",
        "test_gh13670": "how often a function is called",
        "test_2D_singleton_RHS_input": "the norm of what is left has other last digits",
        "test_2D_not_singleton_RHS_input": "an error in other words",
    },
    "spatial": {
        "extra_args": "names of metrics for tests",
        "calling_conventions": "names of metrics for tests",
        "_out": "results are made anew",
        "test_cosine_output_dtype": "a number is a tensor without axes",
    },
}
