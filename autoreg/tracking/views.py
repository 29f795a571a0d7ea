"""Ways into MLflow's pages: filters, links, saved views. Pure texts; nothing here knows MLflow.

MLflow's list of runs shows the newest hundred with three columns that say nothing about
regularization. A saved view is a tag of the experiment: it sets filter, order, columns and charts,
appears in the menu *Views*, and has an address of its own.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

from autoreg.report.words import search_name

LONGEST_NOTE = 7900
LAYOUT = "2"  # of the experiment's description and views; another number renews them
VIEW_TAG = "mlflow.sharedViewState."
TRAINING = "workflowType=machine_learning"  # else pages open in the view for language models

STUDY_COLUMNS = (
    "tags.`autoreg.chosen`",
    "tags.`autoreg.signal`",
    "metrics.`nested_score`",
    "metrics.`nested_low`",
    "metrics.`nested_high`",
    "metrics.`inner_best_optimistic`",
    "metrics.`held_out_score`",
    "tags.`autoreg.metric`",
    "params.`rows`",
    "params.`features`",
)
TRIAL_COLUMNS = (
    "params.`technique`",
    "metrics.`val_loss`",
    "metrics.`train_loss`",
    "metrics.`gap`",
    "metrics.`strength_norm`",
    "metrics.`n_techniques`",
    "metrics.`fit_seconds`",
    "params.`fold`",
)
PARALLEL = ("strength_norm", "train_loss", "val_loss")


def note(text: str, study: str, technique: str, lead: str, experiment: str) -> str:
    """The parent's note: the verdict in Markdown, links to its trials, filters to paste.

    ``lead`` is the search that the final choice comes from.

    >>> print(note("It is ridge.", "wine", "ridge", "final", "1").splitlines()[0])
    It is ridge.
    """
    mine = f"tags.`autoreg.study` = '{study}'"
    trials = f"{mine} and tags.`autoreg.role` = 'trial'"
    filters = {
        "all trials": trials,
        search_name(lead): f"{trials} and params.`fold` = '{lead}'",
        "the chosen techniques": f"{trials} and params.`technique` = '{technique}'",
        "one technique among others": f"{trials} and params.`technique` LIKE '%{technique}%'",
        "failed trials": f"{trials} and attributes.status = 'FAILED'",
        "pruned trials": f"{trials} and attributes.status = 'KILLED'",
    }
    lines = [f"- {words}: `` {text} ``" for words, text in filters.items()]
    links = " · ".join(
        [
            f"[all trials by inner loss]({page(experiment, trials, by_loss=True)})",
            f"[{search_name(lead)}]({page(experiment, filters[search_name(lead)], by_loss=True)})",
            f"[failed trials]({page(experiment, filters['failed trials'])})",
            f"[its charts]({view_page(experiment, view_key(study), charts=True)})",
        ]
    )
    # The links follow the title: of a long description the page shows the first lines only.
    title, _, rest = text.partition("\n\n")
    ready = "\n".join(["", "", "**Filters for the list of runs**", "", *lines])
    space = LONGEST_NOTE - len(ready) - len(links) - len(title)
    return "\n\n".join([title, links, rest[:space].rstrip()]) + ready


def experiment_note(experiment: str) -> str:
    """The experiment's description: links to its studies and trials.

    MLflow's list shows the newest hundred runs, and a study is older than its trials: without a
    filter the page shows the last study only.

    >>> "[Studies](#/experiments/7/runs?" in experiment_note("7")
    True
    """
    studies = page(experiment, "tags.`autoreg.role` = 'study'")
    trials = page(experiment, "tags.`autoreg.role` = 'trial'", by_loss=True)
    failed = page(experiment, "tags.`autoreg.role` = 'trial' and attributes.status = 'FAILED'")
    # One line: of a longer description the page shows the first line only.
    return (
        f"[Studies]({studies}), each described by its verdict; "
        f"[their trials by inner loss]({trials}), optimistic; [failed trials]({failed}); "
        f"the menu Views has tables and charts"
    )


def page(experiment: str, chosen: str, *, by_loss: bool = False) -> str:
    """The address of the list of runs that a filter chooses, newest first or by inner loss."""
    order = f"&orderByKey={quote('metrics.`val_loss`')}&orderByAsc=true" if by_loss else ""
    return f"#/experiments/{experiment}/runs?{TRAINING}&searchFilter={quote(chosen)}{order}"


def view_page(experiment: str, key: str, *, charts: bool = False) -> str:
    """The address of a saved view: of its table or of its charts."""
    mode = "&compareRunsMode=CHART" if charts else ""
    return f"#/experiments/{experiment}/runs?{TRAINING}&viewStateShareKey={key}{mode}"


def run_page(experiment: str, run: str) -> str:
    """The address of a run."""
    return f"#/experiments/{experiment}/runs/{run}?{TRAINING}"


def view_key(study: str) -> str:
    """How the saved view of a study is called inside MLflow."""
    return hashlib.blake2b(study.encode(), digest_size=8).hexdigest()


def experiment_tags(experiment: str, now: int) -> dict[str, str]:
    """What an experiment of autoreg's own carries: its description and the common views."""
    studies = "tags.`autoreg.role` = 'study'"
    trials = "tags.`autoreg.role` = 'trial'"
    return {
        "mlflow.note.content": experiment_note(experiment),
        f"{VIEW_TAG}autoreg-studies": _view("Studies", studies, STUDY_COLUMNS, now),
        f"{VIEW_TAG}autoreg-trials": _view(
            "Trials by inner loss", trials, TRIAL_COLUMNS, now, by="metrics.`val_loss`"
        ),
        "autoreg.layout": LAYOUT,
    }


