"""Names that the timings go by, for what runs them and for what reports them."""

OURS = "fused_attn"
NATIVE = "torch's CUDA attention"
NAIVE = "naive"
#: GPUs for which kernel_plan chooses our kernels, by family.
CHIPS = {"M1 Max": 7, "M4 Pro": 9}
