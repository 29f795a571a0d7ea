"""One thread for every numerical library; to be imported before numpy is."""

import os

THREADS = 1
for _library in ("OMP", "OPENBLAS", "MKL", "NUMBA"):
    os.environ[f"{_library}_NUM_THREADS"] = str(THREADS)
