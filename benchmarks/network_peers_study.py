"""One Optuna search with skorch on breast_cancer; run by ``network.py --peers``.

A trial is a setting on four folds, stopped early with the same patience as in the pack engine's
space; with ``prune`` it ends by the forgiving rule, as in autoreg: after 1, 2 or more folds whose
mean loss is above that of the best trial on its worst fold. Prints CPU seconds as JSON.
"""

from __future__ import annotations

import json
import sys
import time

import network_peers  # first: it sets the number of threads

# isort: split
import numpy as np
import optuna
from sklearn.datasets import load_breast_cancer
from sklearn.model_selection import StratifiedKFold


def worst_of_best(study: optuna.Study) -> float:
    """The loss of the best finished trial on its worst fold."""
    done = study.get_trials(deepcopy=False, states=(optuna.trial.TrialState.COMPLETE,))
    best = min(done, key=lambda one: one.value, default=None)
    return best.user_attrs["worst"] if best else float("inf")


def main() -> None:
    asked = json.loads(sys.argv[1])
    X, y = load_breast_cancer(return_X_y=True)
    X = ((X - X.mean(axis=0)) / X.std(axis=0)).astype(np.float32)
    folds = list(StratifiedKFold(4, shuffle=True, random_state=0).split(X, y))
    optuna.logging.set_verbosity(optuna.logging.WARNING)

    def objective(trial: optuna.Trial) -> float:
        dials = {
            "rate": trial.suggest_float("rate", 0.05, 0.6),
            "decay": trial.suggest_float("decay", 1e-8, 1e-2, log=True),
            "alpha": trial.suggest_float("alpha", 0.05, 2.0, log=True),
        }
        shape = {
            "columns": X.shape[1],
            "width": trial.suggest_int("width", 8, 512, log=True),
            "epochs": 60,
            "batch": 64,
            "early": True,
        }
        losses = []
        for train, test in folds:
            if asked["prune"] and losses and np.mean(losses) > worst_of_best(trial.study):
                raise optuna.TrialPruned
            net = network_peers.net(shape, dials).fit(X[train], y[train])
            chances = np.clip(net.predict_proba(X[test]), 1e-7, 1)
            losses.append(-np.log(chances[np.arange(len(test)), y[test]]).mean())
        trial.set_user_attr("worst", float(max(losses)))
        return float(np.mean(losses))

    start = time.process_time()
    optuna.create_study(sampler=optuna.samplers.TPESampler(seed=0)).optimize(
        objective, n_trials=asked["trials"]
    )
    print(json.dumps(time.process_time() - start))


if __name__ == "__main__":
    main()
