"""The scikit-learn face of a study: ``AutoRegClassifier`` and ``AutoRegRegressor``.

A fit is a whole study: the search, its nested estimate, the final model. So what
``cross_validate`` is told about one of them is told about the whole selection procedure, and
``study_result_`` says how well it will do without another fold.
"""

from autoreg.estimators.asking import UnjudgedWarning
from autoreg.estimators.classifier import AutoRegClassifier
from autoreg.estimators.regressor import AutoRegRegressor

__all__ = ["AutoRegClassifier", "AutoRegRegressor", "UnjudgedWarning"]
