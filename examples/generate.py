"""Generate text with a small language model on a paged key/value cache, many requests at once.

    python examples/generate.py --prompt "Return the number of" --samples 3

Requests are batched continuously: each joins the batch when there is room and leaves when it is finished, while others go
on. Prompts are read in chunks beside the others' single tokens, all in one call of the paged operator. The continuations of
one prompt are forks of one sequence: they share the prompt's blocks of the cache, and a block is copied when two of them
would write into it. ``--check`` compares every token with what stock PyTorch attention gives without a cache.
"""

import argparse
import importlib.util
import math
import sys
import textwrap
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import torch
from command_line import check_device, whole
from continuous_batching import Batcher, Continuation, first_difference
from tiny_lm import END, WEIGHTS, TinyLM, decode, encode, load

PACKAGES = ("safetensors", "tqdm")
"""What the demo imports beyond torch and torch_fused_attn; pip knows them by the same names."""
DEFAULT_PROMPTS = (
    "Return True if the",
    "This class is used to",
    "A queue holds items in the order in which they were added. Several threads may add items to it while other threads "
    "wait for them. When the queue is empty, get() waits until an item is available. If the optional argument timeout is",
    "If the file does not exist,",
    "The following methods are",
)
DEFAULT_TEMPERATURE = 0.7
WIDTH = 100
"""Characters of a printed line."""


def make_groups(prompts: Sequence[str], arguments: argparse.Namespace) -> list[list[Continuation]]:
    """Return the continuations of each prompt; where no temperature is given, the first takes the likeliest tokens."""
    temperatures = [arguments.temperature] * arguments.samples
    if arguments.temperature is None:
        temperatures = [0.0] + [DEFAULT_TEMPERATURE] * (arguments.samples - 1)
    return [
        [
            Continuation(
                encode(prompt), arguments.max_new_tokens, temperature, arguments.top_k, arguments.seed + number
            )
            for number, temperature in enumerate(temperatures)
        ]
        for prompt in prompts
    ]


