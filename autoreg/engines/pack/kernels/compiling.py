"""How the kernels of stacks are compiled: each operation is rounded as it is written.

Nothing may be reordered or contracted by the compiler, for a model must take the same steps bit for
bit whether its step is one kernel or several.
"""

from __future__ import annotations

from pathlib import Path

from autoreg.engines.path.kernels.compiling import compiler

SOURCES = tuple(Path(__file__).parent.glob("*.py"))
compiled = compiler(SOURCES, fastmath=False)
# For small parts of inner loops: a call hands over each array by seven numbers and counts it.
inlined = compiler(SOURCES, fastmath=False, forceinline=True)
