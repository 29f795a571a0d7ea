"""What ``run_study`` returns: a finished study in the hand."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from autoreg.alarm import Alarm
from autoreg.errors import StudyError
from autoreg.findings import Findings
from autoreg.model import Model
from autoreg.report import summary_html, summary_lines
from autoreg.select import Selection
from autoreg.verdict import Verdict

if TYPE_CHECKING:
    import pandas as pd

SCHEMA = 1


@dataclass(frozen=True, eq=False)
class StudyResult:
    """A finished study: its trials, its selection, its verdict and its model.

    ``model`` is None where the study asked for none. ``folder`` holds ledger, report and model;
    ``mlflow_run`` is the id of the parent run, None
    without tracking; ``tracking_problem`` says what could not be written to MLflow, if anything.
    ``key`` tells the question and its occasion from every other.
    """

    findings: Findings
    model: Model | None
    folder: Path
    mlflow_run: str | None = None
    tracking_problem: str | None = None
    key: str = ""

    @property
    def trials(self) -> pd.DataFrame:
        """All trials of all searches, one row each, best strength of each path."""
        import pandas as pd

        return pd.DataFrame([trial.row for trial in self.findings.trials])

    @property
    def coefficients(self) -> pd.DataFrame | None:
        """The final model's coefficients in the units of the columns; None if it is not linear.

        One row for each input and output, intercepts first, then the largest per standard
        deviation, which is in ``standardized``; with the share of the folds that use the column.
        """
        import pandas as pd

        path = self.findings.coefficients
        return None if path is None else pd.DataFrame(path.rows)

    @property
    def selection(self) -> Selection:
        """What the final search chose."""
        return self.findings.final

    @property
    def verdict(self) -> Verdict:
        """How well that does on unseen rows."""
        return self.findings.verdict

    @property
    def alarms(self) -> tuple[Alarm, ...]:
        """What the checks of the table and of the study saw, worst first."""
        return self.findings.alarms

    @property
    def report(self) -> Path:
        """The HTML report."""
        return self.folder / "report.html"

    @property
    def summary(self) -> list[str]:
        """The verdict in plain words, line by line."""
        return summary_lines(self.findings)

    def predict(self, frame: pd.DataFrame) -> Any:
        """Predictions of the final model for a table, shape (n,)."""
        return self._model().predict(frame)

    def predict_proba(self, frame: pd.DataFrame) -> Any:
        """Class probabilities of the final model for a table, shape (n, C)."""
        return self._model().predict_proba(frame)

    def save(self, folder: str | Path) -> None:
        """Write the final model into a folder of arrays and JSON; ``autoreg.load`` reads it.

        Raises ModelError where the winner is of a family of your own, which is no data.
        """
        self._model().save(folder)

    @property
    def fitted(self) -> Any:
        """The winner itself, where it is an estimator or module of your own; else None.

        It takes ``model.inputs(frame)``: what autoreg's preprocessing makes of a table.
        """
        own = self._model().parameters.own
        return None if own is None else own.fitted

    def _model(self) -> Model:
        if self.model is None:
            raise StudyError(
                f"{self.findings.spec.study} asked for no final model (select: final: skip); ask "
                f"for one with `search` or `vote`"
            )
        return self.model

    def to_data(self) -> dict[str, Any]:
        """The result as one plain document; ``schema`` is its version."""
        verdict, chosen = self.verdict, self.selection.chosen.candidate
        held_out = verdict.held_out
        return {
            "schema": SCHEMA,
            "study": self.findings.spec.study,
            "status": "complete",
            "key": self.key,
            "selection": {**chosen.to_data(), "words": chosen.describe()},
            "inner_best": verdict.inner_best,
            "nested": {
                "metric": verdict.metric,
                "score": verdict.nested.value,
                "low": verdict.nested.low,
                "high": verdict.nested.high,
            },
            "held_out": None
            if held_out is None
            else {"score": held_out.score, "rows": held_out.rows, "opening": held_out.opening},
            "none": {family: score.value for family, score in verdict.none.items()},
            "signal": verdict.has_signal,
            "alarms": [one.to_data() for one in self.findings.alarms],
            "evidence": self.findings.evidence.to_data(),
            "sheet": [one.to_data() for one in self.findings.sheet],
            "trials": len(self.findings.trials),
            "report": str(self.report),
            "model": str(self.folder / "model") if self.model and self.model.is_data else None,
            "mlflow_run": self.mlflow_run,
            "summary": self.summary,
        }

    def _repr_html_(self) -> str:
        return summary_html(self.findings)
