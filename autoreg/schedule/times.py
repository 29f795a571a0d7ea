"""Cron expressions: when a job is due. Parsing and daylight saving are those of Debian's cron."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import islice
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from autoreg.errors import SpecError

MOST = 1000  # dues that are looked at after a long time away


def check(cron: str, zone: str) -> None:
    """Raise SpecError where an expression or a time zone cannot be read, with an example.

    >>> check("0 3 * * MON", "Europe/Berlin")
    """
    from cronsim import CronSim, CronSimError

    try:
        ZoneInfo(zone)
    except (ZoneInfoNotFoundError, ValueError):
        raise SpecError(f"{zone!r} is no time zone; write UTC or Europe/Berlin, say") from None
    if len(cron.split()) != 5:
        raise SpecError(
            f"{cron!r} is no cron expression of five fields: minute hour day month weekday; "
            f"'0 3 * * 1' is Mondays at three"
        )
    try:
        next(CronSim(cron, datetime.now(UTC)))
    except (CronSimError, StopIteration) as error:
        raise SpecError(
            f"{cron!r} is no cron expression ({error or 'it is never due'}); '0 3 * * 1' is "
            f"Mondays at three"
        ) from None


def after(cron: str, zone: str, moment: datetime) -> Iterator[datetime]:
    """The moments, in UTC, at which a job is due after another one.

    >>> first = next(after("30 2 * * *", "UTC", datetime(2026, 11, 28, 12, tzinfo=UTC)))
    >>> first.isoformat()
    '2026-11-29T02:30:00+00:00'
    """
    from cronsim import CronSim

    for due in CronSim(cron, moment.astimezone(ZoneInfo(zone))):
        yield due.astimezone(UTC)


def due_between(cron: str, zone: str, since: datetime, now: datetime) -> list[datetime]:
    """The moments after ``since`` and up to ``now``, oldest first; the last 1000 at most."""
    found = []
    for due in islice(after(cron, zone, since), 100 * MOST):
        if due > now:
            break
        found.append(due)
    return found[-MOST:]
