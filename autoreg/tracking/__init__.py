"""MLflow's view of a study: a projection of its ledger that can neither change nor break it.

    ledger + two documents -> one writer process -> runs, model, artifacts

The study's process never imports mlflow and waits for nothing but the rest of the queue at its
end. The writer calls ``MlflowClient`` with explicit ids, so that a user's own active run is never
touched; what a run is called by (its key) is looked up first, so writing twice changes nothing. If
the store is away, the writer makes up for it when it is back, or ``autoreg sync`` does later.
"""

from autoreg.tracking.store import server_command
from autoreg.tracking.tracker import Tracker, open_tracker

__all__ = ["Tracker", "open_tracker", "server_command"]
