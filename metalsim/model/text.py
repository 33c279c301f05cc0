"""Numbers as the model prints them: two significant digits, for it does not know a third."""

import math


def two_digits(value: float) -> str:
    """Return a number with two significant digits and no exponent: ``"0.43"``, ``"9.5"``, ``"160"``; ``"0"`` for none."""
    if value <= 0:
        return "0"
    rounded = round(value, 1 - math.floor(math.log10(value)))
    return f"{rounded:.{max(0, 1 - math.floor(math.log10(rounded)))}f}"


def format_time(seconds: float) -> str:
    """Return a time with two significant digits: ``"9.5 ms"``."""
    if seconds >= 0.995:
        return f"{two_digits(seconds)} s"
    if seconds >= 0.995e-3:
        return f"{two_digits(seconds * 1e3)} ms"
    return f"{two_digits(seconds * 1e6)} us"