def study_view(study: str, lead: str, now: int) -> tuple[str, str]:
    """The tag and the value of a study's own view: its leading search by inner loss, with charts.

    Of one search, because searches fit other rows, and losses on other rows do not compare.
    """
    chosen = f"tags.`autoreg.study` = '{study}' and params.`fold` = '{lead}'"
    name = f"{study}: {search_name(lead)}"
    value = _view(name, chosen, TRIAL_COLUMNS, now, by="metrics.`val_loss`", charts=_charts())
    return f"{VIEW_TAG}{view_key(study)}", value


def _view(
    name: str,
    chosen: str,
    columns: Sequence[str],
    now: int,
    *,
    by: str = "attributes.start_time",
    charts: Mapping[str, Any] | None = None,
) -> str:
    """A saved view as MLflow's page writes one: search facets and state of the page."""
    state = {
        "searchFilter": chosen,
        "orderByKey": by,
        "orderByAsc": by != "attributes.start_time",
        "startTime": "ALL",
        "lifecycleFilter": "Active",
        "modelVersionFilter": "All Runs",
        "datasetsFilter": [],
        "selectedColumns": list(columns),
        "columnOrder": list(columns),
        **(charts or {}),
    }
    return json.dumps(
        {"name": name, "createdAt": now, "updatedAt": now, "state": json.dumps(state)}
    )


def _charts() -> dict[str, Any]:
    """Charts of trials: loss against strength, parallel coordinates, loss along the paths."""
    section = "autoreg"
    common = {"metricSectionId": section, "deleted": False, "isGenerated": False}
    scatter = {
        "uuid": "autoreg-scatter",
        "type": "SCATTER",
        "runsCountToCompare": 100,
        "xaxis": {"key": "strength_norm", "type": "METRIC"},
        "yaxis": {"key": "val_loss", "type": "METRIC"},
    }
    parallel = {
        "uuid": "autoreg-parallel",
        "type": "PARALLEL",
        "runsCountToCompare": 100,
        "selectedParams": ["technique"],
        "selectedMetrics": list(PARALLEL),
        "showAllRuns": True,
    }
    line = {
        "uuid": "autoreg-path",
        "type": "LINE",
        "runsCountToCompare": 10,
        "metricKey": "path_val_loss",
        "selectedMetricKeys": ["path_val_loss"],
        "xAxisKey": "step",
        "xAxisScaleType": "linear",
        "scaleType": "linear",
        "yAxisKey": "metric",
        "yAxisExpressions": [],
        "lineSmoothness": 0,
        "ignoreOutliers": False,
        "range": {},
    }
    whole = {"uuid": section, "name": "Trials", "display": True, "isReordered": False}
    return {
        "compareRunCharts": [one | common for one in (scatter, parallel, line)],
        "compareRunSections": [whole | {"deleted": False, "isGenerated": False}],
        "runsHiddenMode": "SHOW_ALL",
    }
