"""A software ``mps`` device: torch's Metal backend on Linux, with host code and kernels that are the Mac's.

``METALSIM=1`` loads it at the end of ``import torch``; ``metalsim/README.md`` says how a call travels.
"""
