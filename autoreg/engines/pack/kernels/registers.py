"""Vector registers in compiled code: they sum a tile of a matrix product, and turn a tile over.

Why spelled out for the compiler: by itself it keeps no sums in registers across a loop over
arrays, and a product of small matrices is little else. A sum of a tile is a chain of fused
multiplications and additions in the order of its terms, so its bits depend neither on the tile that
it lies in nor on how long the registers of a processor are.

Source: Goto & van de Geijn 2008, Anatomy of high-performance matrix multiplication, ACM TOMS 34(3),
section 6 (the inner kernel).
"""

from __future__ import annotations

import platform
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from llvmlite import ir
from llvmlite.binding import get_host_cpu_features
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

WIDTH = 16  # float32 numbers: the longest register; shorter ones are taken in twos and fours
NUMBER, INDEX, LANE = ir.FloatType(), ir.IntType(64), ir.IntType(32)
REGISTER = ir.VectorType(NUMBER, WIDTH)
ZERO, UNKNOWN = ir.Constant(REGISTER, [0.0] * WIDTH), ir.Constant(REGISTER, ir.Undefined)
HALF = WIDTH // 2
# Two registers laid into each other, lane by lane: the first halves of both, and the second ones.
FIRST = [lane for k in range(HALF) for lane in (k, WIDTH + k)]
SECOND = [lane + HALF for lane in FIRST]


def fuses(machine: str, features: Mapping[str, bool]) -> bool:
    """Whether a processor multiplies and adds in one step; without, each is a slow call.

    >>> fuses("x86_64", {"fma": True}), fuses("x86_64", {"fma": False}), fuses("aarch64", {})
    (True, False, True)
    """
    return features.get("fma", machine.lower() not in ("x86_64", "amd64"))


FUSES = fuses(platform.machine(), get_host_cpu_features())


@dataclass(frozen=True)
class Memory:
    """A contiguous array of float32 numbers, as compiled code reads and writes it."""

    builder: ir.IRBuilder
    data: Any

    @classmethod
    def of(cls, context: Any, builder: ir.IRBuilder, kind: types.Array, array: Any) -> Memory:
        """The memory of an argument."""
        return cls(builder, context.make_array(kind)(context, builder, array).data)

    def number(self, place: Any) -> Any:
        """The number at a place, in every lane of a register."""
        one = self.builder.load(self._pointer(place, NUMBER))
        lane = self.builder.insert_element(UNKNOWN, one, LANE(0))
        return self.builder.shuffle_vector(lane, UNKNOWN, _lanes([0] * WIDTH))

    def register(self, place: Any) -> Any:
        """The register that begins at a place."""
        return self.builder.load(self._pointer(place, REGISTER), align=4)

    def write(self, register: Any, place: Any) -> None:
        """Write a register from a place on."""
        self.builder.store(register, self._pointer(place, REGISTER), align=4)

    def _pointer(self, place: Any, kind: ir.Type) -> Any:
        return self.builder.bitcast(self.builder.gep(self.data, [place]), kind.as_pointer())


def _lanes(numbers: list[int]) -> ir.Constant:
    return ir.Constant(ir.VectorType(LANE, len(numbers)), numbers)


def _behind(builder: ir.IRBuilder, start: Any, step: Any, count: Any) -> Any:
    """The place that lies so many steps behind another one."""
    return builder.add(start, builder.mul(step, count))


def tile(rows: int, registers: int) -> Any:
    """What fills a tile of a product C = A B: so many rows, so many registers of columns.

    ``filled(terms, A, a, row, term, B, b, next, C, c, below)``: arrays of float32 and the places of
    the tile's first numbers in them; in A the next ``row`` and the next ``term`` are so far away,
    in B the ``next`` term, in C the row ``below``.
    """

    @intrinsic
    def filled(typing, terms, A, a, row, term, B, b, next, C, c, below):
        n = types.intp
        signature = types.void(n, A, n, n, n, B, n, n, C, n, n)

        def generate(context: Any, builder: ir.IRBuilder, signature: Any, values: Any) -> Any:
            terms, A, a, row, term, B, b, next, C, c, below = values
            left, right, result = (
                Memory.of(context, builder, signature.args[at], array)
                for at, array in ((1, A), (5, B), (8, C))
            )
            cells = [(r, v) for r in range(rows) for v in range(registers)]
            sums = {cell: cgutils.alloca_once_value(builder, ZERO) for cell in cells}
            for cell in cells:
                builder.store(ZERO, sums[cell])
            with cgutils.for_range(builder, terms) as loop:
                first = _behind(builder, a, term, loop.index)
                factors = [left.number(_behind(builder, first, row, INDEX(r))) for r in range(rows)]
                first = _behind(builder, b, next, loop.index)
                columns = [
                    right.register(builder.add(first, INDEX(v * WIDTH))) for v in range(registers)
                ]
                for r, v in cells:
                    total = builder.load(sums[r, v])
                    builder.store(_fused(builder, factors[r], columns[v], total), sums[r, v])
            for r, v in cells:
                place = builder.add(_behind(builder, c, below, INDEX(r)), INDEX(v * WIDTH))
                result.write(builder.load(sums[r, v]), place)
            return context.get_dummy_value()

        return signature, generate

    return filled


def _fused(builder: ir.IRBuilder, a: Any, b: Any, c: Any) -> Any:
    """a b + c, rounded once."""
    kind = ir.FunctionType(REGISTER, [REGISTER] * 3)
    function = cgutils.get_or_insert_function(builder.module, kind, f"llvm.fma.v{WIDTH}f32")
    return builder.call(function, [a, b, c])


def _turned(typing, A, a, row, B, b, below):
    """Write a tile of 16 x 16 numbers of A over its diagonal into B; places as of a ``tile``.

    Rows i and i + 8 are laid into each other, four times.
    """
    n = types.intp

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, values: Any) -> Any:
        A, a, row, B, b, below = values
        source = Memory.of(context, builder, signature.args[0], A)
        result = Memory.of(context, builder, signature.args[3], B)
        lines = [source.register(_behind(builder, a, row, INDEX(r))) for r in range(WIDTH)]
        for _ in range(WIDTH.bit_length() - 1):
            pairs = zip(lines[:HALF], lines[HALF:], strict=True)
            lines = [
                builder.shuffle_vector(*pair, _lanes(half))
                for pair in pairs
                for half in (FIRST, SECOND)
            ]
        for r, line in enumerate(lines):
            result.write(line, _behind(builder, b, below, INDEX(r)))
        return context.get_dummy_value()

    return types.void(A, n, n, B, n, n), generate


turned: Any = intrinsic(_turned)
