"""Train the language model of examples/tiny_lm.py on text that comes with Python, and write weights, card and test text.

    python examples/train_tiny_lm.py --device cpu --steps 50 --batch-size 8 --context 256

The text is ``pydoc_data.topics`` (the language reference) and the docstrings and comments of the standard library. What is in
VALIDATION chooses the step whose weights are kept; what is in HELD_OUT is looked at once, at the end, for the card. The
operators have no backward, so training attends by stock PyTorch; tests/test_example_generate.py holds the two together.
"""

import argparse
import ast
import hashlib
import importlib
import inspect
import json
import math
import platform
import pydoc_data.topics
import re
import sys
import sysconfig
import time
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from command_line import check_device, whole
from tiny_lm import END, Attend, Config, TinyLM, encode
from torch import Tensor, nn

VALIDATION = ("base64", "csv", "functools", "pathlib", "random", "timeit")
HELD_OUT = ("contextlib", "heapq", "queue", "shelve", "textwrap")
"""Modules whose docstrings no step learns from; every Python from 3.10 on has them."""
NOT_READ = {"site-packages", "dist-packages", "test", "tests", "idle_test", "lib2to3", "turtledemo", "pydoc_data"}
"""Folders: what is no part of the library, and what is hardly English."""
NOT_LOADED = {"_symtable", "_tokenize", "_tracemalloc", "faulthandler", "xxsubtype"}
"""Built-in modules that the committed weights have not seen, so nor do others."""
SHORTEST_TEXT = 40
SHORTEST_COMMENT = 80
"""Characters; what is shorter is seldom a sentence."""
EVALUATION_WINDOW = 512
EVALUATION_OVERLAP = 128
"""Tokens that the model sees at once when it is measured, and how many of them only the first window is judged by."""
SEPARATOR = "\f"
"""Between the texts of the held-out file; no docstring has it."""


@dataclass
class Corpus:
    """Texts to learn from, to choose by and to measure with, and where they are from."""

    python: str
    sources: dict[str, dict[str, Any]]
    training: list[str]
    validation: list[str]
    held_out: list[str]


def paragraphs(text: str) -> list[str]:
    """Return a text's paragraphs."""
    return re.split(r"\n\s*\n", text.strip())


def topic_texts(topics: Mapping[str, str]) -> list[str]:
    """Return the topics without what is in several of them; the longest topic, the most general, keeps it."""
    seen: set[str] = set()
    texts = []
    for name in sorted(topics, key=lambda name: (-len(topics[name]), name)):
        new = [paragraph for paragraph in paragraphs(topics[name]) if paragraph not in seen]
        seen.update(paragraph for paragraph in new if len(paragraph) >= SHORTEST_TEXT)
        texts.append("\n\n".join(new))
    return [text for text in texts if len(text) >= 5 * SHORTEST_TEXT]


def module_texts(source: str) -> tuple[list[str], list[str]]:
    """Return the docstrings of a module's source, and its blocks of comment lines."""
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about old escapes in the library's strings
        nodes = [node for node in ast.walk(ast.parse(source)) if isinstance(node, documented)]
    docstrings = [ast.get_docstring(node) or "" for node in nodes]
    blocks = re.findall(r"(?:^[ \t]*#(?: .*)?\n)+", source, re.MULTILINE)
    comments = [inspect.cleandoc(re.sub(r"^[ \t]*# ?", "", block, flags=re.MULTILINE)) for block in blocks]
    comments = [text for text in comments if len(text) >= SHORTEST_COMMENT and "opyright" not in text]
    return [text for text in docstrings if len(text) >= SHORTEST_TEXT], comments


def builtin_docstrings() -> Iterator[str]:
    """Yield the docstrings of what the interpreter itself defines: built-in modules, functions, classes and methods."""
    for name in sorted({*sys.builtin_module_names} - NOT_LOADED):
        for _, member in inspect.getmembers(importlib.import_module(name)):
            named = [member, *vars(member).values()] if isinstance(member, type) else [member]
            for documented in named:
                if isinstance(documented, type) or inspect.isroutine(documented):
                    text = inspect.getdoc(documented) or ""
                    if len(text) >= SHORTEST_TEXT:
                        yield text


