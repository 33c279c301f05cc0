"""Benchmarks of ``torch.ops.fused_attn`` against stock PyTorch, side by side in one process: ``python -m bench``."""
