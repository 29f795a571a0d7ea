"""Read the JSON line of the demo study on stdin and check that it says what it must."""

import json
import sys
from pathlib import Path

result = json.loads(sys.stdin.read())
nested = result["nested"]
assert result["status"] == "complete", result["status"]
assert result["selection"]["techniques"], "nothing was selected"
assert result["trials"] >= 6 * 24, f"only {result['trials']} trials"
assert nested["low"] <= nested["score"] <= nested["high"], nested
assert nested["score"] > 0.93, "the demo study must find the signal in its data"
assert set(result["none"]) == {"linear", "network"}, result["none"]
assert result["held_out"]["score"] is not None, "the held-out rows were not opened"
assert Path(result["report"]).is_file(), result["report"]
assert result["mlflow_run"], "nothing was written to MLflow"
print(f"demo: {result['selection']['words']}, nested {nested['metric']} {nested['score']:.3f}")