@contextmanager
def threads(number: int) -> Iterator[None]:
    """Let PyTorch use so many threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(number)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def run_with_progress(batcher: Batcher, groups: Sequence[Sequence[Continuation]]) -> None:
    """Run the batcher to its end, with a progress bar on stderr."""
    from tqdm import tqdm

    most = sum(one.max_new_tokens for group in groups for one in group)
    with tqdm(total=most, unit=" tokens", mininterval=0.2, leave=False, disable=None) as progress:
        while batcher.busy:
            before = batcher.statistics.new_tokens
            batcher.step()
            progress.update(batcher.statistics.new_tokens - before)
            used = batcher.cache.num_blocks - batcher.cache.num_free_blocks
            running = sum(len(group.members) for group in batcher.groups)
            progress.set_postfix(running=running, waiting=len(batcher.waiting), blocks=used, refresh=False)


def print_texts(groups: Sequence[Sequence[Continuation]]) -> None:
    """Print every prompt with its continuations."""
    for group in groups:
        print(f"\n“{textwrap.shorten(decode(group[0].prompt), WIDTH)}”")
        for one in group:
            how = f"temperature {one.temperature:g}" if one.temperature else "greedy"
            end = ", ended by itself" if one.tokens[-1] == END else ""
            print(f"  {how}, steps {one.first_step} to {one.last_step}{end}")
            for line in decode(one.prompt + one.tokens).split("\n"):
                for piece in textwrap.wrap(line, WIDTH, replace_whitespace=False) or [""]:
                    print(f"    | {piece}".rstrip())


def print_statistics(batcher: Batcher) -> None:
    """Print speed and the use of the cache."""
    cache, statistics = batcher.cache, batcher.statistics
    of_block = 2 * cache.key_cache[:, 0].numel() * cache.key_cache.element_size()  # keys and values of all layers
    print(
        f"\n{statistics.prompt_tokens:,} tokens read and {statistics.new_tokens:,} generated in {statistics.steps:,} steps "
        f"and {statistics.seconds:.1f} s: {statistics.new_tokens / statistics.seconds:,.0f} new tokens/s; "
        f"up to {statistics.most_sequences} sequences in a step\n"
        f"cache: at most {statistics.most_blocks} of {cache.num_blocks} blocks of {cache.block_size} tokens in use, "
        f"{statistics.most_blocks * of_block / 1e6:.2f} of {cache.num_blocks * of_block / 1e6:.2f} MB; "
        f"up to {statistics.most_shared} shared, without which up to {statistics.most_unshared} would have been in use"
    )


def check(model: TinyLM, groups: Sequence[Sequence[Continuation]]) -> None:
    """Compare every continuation with stock attention; end the program if one differs."""
    everything = [one for group in groups for one in group]
    for one in everything:
        index = first_difference(model, one)
        if index is not None:
            sys.exit(
                f"check: token {index} after “{decode(one.prompt)}” (seed {one.seed}, temperature {one.temperature:g}) "
                "differs from stock attention's"
            )
    print(
        f"check: all {sum(len(one.tokens) for one in everything):,} tokens of {len(everything)} continuations are those of "
        "F.scaled_dot_product_attention over whole texts, without a cache"
    )


def check_packages() -> None:
    """End the program with one sentence if a package is missing that the demo needs."""
    missing = [name for name in PACKAGES if importlib.util.find_spec(name) is None]
    if missing:
        sys.exit(
            f"This demo needs {' and '.join(missing)}, which {sys.executable} cannot find: "
            f"run `{sys.executable} -m pip install {' '.join(missing)}`."
        )


def parse_arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    """Return the command line's options, or end the program with one sentence that says what is wrong with them."""

    def not_negative(text: str) -> float:
        try:
            number = float(text)
        except ValueError:
            number = -1.0
        if not 0 <= number < math.inf:
            raise argparse.ArgumentTypeError(f"must be a number from 0 up, but was {text!r}")
        return number

    def prompt(text: str) -> str:
        if not text:
            raise argparse.ArgumentTypeError("must not be empty: give a text to continue")
        return text

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--prompt",
        type=prompt,
        action="append",
        help="text to continue; may be given several times (default: five texts)",
    )
    parser.add_argument("--max-new-tokens", type=whole(1), default=160, metavar="N", help="bytes to add (default: 160)")
    parser.add_argument(
        "--samples", type=whole(1), default=3, metavar="N", help="continuations of a prompt (default: 3)"
    )
    parser.add_argument(
        "--temperature",
        type=not_negative,
        metavar="T",
        help="0 is greedy: the likeliest byte is taken "
        f"(default: 0 for a prompt's first continuation, {DEFAULT_TEMPERATURE} for others)",
    )
    parser.add_argument(
        "--top-k", type=whole(0), default=0, metavar="K", help="draw from the K likeliest (default: 0, all)"
    )
    parser.add_argument("--seed", type=whole(0), default=0, metavar="N", help="of the first continuation (default: 0)")
    parser.add_argument("--device", choices=["cpu", "mps"], default="cpu", help="where to run (default: cpu)")
    parser.add_argument(
        "--threads",
        type=whole(1),
        default=1,
        metavar="N",
        help="of the CPU; for so small a model one is best (default: 1)",
    )
    parser.add_argument("--batch-size", type=whole(1), default=8, metavar="N", help="sequences at once (default: 8)")
    parser.add_argument("--blocks", type=whole(1), default=128, metavar="N", help="blocks of the cache (default: 128)")
    parser.add_argument("--block-size", type=whole(1), default=16, metavar="N", help="tokens in a block (default: 16)")
    parser.add_argument("--weights", type=Path, default=WEIGHTS, help="file of train_tiny_lm.py (default: examples/)")
    parser.add_argument(
        "--check", action="store_true", help="compare with stock attention; always done without --prompt"
    )
    arguments = parser.parse_args(argv)
    if arguments.temperature == 0 and arguments.samples > 1:
        parser.error(
            f"--samples: must be 1 with --temperature 0, but was {arguments.samples}: greedy continuations are all the same"
        )
    if not arguments.weights.exists():
        parser.error(f"--weights: there is no file {arguments.weights}: examples/train_tiny_lm.py makes one")
    check_device(parser, arguments.device)
    return arguments


def main(argv: Sequence[str] | None = None) -> None:
    """Run the demo."""
    arguments = parse_arguments(argv)
    check_packages()
    model = load(arguments.device, arguments.weights)
    batcher = Batcher(model, arguments.blocks, arguments.block_size, arguments.batch_size)
    groups = make_groups(arguments.prompt or DEFAULT_PROMPTS, arguments)
    for group in groups:
        try:
            batcher.submit(group)
        except ValueError as error:
            sys.exit(f"--prompt “{textwrap.shorten(decode(group[0].prompt), 40)}”: {error}.")
    print(
        f"{sum(parameter.numel() for parameter in model.parameters()):,} parameters in fp32 on {arguments.device}, "
        f"{arguments.threads} thread(s); {len(groups)} prompt(s), {arguments.samples} continuation(s) each, "
        f"up to {arguments.batch_size} sequences at once"
    )
    with threads(arguments.threads):
        run_with_progress(batcher, groups)
        print_texts(groups)
        print_statistics(batcher)
        if arguments.check or not arguments.prompt:
            check(model, groups)


if __name__ == "__main__":
    main()
