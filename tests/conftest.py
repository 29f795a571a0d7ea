"""What all tests share: one thread, and an environment without the user's own stores."""

import os

os.environ["OMP_NUM_THREADS"] = "1"
for name in ("MLFLOW_TRACKING_URI", "MLFLOW_EXPERIMENT_NAME", "AUTOREG_HOME"):
    os.environ.pop(name, None)
