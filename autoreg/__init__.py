"""autoreg finds which regularization to use, how strong, and says honestly how well it will do.

Heavy rooms are imported on first use, so that ``import autoreg`` and ``autoreg --help``
answer at once.
"""

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"
__all__ = [
    "AutoRegClassifier",
    "AutoRegRegressor",
    "Between",
    "Family",
    "Model",
    "StudyResult",
    "__version__",
    "ablate",
    "load",
    "run_study",
    "verify",
]

if TYPE_CHECKING:
    from autoreg.ablation import ablate
    from autoreg.estimators import AutoRegClassifier, AutoRegRegressor
    from autoreg.model import Model, load
    from autoreg.own import Between, Family
    from autoreg.study import StudyResult, run_study
    from autoreg.verification import verify

_HOMES = {
    "AutoRegClassifier": "autoreg.estimators",
    "AutoRegRegressor": "autoreg.estimators",
    "Between": "autoreg.own",
    "Family": "autoreg.own",
    "Model": "autoreg.model",
    "StudyResult": "autoreg.study",
    "ablate": "autoreg.ablation",
    "load": "autoreg.model",
    "run_study": "autoreg.study",
    "verify": "autoreg.verification",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'autoreg' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return __all__
