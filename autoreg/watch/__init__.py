"""Re-tuning on a clock: fetch, look for drift, tune or skip, judge against the champion, tell.

source -> snapshot -> schema, drift -> tune (or 99) -> gate -> alias, ledger of ticks, webhook
"""

from autoreg.watch.tick import Tick, tick
from autoreg.watch.watching import WatchSpec, read_watch

__all__ = ["Tick", "WatchSpec", "read_watch", "tick"]
