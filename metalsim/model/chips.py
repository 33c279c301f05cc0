"""Apple GPUs: their published figures, and the constants of each GPU family with their sources.

Nothing here was measured by this project. Sources are named by short labels:

* **metal-benchmarks**: README of github.com/philipturner/metal-benchmarks (M1, M1 Max, A14, A15), the only instruction
  timings that are published for these GPUs.
* **Chips and Cheese**: memory latencies and bandwidths of the M1 and the M2 Pro.
* **M3 Pro bank note**: a public note with self-measured threadgroup loads of an M3 Pro; a single, unreviewed source.
* **MFA**: README, parameter tables and benchmark sheet of github.com/philipturner/metal-flash-attention.
* **Mesa**: occupancy table of Mesa's agx_performance.c, derived from outside, "not tested against hardware".
* **Rigel**: arXiv 2606.12765, matrix products of the M4 Max.
* **mlx-mfa**: docs/benchmarks/RESULTS.md of github.com/marcogva-hub/mlx-flashattention-steel (MLX 0.31.0 on an M1 Max).
* **llama.cpp#23114**: a comment in pull request 23114 of github.com/ggml-org/llama.cpp.
* **mlx#1610**: pull request 1610 of github.com/ml-explore/mlx (M3 Max, November 2024).

Apple publishes core counts and DRAM bandwidths, but no clocks, cache sizes, register files or instruction timings.
"""

from collections.abc import Iterator
from dataclasses import dataclass, fields, replace


@dataclass(frozen=True)
class Constant:
    """One constant of a family: its value, the plausible interval around it, and where it comes from."""

    value: float
    best: float  #: the end of the interval that makes kernels faster
    worst: float  #: the end that makes them slower
    source: str


@dataclass(frozen=True)
class Family:
    """What a GPU family takes for its work. Cycles are of one of the core's four schedulers, for one simdgroup."""

    name: str
    product_16: Constant  #: 8x8x8 product whose A and B are 16-bit
    product_32: Constant  #: 8x8x8 product with a 32-bit operand
    exposed_share: Constant  #: share of all other work that is not hidden behind matrix products
    stage: Constant  #: a pair of threadgroup barriers, the wait for the tile that lies between them included
    widen_half: Constant  #: a conversion between half and float
    widen_bfloat: Constant  #: a conversion between bfloat and float
    convert_integer: Constant  #: a conversion between integer and floating point
    shuffle: Constant
    reduction: Constant  #: simd_sum, simd_max
    vote: Constant
    exponential: Constant  #: of the special function pipe, which runs beside the others; also logarithms
    reciprocal: Constant  #: of the special function pipe
    square_root: Constant  #: of the special function pipe
    trigonometric: Constant  #: of the special function pipe
    threadgroup_bytes: Constant  #: bytes a cycle and core between registers and threadgroup memory
    l1_bytes: Constant  #: bytes a cycle and core between registers and the first cache, for device memory
    load_latency: Constant  #: of a load from threadgroup memory
    product_latency: Constant  #: of a matrix product
    device_latency: Constant  #: of the device load that a stage waits for
    claim_ratio: float  #: modelled speed-up below which no win may be claimed
    #: (32-bit registers a thread uses at most, threads a core then holds); None where occupancy follows use at run time
    occupancy: tuple[tuple[int, int], ...] | None

    def constants(self) -> Iterator[tuple[str, Constant]]:
        """Yield every constant with its name."""
        for entry in fields(self):
            constant = getattr(self, entry.name)
            if isinstance(constant, Constant):
                yield entry.name, constant

    def values(self) -> dict[str, float]:
        """Return the value of every constant by its name."""
        return {name: constant.value for name, constant in self.constants()}


@dataclass(frozen=True)
class Chip:
    """One chip as sold."""

    name: str
    family: Family
    cores: int
    clock_ghz: float
    dram_gb_per_s: float
    source: str  #: of the clock; core counts and bandwidths are Apple's

    @property
    def peak_products_per_second(self) -> float:
        """8x8x8 products if every multiplier worked in every cycle: 16 scheduler cycles each."""
        return SCHEDULERS * self.cores * self.clock_ghz * 1e9 / PEAK_PRODUCT_CYCLES


SCHEDULERS = 4  #: of a core, each issuing one instruction of one simdgroup a cycle [metal-benchmarks]
PEAK_PRODUCT_CYCLES = 16  #: 512 multiply-adds on 32 lanes
THREADGROUP_POOL = 60 * 1024  #: bytes a core shares out among its resident threadgroups, "~52-60 KB" [metal-benchmarks]
ASSUMED_RESIDENT_THREADS = (
    1024  #: of a core when the register use of a kernel is not known [Mesa: 52 registers or fewer]
)
DRAM_SHARE = Constant(0.85, 0.93, 0.77, "680 of 800 GB/s in a plain reduction, M1 Ultra [mlx#3837]")
LAUNCH_SECONDS = Constant(1.5e-6, 1.0e-6, 3.0e-6, "3 us for two pipelined kernels [pytorch#181852, 128 keys]")