def build_corpus() -> Corpus:
    """Collect the texts of this Python installation, each once."""
    library = Path(sysconfig.get_path("stdlib"))
    docstrings, comments = [], []
    kept_apart: dict[str, list[str]] = {name: [] for name in (*VALIDATION, *HELD_OUT)}
    for path in sorted(library.rglob("*.py")):
        parts = path.relative_to(library).with_suffix("").parts
        if not NOT_READ.isdisjoint(parts) or parts[0].startswith("config-"):
            continue
        documented, commented = module_texts(path.read_text(encoding="utf-8", errors="replace"))
        if parts[0] in kept_apart:
            kept_apart[parts[0]] += documented
        else:
            docstrings += documented
            comments += commented
    collected = {
        "pydoc_data.topics": topic_texts(pydoc_data.topics.topics),
        "docstrings of the standard library's modules": list(dict.fromkeys(docstrings)),
        "docstrings of the interpreter's built-in modules": list(dict.fromkeys(builtin_docstrings())),
        "comments in the standard library's modules": list(dict.fromkeys(comments)),
    }
    training = list(dict.fromkeys(text for texts in collected.values() for text in texts))
    known = {paragraph for text in training for paragraph in paragraphs(text) if len(paragraph) >= SHORTEST_TEXT}

    def unseen(names: Iterable[str]) -> list[str]:
        texts = dict.fromkeys(text.replace(SEPARATOR, " ") for name in names for text in kept_apart[name])
        return [text for text in texts if known.isdisjoint(paragraphs(text))]

    parts = {**collected, "validation": unseen(VALIDATION), "held out": unseen(HELD_OUT)}
    sources = {
        name: {
            "texts": len(texts),
            "bytes": sum(len(text.encode()) for text in texts),
            "sha256": hashlib.sha256(SEPARATOR.join(texts).encode()).hexdigest(),
        }
        for name, texts in parts.items()
    }
    return Corpus(platform.python_version(), sources, training, parts["validation"], parts["held out"])


def load_corpus(path: Path | None) -> Corpus:
    """Return the corpus in a file; without such a file, build it, and write it there."""
    if path is not None and path.exists():
        return Corpus(**json.loads(path.read_text()))
    corpus = build_corpus()
    if path is not None:
        path.write_text(json.dumps(asdict(corpus)))
    return corpus


def to_tokens(texts: Sequence[str]) -> Tensor:
    """Return texts as one stream of tokens, int64 on the CPU, an END before each and after the last."""
    return torch.tensor([token for text in texts for token in encode(text)] + [END])


@torch.no_grad()
def bits_per_byte(model: TinyLM, tokens: Tensor, attend: Attend) -> float:
    """Measure the model on a stream of tokens, END counted as a byte; what is left of the last window is not."""
    model.eval()
    window, overlap = EVALUATION_WINDOW, EVALUATION_OVERLAP
    losses = []
    for index, rows in enumerate(tokens.to(model.slopes.device).unfold(0, window + 1, window - overlap).split(8)):
        logits = model.logits(model(rows[:, :-1], attend)).float()
        loss = F.cross_entropy(logits.transpose(1, 2), rows[:, 1:], reduction="none")
        losses += [loss[0, :overlap]] if index == 0 else []
        losses.append(loss[:, overlap:].flatten())
    return torch.cat(losses).mean().item() / math.log(2)


def initialise(model: TinyLM) -> None:
    """Give the weights their first values: every part keeps its input's size, and the layers start small.

    The embedding starts smaller still: it is the output's matrix, too, and would make every token expect itself again.
    """
    nn.init.normal_(model.embedding.weight, std=0.02)
    for name, parameter in model.named_parameters():
        if parameter.dim() == 2 and name != "embedding.weight":
            out = name.endswith(("attention_out.weight", "mlp_out.weight"))
            shrink = (2 * model.config.num_layers) ** -0.5 if out else 1.0
            nn.init.normal_(parameter, std=shrink * parameter.shape[1] ** -0.5)


