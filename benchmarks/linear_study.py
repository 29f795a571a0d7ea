"""What surrounds the paths: reading the rows, compiling, and whole studies."""

from __future__ import annotations