_MESA_OCCUPANCY = (
    (52, 1024),
    (56, 896),
    (64, 832),
    (68, 768),
    (72, 704),
    (80, 640),
    (92, 576),
    (104, 512),
    (116, 448),
    (128, 384),
)

# One value for all families: on Apple9 and Apple10 the share that is exposed applies to it as to all other work.
_STAGE = Constant(
    51.5,
    35.0,
    100.0,
    "calibrated on M1 Max, MLX f16 D=128 N=4096: 9.51 ms [mlx-mfa]; interval from MFA on M1 Max, f16 D=128, 64 against 128 "
    "keys a block (4221 and 4592 GINSTR/s), which gives 35 if its output is staged like keys and values, 100 if it is not",
)

APPLE7 = Family(
    name="Apple7/8",
    product_16=Constant(17.0, 16.5, 17.5, "~17 [metal-benchmarks]"),
    product_32=Constant(18.0, 17.0, 18.5, "~18 [metal-benchmarks]; forms that mix 16 and 32 bits are not measured"),
    exposed_share=Constant(
        1.0, 0.6, 1.0, "one instruction a cycle and scheduler [metal-benchmarks]; 0.6 from the MFA block sizes"
    ),
    stage=_STAGE,
    widen_half=Constant(
        1.0, 0.0, 1.0, "a register move [metal-benchmarks]; 0 if the product could take it as an operand"
    ),
    widen_bfloat=Constant(4.3, 4.0, 4.4, "no bfloat hardware: a 32-bit shift, 4.0 to 4.4 [metal-benchmarks]"),
    convert_integer=Constant(4.0, 4.0, 4.0, "CONVERT [metal-benchmarks]"),
    shuffle=Constant(2.04, 1.0, 2.04, "[metal-benchmarks]"),
    reduction=Constant(14.54, 14.54, 14.65, "SUM<F32> [metal-benchmarks]"),
    vote=Constant(2.04, 2.02, 2.04, "[metal-benchmarks]"),
    exponential=Constant(4.0, 4.0, 4.0, "[metal-benchmarks]"),
    reciprocal=Constant(6.0, 6.0, 10.5, "[metal-benchmarks]; 10.46 where it is precise"),
    square_root=Constant(8.0, 8.0, 15.0, "[metal-benchmarks]; 15.03 where it is precise"),
    trigonometric=Constant(14.3, 14.3, 24.4, "SIN32 [metal-benchmarks]"),
    threadgroup_bytes=Constant(64.0, 65.6, 56.0, "64 B [metal-benchmarks]; 671 GB/s on M1 is 65.6 [Chips and Cheese]"),
    l1_bytes=Constant(64.0, 64.0, 32.0, "64 B on the core, ~32 beyond it [metal-benchmarks]"),
    load_latency=Constant(55.0, 45.0, 65.0, "43 ns on M1 [Chips and Cheese]"),
    product_latency=Constant(36.0, 34.0, 38.0, "~36 f32 [metal-benchmarks]"),
    device_latency=Constant(
        350.0, 100.0, 440.0, "system cache 266 ns; 76 the second cache, 342 DRAM [Chips and Cheese]"
    ),
    claim_ratio=1.15,
    occupancy=_MESA_OCCUPANCY,
)