def make_optimizer(model: TinyLM, arguments: argparse.Namespace) -> tuple[torch.optim.Optimizer, Any]:
    """Return AdamW, which lets matrices decay, and its schedule: a warm-up, and half a cosine down to 1 %."""
    matrices = [parameter for parameter in model.parameters() if parameter.dim() == 2]
    others = [parameter for parameter in model.parameters() if parameter.dim() != 2]
    groups = [{"params": matrices, "weight_decay": arguments.weight_decay}, {"params": others, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=arguments.learning_rate, betas=(0.9, 0.98))
    warm_up = min(200, 1 + arguments.steps // 10)

    def factor(step: int) -> float:
        if step < warm_up:
            return (step + 1) / warm_up
        return 0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * (step - warm_up) / max(1, arguments.steps - warm_up)))

    return optimizer, torch.optim.lr_scheduler.LambdaLR(optimizer, factor)


def learn(model: TinyLM, rows: Tensor, optimizer: torch.optim.Optimizer) -> Tensor:
    """Take one step on windows of tokens, int64 [B, context + 1], and return the loss in bits per byte."""
    model.train()
    on_gpu = rows.device.type == "cuda"
    with torch.autocast(rows.device.type, torch.bfloat16, enabled=on_gpu):
        logits = model.logits(model(rows[:, :-1], model.attend_stock))
    loss = F.cross_entropy(logits.float().flatten(0, 1), rows[:, 1:].flatten())
    optimizer.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    return loss.detach() / math.log(2)


