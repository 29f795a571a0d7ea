"""Errors that a person can act on: each message names the place and the remedy.

Every error that autoreg raises on purpose derives from :class:`AutoregError`; the command
line turns it into exit code 2. Anything else is a defect of autoreg itself (exit code 1).
"""


class AutoregError(Exception):
    """Base of all errors that autoreg raises on purpose.

    >>> issubclass(SpecError, AutoregError)
    True
    """


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
