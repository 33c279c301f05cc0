"""What the examples' command lines share: each wrong option ends the program with one sentence."""

import argparse
from collections.abc import Callable

import torch


def whole(minimum: int) -> Callable[[str], int]:
    """Return a type of argparse's options: whole numbers from ``minimum`` up."""

    def convert(text: str) -> int:
        if not text.isdecimal() or int(text) < minimum:
            raise argparse.ArgumentTypeError(f"must be a whole number from {minimum} up, but was {text!r}")
        return int(text)

    return convert


def check_device(parser: argparse.ArgumentParser, device: str) -> None:
    """End the program if this torch has no such device."""
    try:
        torch.empty(0, device=device)
    except (AssertionError, RuntimeError):
        parser.error(f"--device: this torch has no {device} device: leave the option out to run on the CPU")
