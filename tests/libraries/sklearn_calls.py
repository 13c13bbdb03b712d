"""Calls of scikit-learn's estimators and functions that are written to the array API standard. A program, since SciPy looks for
`SCIPY_ARRAY_API=1`, which scikit-learn wants, when it is imported:

    SCIPY_ARRAY_API=1 python -m tests.libraries.sklearn_calls
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import sklearn
from sklearn import (
    decomposition,
    discriminant_analysis,
    kernel_approximation,
    linear_model,
    metrics,
    model_selection,
    naive_bayes,
    preprocessing,
)
from sklearn import pipeline as pipelines
from sklearn.metrics import pairwise

from tests.libraries.outcomes import Call, say, words

R = np.random.default_rng(0)
X, Y = R.normal(size=(20, 4)), R.normal(size=(20, 4))
TARGET = X @ np.array([1.0, 2.0, -1.0, 0.5]) + 0.1 * R.normal(size=20)
P, W = R.uniform(0.1, 0.9, 20), R.uniform(0.5, 2, 20)
CLASSES = R.integers(0, 3, 20)
HIT = (TARGET > 0).astype(int)

CALLS: list[Call] = []


def add(name: str, function: Callable[..., Any], *args: Any) -> None:
    CALLS.append(Call(name, function, args, {}))


def transformed(kind: type) -> Callable[[Any], Any]:
    return lambda x: kind().fit_transform(x)


for _kind in words("MaxAbsScaler MinMaxScaler StandardScaler Normalizer PolynomialFeatures"):
    add(f"preprocessing.{_kind}", transformed(getattr(preprocessing, _kind)), X)
add("preprocessing.KernelCenterer", lambda x: preprocessing.KernelCenterer().fit_transform(x @ x.T), X)
add("preprocessing.LabelBinarizer", lambda c: preprocessing.LabelBinarizer().fit_transform(c), CLASSES)
for _solver in ("full", "covariance_eigh"):
    add("decomposition.PCA", lambda x, s=_solver: abs(decomposition.PCA(2, svd_solver=s).fit_transform(x)), X)
add("linear_model.Ridge", lambda x, y: linear_model.Ridge(solver="svd").fit(x, y).coef_, X, TARGET)
add(
    "linear_model.RidgeCV",
    lambda x, y: linear_model.RidgeCV(alphas=(0.1, 1.0), gcv_mode="svd").fit(x, y).coef_,
    X,
    TARGET,
)
add("linear_model.RidgeClassifier", lambda x, c: linear_model.RidgeClassifier(solver="svd").fit(x, c).coef_, X, HIT)
add("linear_model.LogisticRegression", lambda x, c: linear_model.LogisticRegression().fit(x, c).coef_, X, HIT)
add("linear_model.LinearRegression", lambda x, y: linear_model.LinearRegression().fit(x, y).coef_, X, TARGET)
add(
    "discriminant_analysis.LinearDiscriminantAnalysis",
    lambda x, c: discriminant_analysis.LinearDiscriminantAnalysis(solver="svd").fit(x, c).decision_function(x),
    X,
    CLASSES,
)
add("naive_bayes.GaussianNB", lambda x, c: naive_bayes.GaussianNB().fit(x, c).predict_log_proba(x), X, CLASSES)
add(
    "kernel_approximation.Nystroem",
    lambda x: kernel_approximation.Nystroem(n_components=3, random_state=0).fit_transform(x),
    X,
)
add(
    "pipeline.make_pipeline",
    lambda x, y: (
        pipelines.make_pipeline(
            preprocessing.MinMaxScaler(), decomposition.PCA(2, svd_solver="full"), linear_model.Ridge(solver="svd")
        )
        .fit(x, y)
        .predict(x)
    ),
    X,
    TARGET,
)
add("model_selection.train_test_split", lambda x, y: model_selection.train_test_split(x, y, random_state=0), X, TARGET)
add(
    "model_selection.cross_val_predict",
    lambda x, y: model_selection.cross_val_predict(linear_model.Ridge(solver="svd"), x, y),
    X,
    TARGET,
)
for _name in words(
    "cosine_similarity cosine_distances additive_chi2_kernel chi2_kernel euclidean_distances laplacian_kernel linear_kernel "
    "manhattan_distances paired_cosine_distances paired_euclidean_distances polynomial_kernel rbf_kernel sigmoid_kernel"
):
    add(f"metrics.pairwise.{_name}", getattr(pairwise, _name), abs(X), abs(Y))
for _name in words(
    "mean_squared_error mean_absolute_error r2_score explained_variance_score max_error mean_tweedie_deviance"
):
    add(f"metrics.{_name}", getattr(metrics, _name), P, W)
for _name in words("accuracy_score balanced_accuracy_score zero_one_loss confusion_matrix hamming_loss"):
    add(f"metrics.{_name}", getattr(metrics, _name), CLASSES, np.roll(CLASSES, 1))
for _name in words("log_loss brier_score_loss roc_auc_score average_precision_score"):
    add(f"metrics.{_name}", getattr(metrics, _name), HIT, P)


if __name__ == "__main__":
    sklearn.set_config(array_api_dispatch=True)
    say(CALLS)