def train(model: TinyLM, corpus: Corpus, arguments: argparse.Namespace) -> dict[str, Any]:
    """Train the model in place, keep the weights that do best on the validation text, and return what happened."""
    from tqdm import tqdm

    device = model.slopes.device
    tokens, validation = to_tokens(corpus.training).to(device), to_tokens(corpus.validation)
    optimizer, schedule = make_optimizer(model, arguments)
    generator = torch.Generator().manual_seed(arguments.seed)  # on the CPU: the same batches on every device
    offsets = torch.arange(arguments.context + 1, device=device)
    every = max(50, arguments.steps // 20)
    losses, best, best_weights = [], {"kept_step": 0, "validation": math.inf, "training": math.inf}, {}
    start = time.perf_counter()
    for step in tqdm(range(1, arguments.steps + 1), unit=" steps", mininterval=1, leave=False, disable=None):
        first = torch.randint(len(tokens) - arguments.context, (arguments.batch_size, 1), generator=generator)
        losses.append(learn(model, tokens[first.to(device) + offsets], optimizer))
        schedule.step()
        if step % every == 0 or step == arguments.steps:
            measured = bits_per_byte(model, validation, model.attend_stock)
            training = torch.stack(losses[-every:]).mean().item()
            tqdm.write(
                f"step {step:6d}: {training:.3f} bits per byte in training, {measured:.3f} on the validation text, "
                f"{time.perf_counter() - start:.0f} s",
                file=sys.stdout,
            )
            if measured < best["validation"]:
                best = {"kept_step": step, "validation": measured, "training": training}
                best_weights = {name: value.clone() for name, value in model.state_dict().items()}
    model.load_state_dict(best_weights)
    return {"seconds": round(time.perf_counter() - start, 1), **best}


def save(model: TinyLM, corpus: Corpus, history: Mapping[str, Any], arguments: argparse.Namespace) -> dict[str, Any]:
    """Write weights (fp16), held-out text and card into the folder, and return the card."""
    from safetensors.torch import save_file

    arguments.out.mkdir(parents=True, exist_ok=True)
    weights = {name: value.half().cpu().contiguous() for name, value in model.state_dict().items()}
    model.load_state_dict(weights)  # what is measured is what is stored
    sizes = {name: size for name, size in asdict(model.config).items() if name != "dropout"}
    path = arguments.out / "tiny_lm.safetensors"
    save_file(
        weights, path, metadata={"sizes": json.dumps(sizes)}
    )  # one entry: safetensors writes several in any order
    held_out = SEPARATOR.join(corpus.held_out)
    (arguments.out / "tiny_lm_held_out.txt").write_text(held_out, encoding="utf-8", newline="")
    device = model.slopes.device
    on_gpu = device.type == "cuda"
    card = {
        "model": "byte-level causal language model of examples/tiny_lm.py; a demonstration, not for use",
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        "sizes": sizes,
        "weights": {"dtype": "float16", "sha256": hashlib.sha256(path.read_bytes()).hexdigest()},
        "bits_per_byte": {
            "held_out": round(bits_per_byte(model, to_tokens(corpus.held_out), model.attend_stock), 4),
            "validation": round(history["validation"], 4),
            "training": round(history["training"], 4),
        },
        "training": {
            "command": f"python examples/train_tiny_lm.py {' '.join(arguments.command)}".rstrip(),
            **{name: getattr(arguments, name) for name in TRAINING_OPTIONS},
            "kept_step": history["kept_step"],
            "seconds": history["seconds"],
            "torch": torch.__version__,
            "device": torch.cuda.get_device_name(device) if on_gpu else f"{device.type} ({platform.machine()})",
            "precision": "bfloat16 autocast" if on_gpu else "float32",
        },
        "text": {
            "python": corpus.python,
            "licence": "PSF License Version 2 (https://docs.python.org/3/license.html); the texts are Python's own",
            "sources": corpus.sources,
            "validation_modules": VALIDATION,
            "held_out_modules": HELD_OUT,
            "held_out_file": "tiny_lm_held_out.txt",
        },
    }
    (arguments.out / "tiny_lm.json").write_text(json.dumps(card, indent=2) + "\n")
    return card


TRAINING_OPTIONS = ("steps", "batch_size", "context", "learning_rate", "weight_decay", "dropout", "seed")


def parse_arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    """Return the command line's options, or end the program with one sentence that says what is wrong with them."""
    parser = argparse.ArgumentParser(
        description=__doc__.splitlines()[0], formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    parser.add_argument("--device", choices=["cpu", "cuda", "mps"], default="cpu", help="where to train")
    parser.add_argument("--steps", type=whole(1), default=1700, help="number of batches")
    parser.add_argument("--batch-size", type=whole(1), default=64, help="windows of text in a batch")
    parser.add_argument("--context", type=whole(1), default=512, help="tokens in a window")
    parser.add_argument("--learning-rate", type=float, default=4e-3, help="of AdamW, at its highest")
    parser.add_argument("--weight-decay", type=float, default=0.3, help="of AdamW, for matrices")
    parser.add_argument("--dropout", type=float, default=0.2, help="on attention's weights and what layers add")
    parser.add_argument("--seed", type=int, default=0, help="of weights, batches and dropout")
    parser.add_argument("--corpus", type=Path, help="file to take the text from; it is written where it is missing")
    parser.add_argument(
        "--out", type=Path, default=Path("build/tiny_lm"), help="folder for the results; the demo reads examples/"
    )
    arguments = parser.parse_args(argv)
    arguments.command = sys.argv[1:] if argv is None else list(argv)
    check_device(parser, arguments.device)
    return arguments


def main(argv: Sequence[str] | None = None) -> None:
    """Train and save."""
    arguments = parse_arguments(argv)
    torch.manual_seed(arguments.seed)
    corpus = load_corpus(arguments.corpus)
    model = TinyLM(replace(Config(), dropout=arguments.dropout))
    initialise(model)
    model.to(arguments.device)
    print(
        f"{len(corpus.training):,} texts of Python {corpus.python}, {sum(map(len, corpus.training)) / 1e6:.2f} MB; "
        f"{sum(map(len, corpus.validation)) / 1e3:.0f} kB for validation, "
        f"{sum(map(len, corpus.held_out)) / 1e3:.0f} kB held out\n"
        f"{sum(parameter.numel() for parameter in model.parameters()):,} parameters on {arguments.device}"
    )
    with torch.enable_grad():
        history = train(model, corpus, arguments)
    card = save(model, corpus, history, arguments)
    print(
        f"kept step {history['kept_step']}: {card['bits_per_byte']['held_out']:.3f} bits per byte of held-out text\n"
        f"wrote {arguments.out}/tiny_lm.safetensors, tiny_lm.json and tiny_lm_held_out.txt"
    )


if __name__ == "__main__":
    main()
