"""Errors that a person can act on: each message names the place and the remedy.

Every error that autoreg raises on purpose derives from :class:`AutoregError`; the command
line ends with its ``exit_code``. Anything else is a defect of autoreg itself (exit code 1).
"""


class AutoregError(Exception):
    """Base of all errors that autoreg raises on purpose.

    >>> issubclass(SpecError, AutoregError), BusyError.exit_code
    (True, 75)
    """

    exit_code = 2


class SpecError(AutoregError):
    """A study or search-space file (or its Python equivalent) is wrong."""


class DataError(AutoregError):
    """The data cannot be read, or cannot answer the question that the study asks."""


class ModelError(DataError):
    """A saved model is missing, damaged, or of a format that this version does not read."""


class SpaceError(AutoregError):
    """A search space asks for something that no technique or engine offers."""


class StudyError(AutoregError):
    """The state of a study on disk does not allow what was asked."""


class NoValidTrialError(AutoregError):
    """Every trial of a search failed, so nothing can be selected."""


class BusyError(StudyError):
    """Somebody else is at it, or something is away: the same call may succeed later."""

    exit_code = 75


class DiskError(StudyError):
    """The disk is full, or a file cannot be written; once that is mended, the same call goes on."""

    exit_code = 75


class NothingToDoError(StudyError):
    """The very same question was answered before, so there is nothing to do."""

    exit_code = 99


class BudgetError(StudyError):
    """The time was over before there was a model that anyone could use."""

    exit_code = 124
