"""No regularization at all: whether that is enough is a finding, so it is in every space."""

from autoreg.techniques.base import Technique


class NoRegularization(Technique):
    """No regularization at all: whether that is enough is a finding, so it is in every space."""

    families = ("linear", "factorization", "network")
    rank = 0
    references = ("Legendre 1805 (least squares); Albert & Anderson 1984, Biometrika 71(1)",)
