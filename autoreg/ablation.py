"""``ablate``: what the ingredients of a finished study's winner are worth, measured more often."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from autoreg.attribution import Attribution, attributed, write_attribution
from autoreg.errors import StudyError
from autoreg.folds import FINAL
from autoreg.home import study_folder
from autoreg.ledger import Ledger
from autoreg.progress import Progress, listening
from autoreg.spec import StudySpec
from autoreg.state import finished, recorded_question
from autoreg.study import prepare, read, run_study, selected

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["ablate"]

REPEATS = 3


def ablate(
    study: StudySpec | Mapping[str, Any] | str | Path,
    data: pd.DataFrame | tuple[Any, Any] | None = None,
    *,
    home: str | Path | None = None,
    repeats: int = REPEATS,
    tracking: bool = True,
    workers: int | None = None,
    progress: Progress | bool = True,
) -> Attribution:
    """Measure what each ingredient of a finished study's winner is worth.

    The winner is fitted over the outer folds without each of its techniques, with each further
    one of its space, and without pairs of its own; the attribution is stored in the folder of the
    study, and its report is written again.

    Args:
        study: the name of a study that was run in this home folder, or as in ``run_study``.
        data: as in ``run_study``.
        home: as in ``run_study``.
        repeats: how often each fit is made, from other random numbers.
        tracking: as in ``run_study``, when the report is written again.
        workers: cores to use; all by default.
        progress: a listener; True prints a line now and then on stderr, False nothing.

    Raises AutoregError for bad input; StudyError where the study is not finished, or where its
    winner cannot be fitted once more.

    >>> import tempfile
    >>> home = tempfile.mkdtemp()
    >>> question = {"study": "tiny", "data": {"source": "wine"}, "space": "linear", "trials": 3}
    >>> options = {"home": home, "tracking": False, "workers": 1, "progress": False}
    >>> _ = run_study(question, **options)
    >>> found = ablate("tiny", **options)
    >>> [effect.kind for effect in found.effects], found.repeats
    (['left_out'], 3)
    """
    known = recorded_question(home, study) if isinstance(study, str) else None
    spec = known or read(study)
    finished(home, spec.study)
    ready, folder = prepare(spec, data, workers=workers), study_folder(home, spec.study)
    trials = Ledger.open(folder / "ledger.jsonl", ready.header).trials()
    winner = selected(ready, trials)[FINAL].chosen.candidate
    found = attributed(ready.bench, winner, ready.header, listening(progress), repeats)
    if found is None:
        raise StudyError(f"the winner, {winner.describe()}, diverged when it was fitted once more")
    write_attribution(found, folder)
    run_study(spec, data, home=home, tracking=tracking, workers=workers, progress=False)
    return found