APPLE9 = Family(
    name="Apple9",
    product_16=Constant(17.0, 16.5, 18.0, "17.5 for 512 multiply-adds, M4 Max at 14.8 TFLOP/s [Rigel, second hand]"),
    product_32=Constant(17.0, 16.5, 18.0, "no datapath of its own [Rigel]; taken as the 16-bit rate"),
    exposed_share=Constant(
        0.40,
        0.20,
        0.65,
        "calibrated on M3 Max, MLX f16 D=64 N=4096: 11.71 ms [mlx#1610]; its direction from measurements of which types "
        "issue side by side on Apple9 [llama.cpp#23114]",
    ),
    stage=_STAGE,
    widen_half=Constant(1.0, 0.0, 1.0, "as Apple7"),
    widen_bfloat=Constant(1.0, 0.0, 1.0, "native bfloat"),
    convert_integer=Constant(4.0, 1.0, 4.0, "as Apple7; not measured"),
    shuffle=Constant(2.04, 1.0, 3.0, "as Apple7; not measured"),
    reduction=Constant(14.54, 10.0, 18.0, "as Apple7; not measured"),
    vote=Constant(2.04, 1.0, 3.0, "as Apple7; not measured"),
    exponential=Constant(4.0, 2.0, 6.0, "as Apple7; not measured"),
    reciprocal=Constant(6.0, 4.0, 10.5, "as Apple7; not measured"),
    square_root=Constant(8.0, 6.0, 15.0, "as Apple7; not measured"),
    trigonometric=Constant(14.3, 10.0, 24.4, "as Apple7; not measured"),
    threadgroup_bytes=Constant(
        88.0, 128.0, 64.0, "1.45 cycles for 32 lanes of 4 bytes [M3 Pro bank note]; stores not measured"
    ),
    l1_bytes=Constant(48.0, 64.0, 40.0, "MFA on M4, f32, 81 to 74 % of peak with direct loads [MFA]"),
    load_latency=Constant(55.0, 45.0, 65.0, "as Apple7; not measured"),
    product_latency=Constant(34.0, 32.0, 36.0, "~34 f16 on Apple7 [metal-benchmarks]; not measured"),
    device_latency=Constant(350.0, 100.0, 440.0, "as Apple7; not measured"),
    claim_ratio=1.25,
    occupancy=None,
)

#: The simdgroup_matrix path of the M5. Its neural accelerators are reached by other instructions and are not modelled.
APPLE10 = replace(APPLE9, name="Apple10")


def _chips() -> Iterator[Chip]:
    m1 = "1.278 GHz [metal-benchmarks]"
    m1_pro = "1.296 GHz [metal-benchmarks]"
    yield Chip("M1", APPLE7, 8, 1.278, 68.3, m1)
    yield Chip("M1 Pro", APPLE7, 16, 1.296, 200.0, m1_pro)
    yield Chip("M1 Max", APPLE7, 32, 1.296, 400.0, m1_pro)
    yield Chip("M1 Ultra", APPLE7, 64, 1.296, 800.0, m1_pro)
    m2 = "1.398 GHz [metal-benchmarks]"
    yield Chip("M2", APPLE7, 10, 1.398, 100.0, m2)
    yield Chip("M2 Pro", APPLE7, 19, 1.398, 200.0, m2)
    yield Chip("M2 Max", APPLE7, 38, 1.398, 400.0, m2)
    yield Chip("M2 Ultra", APPLE7, 76, 1.398, 800.0, m2)
    m3 = "1.38 GHz [default of philipturner/applegpuinfo#12]; an aggregator says 1.398"
    yield Chip("M3", APPLE9, 10, 1.38, 100.0, m3)
    yield Chip("M3 Pro", APPLE9, 18, 1.38, 150.0, m3)
    yield Chip("M3 Max", APPLE9, 40, 1.38, 400.0, m3)
    yield Chip("M3 Max (30 cores)", APPLE9, 30, 1.38, 300.0, m3)
    yield Chip("M3 Ultra", APPLE9, 80, 1.38, 819.0, m3)
    yield Chip("M3 Ultra (60 cores)", APPLE9, 60, 1.38, 819.0, m3)
    m4_pro = "1.578 GHz measured on an M4 Pro [Eclectic Light, January 2025]"
    yield Chip("M4", APPLE9, 10, 1.47, 120.0, "1.47 GHz [an aggregator]; MFA assumes 1.398")
    yield Chip("M4 Pro", APPLE9, 20, 1.578, 273.0, m4_pro)
    yield Chip("M4 Max", APPLE9, 40, 1.578, 546.0, m4_pro + ", assumed the same")
    yield Chip("M4 Max (32 cores)", APPLE9, 32, 1.578, 410.0, m4_pro + ", assumed the same")
    m5 = "1.578 GHz measured on an M5 [michaelstinkerings.org]"
    yield Chip("M5", APPLE10, 10, 1.578, 153.6, m5)
    yield Chip("M5 Pro", APPLE10, 20, 1.578, 307.0, m5 + ", assumed the same")
    yield Chip("M5 Max", APPLE10, 40, 1.578, 614.0, m5 + ", assumed the same")
    yield Chip("M5 Max (32 cores)", APPLE10, 32, 1.578, 460.0, m5 + ", assumed the same")


CHIPS: dict[str, Chip] = {entry.name: entry for entry in _chips()}


def chip(name: Chip | str) -> Chip:
    """Return the chip with this name, such as ``"M3 Max"``, in upper or lower case; a chip is returned as it is."""
    if isinstance(name, Chip):
        return name
    for known, entry in CHIPS.items():
        if known.lower() == name.lower():
            return entry
    raise ValueError(f"there is no chip named {name!r}: the chips are {', '.join(CHIPS)}.")
