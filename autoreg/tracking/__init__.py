"""MLflow's view of a study: a listener that can neither change nor break the search.

MLflow is a projection of the ledger. Everything is written by one background thread, through
``MlflowClient`` with explicit ids, so that a user's own active run is never touched; what a
run is called by (its key) is looked up first, so writing twice changes nothing. If the store is
away, the study goes on and the same command writes the rest later.

mlflow is imported on the writing thread only: it takes more than a second.
"""

from autoreg.tracking.store import server_command
from autoreg.tracking.tracker import Tracker, open_tracker

__all__ = ["Tracker", "open_tracker", "server_command"]
