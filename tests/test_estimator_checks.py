"""scikit-learn's own checks of estimators, all of them, on studies of two trials."""

import pytest
from sklearn.utils.estimator_checks import parametrize_with_checks

from autoreg.estimators import AutoRegClassifier, AutoRegRegressor

WEIGHTS = (
    "folds are cut over rows: a row given twice may be judged by the fit that learned its twin, a "
    "row of weight 2 is not, so a search over folds cannot make the two equal"
)
REASONS = {
    "check_sample_weight_equivalence_on_dense_data": WEIGHTS,
    "check_sample_weight_equivalence_on_sparse_data": WEIGHTS,
}
QUICK = {"trials": 2, "folds": 3, "space": "ridge_to_lasso"}


# Some checks have classes of a single row, which nobody can search or judge; we say so.
@pytest.mark.filterwarnings("ignore::autoreg.estimators.UnjudgedWarning")
@parametrize_with_checks(
    [AutoRegClassifier(**QUICK), AutoRegRegressor(**QUICK)],
    expected_failed_checks=lambda estimator: REASONS,
)
def test_the_estimators_keep_every_promise_of_scikit_learn(estimator, check):
    check(estimator)
    assert estimator.trials == QUICK["trials"]
