"""``verify``: prove that nothing leaked, write the certificate, and tell report and tracking.

The proof itself is :mod:`autoreg.noninterference`; here is the order of things around it.
"""

from __future__ import annotations

import platform
import time
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from autoreg.certificate import Certificate, Check, write_certificate
from autoreg.home import study_folder
from autoreg.ledger import Ledger
from autoreg.noninterference import Run, held_out_check, proven, shortened
from autoreg.progress import Progress, listening
from autoreg.scoring import Bench
from autoreg.sealed import sealed_rows
from autoreg.spec import StudySpec
from autoreg.state import recorded_question
from autoreg.study import Prepared, prepare, read, run_study, table_of, versions

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["verify"]

Past = Mapping[tuple[str, int], Mapping[str, Any]]


def verify(
    study: StudySpec | Mapping[str, Any] | str | Path,
    data: pd.DataFrame | tuple[Any, Any] | None = None,
    *,
    home: str | Path | None = None,
    trials: int | None = None,
    full: bool = False,
    tracking: bool = True,
    workers: int | None = None,
    progress: Progress | bool = True,
) -> Certificate:
    """Prove that no row influenced a search, a fit or a selection that must not see it.

    Rows are garbled, one block at a time and in several ways, and everything that must not
    notice is compared bit for bit; everything that does train on them has to move. The
    certificate is stored in the folder of the study; where the study has run already, its report
    and its MLflow run are written again, with the certificate.

    Args:
        study: the name of a study that was run in this home folder, a shipped name, a YAML file,
            or the same as a dictionary.
        data: as in ``run_study``.
        home: as in ``run_study``.
        trials: of each search; by default the fixed design and at least two asks of the sampler.
        full: as many trials and epochs as the study itself has.
        tracking: write the certificate to MLflow, too, where the study has run already.
        workers: cores to use; all by default.
        progress: a listener; True prints a line now and then on stderr, False nothing.

    Raises AutoregError for bad input; StudyError where the home folder holds a study of that name
    with another configuration or other data. A leak raises nothing: look at ``outcome``.

    >>> import tempfile
    >>> question = {"study": "tiny", "data": {"source": "wine"}, "space": "quick"}
    >>> proof = verify(question, home=tempfile.mkdtemp(), trials=2, workers=1, progress=False)
    >>> proof.outcome, len(proof.leaks)
    ('clean', 0)
    """
    spec = _spec(study, home)
    ready = prepare(spec, data, workers=workers)
    folder = study_folder(home, spec.study)
    past = _past(folder, ready)
    checks = _of_held_out(ready, data)
    certificate = _certified(ready, checks, past, trials, full, listening(progress))
    write_certificate(certificate, folder)
    if (folder / "result.json").exists():
        run_study(spec, data, home=home, tracking=tracking, workers=workers, progress=False)
    return certificate


def _certified(
    ready: Prepared,
    of_held_out: Iterable[Check],
    past: Past,
    trials: int | None,
    full: bool,
    listener: Progress,
) -> Certificate:
    """Run the checks, and put together what they found."""
    started = time.monotonic()
    ready.bench.warm_up(listener)
    bench, count = shortened(ready.bench, trials, full=full)
    clean, checks = proven(bench, count, listener)
    same, other = _replayed(past, clean, bench, ready.bench)
    return Certificate(
        **{name: ready.header[name] for name in ("study", "configuration", "data", "splits")},
        when=datetime.now(UTC).isoformat(timespec="seconds"),
        versions={**versions(), "python": platform.python_version(), "machine": platform.machine()},
        trials=clean.longest,
        epochs=bench.spec.training.longest if bench.space.has_epochs else 0,
        checks=(*of_held_out, *checks),
        replayed=same,
        differing=other,
        seconds=time.monotonic() - started,
    )


def _spec(study: StudySpec | Mapping[str, Any] | str | Path, home: str | Path | None) -> StudySpec:
    """The study that is meant: one that was run here keeps its own trials, seed and so on."""
    known = recorded_question(home, study) if isinstance(study, str) else None
    return known or read(study)


def _past(folder: Path, ready: Prepared) -> Past:
    """The recorded trials of a study; raises StudyError where they are of another one."""
    path = folder / "ledger.jsonl"
    if not path.exists():
        return {}
    trials = Ledger.open(path, ready.header).trials()
    return {(one.search, one.number): one.essence for own in trials.values() for one in own}


def _replayed(past: Past, clean: Run, bench: Bench, study: Bench) -> tuple[int, int]:
    """How many recorded trials came out equal here, and how many did not.

    Trainings of fewer epochs cannot: then nothing is compared.
    """
    epochs = bench.spec.training.longest == study.spec.training.longest
    if not epochs and bench.space.has_epochs:
        return 0, 0
    both = [past[key] == found for key, found in clean.recorded.items() if key in past]
    return sum(both), len(both) - sum(both)


def _of_held_out(ready: Prepared, data: Any) -> Iterator[Check]:
    if ready.held_out is not None and ready.spec.held_out is not None:
        table = table_of(ready.spec, data)
        rest, held = sealed_rows(table, ready.spec.held_out)
        yield from held_out_check(table, held, rest, ready.bench)
