"""Telling somebody else: one POST of JSON, tried a few times; a failure never fails a tick."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from typing import Any

from autoreg.tracking.store import discreet
from autoreg.watch.watching import from_environment

WAITS = (1.0, 4.0, 15.0)
PATIENCE = 10.0


def post(address: str, document: Mapping[str, Any], waits: Sequence[float] = WAITS) -> str | None:
    """Send a document; what went wrong in the end, or None.

    A refusal (400-499) is not repeated, except 408 and 429.
    """
    body = discreet(json.dumps(document)).encode()
    headers = {"Content-Type": "application/json", "User-Agent": "autoreg"}
    url, problem = from_environment(address), None
    if not url.startswith(("http://", "https://")):
        return "a webhook is an http:// or https:// address"
    for wait in (*waits, None):
        request = urllib.request.Request(url, data=body, headers=headers, method="POST")
        try:
            with urllib.request.urlopen(request, timeout=PATIENCE):
                return None
        except urllib.error.HTTPError as error:
            problem = f"{error.code} {error.reason}"
            if 400 <= error.code < 500 and error.code not in (408, 429):
                break
        except (urllib.error.URLError, OSError) as error:
            problem = str(getattr(error, "reason", error))
        if wait is not None:
            time.sleep(wait)
    return problem
