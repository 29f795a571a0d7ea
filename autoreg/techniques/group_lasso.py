"""Keep or drop whole groups of inputs."""

from autoreg.techniques.base import ZEROING_STRENGTH, Penalty, Technique


class GroupLasso(Technique):
    """Keep or drop whole groups of inputs.

    Groups are the feature groups that the study declares; the indicators of one categorical column
    are a group of their own. A group counts with the root of its number of inputs.
    """

    families = ("linear",)
    dials = (ZEROING_STRENGTH,)
    rank = 4
    references = ("Yuan & Lin 2006, JRSS B 68(1)",)

    def penalty(self) -> Penalty:
        return Penalty(group=1.0)
