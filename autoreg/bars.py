"""Progress on a terminal: one bar for each phase of a study."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from autoreg.progress import PlainProgress, time_to_go
from autoreg.progress import Progress as Listener


@contextmanager
def bars(console: Console) -> Iterator[Listener]:
    """Rich bars on a terminal, plain lines elsewhere."""
    if not console.is_terminal:
        yield PlainProgress()
        return
    columns = (
        TextColumn("{task.description:<9}"),
        BarColumn(),
        TextColumn("{task.fields[count]}"),
        TimeElapsedColumn(),
        TextColumn("{task.fields[left]} to go  {task.fields[note]}"),
    )
    with Progress(*columns, console=console) as drawn:
        yield _Bars(drawn)


class _Bars:
    """A listener that draws one bar for each phase."""

    def __init__(self, bars: Progress) -> None:
        self.bars = bars
        self.task = TaskID(0)
        self.before = 0

    def begin(self, phase: str, steps: int, done: int = 0) -> None:
        """Draw the bar of a new phase."""
        self.before = done
        self.task = self.bars.add_task(
            phase, total=steps, completed=done, count=f"{done}/{steps}", left="?", note=""
        )

    def advance(self, done: float, note: str = "") -> None:
        """Move the bar."""
        task = next(task for task in self.bars.tasks if task.id == self.task)
        total = task.total or 0
        left = time_to_go(task.elapsed or 0, done - self.before, total - done)
        self.bars.update(
            self.task,
            completed=done,
            count=f"{int(done)}/{int(total)}",
            left=left,
            note=note or task.fields["note"],
        )

    def end(self) -> None:
        """The phase is over."""
        self.bars.update(self.task, left="0:00")
