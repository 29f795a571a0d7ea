"""One study on many machines: each search by itself, or workers that share a database.

Searches never see each other's losses, so they may run anywhere: a trial is a pure function of the
study, the data and the earlier trials of its own search, and comes out the same wherever it is
made. So work may be done twice where a machine was thought dead, and is recorded once.
"""

from __future__ import annotations

from autoreg.fleet.queue import Queue
from autoreg.fleet.segments import joined, run_segment
from autoreg.fleet.worker import take_part

__all__ = ["Queue", "joined", "run_segment", "take_part"]
