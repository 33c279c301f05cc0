"""The command line: ``python -m torch_fused_attn doctor``."""

import sys

from torch_fused_attn.doctor.command import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
