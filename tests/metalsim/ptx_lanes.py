"""Runs straight-line PTX on one warp, lane by lane, as NVIDIA's "PTX ISA" defines the instructions.

It is slow and small, knows no loops, and shares nothing with the code that it judges: where shfl, movmatrix and mma take and
leave elements is written down here from the manual's tables.
"""

import re
from collections.abc import Sequence
from typing import Any

import numpy as np

LANES = 32
_SIZES = {"8": np.uint8, "16": np.uint16, "32": np.uint32, "64": np.uint64}


def _bfloat(bits: np.ndarray) -> np.ndarray:
    return (bits.astype(np.uint32) << 16).view(np.float32)


def _fragments_16(kind: str, words: np.ndarray) -> np.ndarray:
    """Return the two numbers of each lane's 32-bit word."""
    halves = np.stack([words & 0xFFFF, words >> 16], -1).astype(np.uint16)
    return halves.view(np.float16).astype(np.float64) if kind == "f16" else _bfloat(halves).astype(np.float64)


class Warp:
    """A warp, its registers and its buffers."""

    def __init__(self, buffers: Sequence[np.ndarray]) -> None:
        self.buffers = [buffer.view(np.uint8).reshape(-1) for buffer in buffers]
        self.registers: dict[str, np.ndarray] = {}
        self.parameters: dict[tuple[str, int], np.ndarray] = {}
        self.functions: dict[str, str] = {}

    def run(self, ptx: str) -> None:
        """Run an entry's instructions."""
        ptx = re.sub(r"//.*", "", ptx)
        heads = re.finditer(r"(?:\.entry|\.func)\s+(?:\([^)]*\)\s*)?(\w+)\([^)]*\)[^{;]*\{", ptx)
        self.functions = {head[1]: ptx[head.end() :] for head in heads}
        self._run(ptx[ptx.index("{", ptx.index(".visible .entry")) + 1 :])

    def _run(self, body: str) -> None:
        self.registers = {"%laneid": np.arange(LANES, dtype=np.uint64)}
        for statement in body.split(";"):
            text = re.sub(r"^[{} ]+", "", " ".join(statement.split()))
            if text == "ret":
                return
            if text and not text.startswith("."):
                operation, _, operands = text.partition(" ")
                self._step(operation.split("."), [o.strip() for o in re.split(r",(?![^{\[(]*[}\])])", operands)])
        raise AssertionError("the kernel does not end")

    def _value(self, operand: str) -> np.ndarray:
        if operand in self.registers:
            return self.registers[operand]
        number = int(operand[2:], 16) if operand.startswith("0f") else int(operand, 0)
        return np.full(LANES, number & (2**64 - 1), np.uint64)

    def _float(self, operand: str) -> np.ndarray:
        return self._value(operand).astype(np.uint32).view(np.float32)

    def _list(self, operand: str) -> list[str]:
        return [name.strip() for name in operand.strip("{}").split(",")]

    def _set(self, register: str, value: np.ndarray, bits: int = 32) -> None:
        value = value.astype(np.uint64)
        self.registers[register] = value if bits == 64 else value & np.uint64(2**bits - 1)

    def _set_float(self, register: str, value: np.ndarray) -> None:
        self._set(register, value.astype(np.float32).view(np.uint32))

    def _step(self, operation: list[str], operands: list[str]) -> None:
        name = operation[0]
        method: Any = getattr(self, f"_{name}", None)
        assert method is not None, f"there is no PTX instruction {'.'.join(operation)} here"
        method(operation, *operands)

    def _mov(self, operation: list[str], to: str, source: str) -> None:
        if to.startswith("{"):
            for n, name in enumerate(self._list(to)):
                self._set(name, self._value(source) >> np.uint64(16 * n), 16)
        elif source.startswith("{"):
            low, high = (self._value(name) for name in self._list(source))
            self._set(to, low | high << np.uint64(16))
        else:
            self._set(to, self._value(source), 64)

    def _call(self, operation: list[str], result: str, name: str, arguments: str) -> None:
        """Call a function with parameters that :meth:`_st` has put down: they go by its own names from here on."""
        for n, argument in enumerate(arguments.strip("() ").split(",")):
            self.parameters[f"{name}_param_{n}", 0] = self.parameters[argument.strip(), 0]
        saved = self.registers
        self._run(self.functions[name])
        self.registers = saved
        for (place, offset), value in list(self.parameters.items()):
            if place == "func_retval0":
                self.parameters[result.strip("() "), offset] = value

    def _place(self, operand: str) -> tuple[str, int]:
        name, _, offset = operand.strip("[]").partition("+")
        return name, int(offset or 0)

    def _ld(self, operation: list[str], to: str, source: str) -> None:
        if operation[1] == "param" and "metalsim_kernel" not in source:
            name, offset = self._place(source)
            for n, register in enumerate(self._list(to)):
                self._set(register, self.parameters[name, offset + 4 * n])
            return
        if operation[1] == "param":
            offset = int(re.findall(r"\+(\d+)", source)[0]) if "+" in source else 0
            self._set(to, np.full(LANES, (offset // 8) << 40), 64)
            return
        size = int(re.findall(r"\d+", operation[-1])[0])
        for n, register in enumerate(self._list(to)):
            places = self._addresses(source, n * size // 8)
            data = [self.buffers[a >> 40][a & (2**40 - 1) :][: size // 8] for a in places]
            self._set(register, np.array([int(d.view(_SIZES[str(size)])[0]) for d in data], np.uint64), size)

    def _st(self, operation: list[str], to: str, source: str) -> None:
        if operation[1] == "param":
            name, offset = self._place(to)
            for n, register in enumerate(self._list(source)):
                self.parameters[name, offset + 4 * n] = self._value(register)
            return
        size = int(re.findall(r"\d+", operation[-1])[0])
        for n, register in enumerate(self._list(source)):
            for place, value in zip(self._addresses(to, n * size // 8), self._value(register), strict=True):
                data = np.array([value], np.uint64).astype(_SIZES[str(size)]).view(np.uint8)
                self.buffers[place >> 40][place & (2**40 - 1) :][: size // 8] = data

    def _addresses(self, operand: str, more: int) -> list[int]:
        register, _, offset = operand.strip("[]").partition("+")
        return [int(address) + int(offset or 0) + more for address in self._value(register)]

    def _cvta(self, operation: list[str], to: str, source: str) -> None:
        self._set(to, self._value(source), 64)

    def _cvt(self, operation: list[str], to: str, source: str) -> None:
        if operation[-2:] == ["f32", "f16"]:
            self._set_float(to, self._value(source).astype(np.uint16).view(np.float16))
        elif operation[-2:] == ["f32", "bf16"]:
            self._set_float(to, _bfloat(self._value(source).astype(np.uint16)))
        elif operation[1:] in (["rn", "f16", "f32"], ["rn", "bf16", "f32"]):  # of numbers that have no more bits
            number = self._float(source)
            halves = (
                number.astype(np.float16).view(np.uint16) if operation[2] == "f16" else number.view(np.uint32) >> 16
            )
            self._set(to, halves, 16)
        elif operation[1:] == ["rna", "tf32", "f32"]:
            self._set(to, (self._value(source) + np.uint64(0x1000)) & np.uint64(0xFFFFE000))
        else:
            sizes = [re.fullmatch(r"u(\d+)", kind) for kind in operation[-2:]]
            assert all(sizes), f"there is no {'.'.join(operation)} here"
            self._set(to, self._value(source), min(int(size[1]) for size in sizes if size))

    def _binary(self, operation: list[str], to: str, value: np.ndarray) -> None:
        self._set(to, value, int(operation[-1].lstrip("busf")))

    def _shl(self, operation: list[str], to: str, a: str, b: str) -> None:
        self._binary(operation, to, self._value(a) << self._value(b))

    def _shr(self, operation: list[str], to: str, a: str, b: str) -> None:
        self._binary(operation, to, self._value(a) >> self._value(b))

    def _and(self, operation: list[str], to: str, a: str, b: str) -> None:
        self._binary(operation, to, self._value(a) & self._value(b))

    def _or(self, operation: list[str], to: str, a: str, b: str) -> None:
        self._binary(operation, to, self._value(a) | self._value(b))

    def _xor(self, operation: list[str], to: str, a: str, b: str) -> None:
        self._binary(operation, to, self._value(a) ^ self._value(b))

    def _not(self, operation: list[str], to: str, a: str) -> None:
        self._binary(operation, to, ~self._value(a))

    def _add(self, operation: list[str], to: str, a: str, b: str) -> None:
        self._binary(operation, to, self._value(a) + self._value(b))

    def _mul(self, operation: list[str], to: str, a: str, b: str) -> None:
        assert operation == ["mul", "wide", "u32"]
        self._set(to, self._value(a) * self._value(b), 64)

    def _bfe(self, operation: list[str], to: str, a: str, first: str, count: str) -> None:
        self._set(to, (self._value(a) >> self._value(first)) & np.uint64((1 << int(count)) - 1))

    def _setp(self, operation: list[str], to: str, a: str, b: str) -> None:
        compare = {"eq": np.equal, "ne": np.not_equal}[operation[1]]
        self._set(to, compare(self._value(a), self._value(b)), 64)

    def _selp(self, operation: list[str], to: str, a: str, b: str, chosen: str) -> None:
        self._set(to, np.where(self._value(chosen) != 0, self._value(a), self._value(b)), 64)

    def _fma(self, operation: list[str], to: str, a: str, b: str, c: str) -> None:
        a_value, b_value, c_value = (self._float(operand).astype(np.float64) for operand in (a, b, c))
        self._set_float(to, a_value * b_value + c_value)

    def _shfl(self, operation: list[str], to: str, a: str, source: str, clamp: str, mask: str) -> None:
        assert operation == ["shfl", "sync", "idx", "b32"], operation
        assert (clamp, mask) == ("31", "0xffffffff")
        self._set(to, self._value(a)[(self._value(source) & np.uint64(31)).astype(int)])

    def _movmatrix(self, operation: list[str], to: str, a: str) -> None:
        # Row r of the 8x8 matrix lies in lanes 4 r ... 4 r + 3, two columns each.
        words = self._value(a).astype(np.uint32)
        matrix = np.stack([words & 0xFFFF, words >> 16], -1).reshape(8, 8).T.reshape(LANES, 2)
        self._set(to, matrix[:, 0] | matrix[:, 1] << np.uint32(16))

    def _mma(self, operation: list[str], d: str, a: str, b: str, c: str) -> None:
        # m16n8k8: A [16, 8], B [8, 8], C and D [16, 8]; group = lane / 4, member = lane % 4 (PTX ISA, "Matrix Fragments").
        group, member = np.divmod(np.arange(LANES), 4)
        left, right, sums = np.zeros((16, 8)), np.zeros((8, 8)), np.zeros((16, 8))
        kind = operation[-2]
        left_words, right_words = ([self._value(name).astype(np.uint32) for name in self._list(x)] for x in (a, b))
        if kind == "tf32":
            for n, words in enumerate(left_words):  # rows group, group + 8; then columns member + 4
                left[group + 8 * (n % 2), member + 4 * (n // 2)] = (words & np.uint32(0xFFFFE000)).view(np.float32)
            for n, words in enumerate(right_words):
                right[member + 4 * n, group] = (words & np.uint32(0xFFFFE000)).view(np.float32)
        else:
            for n, words in enumerate(left_words):
                left[group[:, None] + 8 * n, 2 * member[:, None] + np.arange(2)] = _fragments_16(kind, words)
            right[2 * member[:, None] + np.arange(2), group[:, None]] = _fragments_16(kind, right_words[0])
        for n, name in enumerate(self._list(c)):
            sums[group + 8 * (n // 2), 2 * member + n % 2] = self._float(name)
        sums = sums + left @ right
        for n, name in enumerate(self._list(d)):
            self._set_float(name, sums[group + 8 * (n // 2), 2 * member + n % 2])
