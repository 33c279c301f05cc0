"""examples/generate.py: its weights, its logits and tokens, its batch, its shared blocks, what it says, and its training."""

import hashlib
import json
import math
import re
import sys
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import torch

sys.path.insert(0, str(Path(__file__).parents[1] / "examples"))

import continuous_batching
import generate
import tiny_lm
import train_tiny_lm
from continuous_batching import Batcher, Continuation, first_difference

EXAMPLES = Path(generate.__file__).parent
CARD = json.loads((EXAMPLES / "tiny_lm.json").read_text())
HELD_OUT = (EXAMPLES / "tiny_lm_held_out.txt").read_text(encoding="utf-8")
TEXT = tiny_lm.encode(HELD_OUT[:400])
"""Tokens that are no prompt of the demo's."""


@pytest.fixture(scope="module")
def model(device):
    return tiny_lm.load(device)


@dataclass(eq=False)
class Replay(Continuation):
    """A continuation whose tokens are given; it keeps the logits that it is shown."""

    script: list[int] = field(default_factory=list)
    rows: list[torch.Tensor] = field(default_factory=list)

    def choose(self, logits):
        self.rows.append(logits)
        return self.script[len(self.tokens)]


def run(model, *groups, **sizes):
    """Run groups from the same start to the end, and return the batcher."""
    batcher = Batcher(model, **sizes)
    for group in groups:
        batcher.submit(group)
    batcher.run()
    assert batcher.cache.num_free_blocks == batcher.cache.num_blocks, "blocks are still in use"
    return batcher


def plain_tokens(model, prompt, number):
    """Return the likeliest tokens, by stock attention over the whole text for every single one of them."""
    text = list(prompt)
    for _ in range(number):
        hidden = model(torch.tensor([text], device=model.slopes.device), model.attend_stock)
        text.append(int(model.logits(hidden[0, -1]).cpu().argmax()))
        if text[-1] == tiny_lm.END:
            break
    return text[len(prompt) :]


# The weights


def test_weights_are_small_and_those_of_the_card(model):
    weights = (EXAMPLES / "tiny_lm.safetensors").read_bytes()
    assert len(weights) < 6_000_000
    assert hashlib.sha256(weights).hexdigest() == CARD["weights"]["sha256"]
    assert sum(parameter.numel() for parameter in model.parameters()) == CARD["parameters"]
    assert {name: getattr(model.config, name) for name in CARD["sizes"]} == CARD["sizes"]
    defaults = vars(train_tiny_lm.parse_arguments([]))
    assert {name: CARD["training"][name] for name in train_tiny_lm.TRAINING_OPTIONS} == {
        name: defaults[name] for name in train_tiny_lm.TRAINING_OPTIONS
    }, "the script's defaults are not what made the weights"


def test_the_model_is_short():
    assert len((EXAMPLES / "tiny_lm.py").read_text().splitlines()) < 150


def test_the_model_uses_what_the_operators_offer(model):
    config = model.config
    assert config.num_heads > config.num_kv_heads > 1
    windows = [model.options(index)["window_left"] for index in range(config.num_layers)]
    assert min(windows) == -1
    assert 0 < max(windows) < len(TEXT), "the texts of these tests must be longer than the window"


def test_held_out_text_takes_as_many_bits_as_the_card_says(model):
    assert hashlib.sha256(HELD_OUT.encode()).hexdigest() == CARD["text"]["sources"]["held out"]["sha256"]
    tokens = train_tiny_lm.to_tokens(HELD_OUT.split(train_tiny_lm.SEPARATOR))
    measured = train_tiny_lm.bits_per_byte(model, tokens, model.attend_fused)
    assert measured == pytest.approx(CARD["bits_per_byte"]["held_out"], rel=0.02)
    assert measured < 1.6, "not a model of English"


# Logits and tokens


def test_paged_logits_are_those_of_the_whole_text(model):
    """Apply the rule of reference.py to the model: at most twice the error of stock attention in fp32, and a floor.

    The prompts end before, at and behind the ends of blocks and of chunks, and the 40 tokens after them cross more. The
    floor is 64 ulps of the largest logit: products with fewer rows are summed in another order, in each of 6 layers.
    """
    lengths = (1, 15, 16, 17, 31, 32, 33, 64, 65, 200)
    replays = [Replay(TEXT[:length], 40, script=TEXT[length : length + 40]) for length in lengths]
    run(model, *([replay] for replay in replays), num_blocks=256, max_sequences=len(replays))

    text = torch.tensor([TEXT])
    double = tiny_lm.load("cpu").double()
    exact = double.logits(double(text, double.attend_stock))[0]
    single = tiny_lm.load("cpu")
    stock_error = (single.logits(single(text, single.attend_stock))[0] - exact).abs().max()
    floor = 64 * torch.finfo(torch.float32).eps * exact.abs().max()
    fused = model.logits(model(text.to(model.slopes.device), model.attend_fused))[0].cpu()
    assert (fused - exact).abs().max() <= 2 * stock_error + floor
    for length, replay in zip(lengths, replays, strict=True):
        error = (torch.stack(replay.rows) - exact[length - 1 : length + 39]).abs().max()
        assert error <= 2 * stock_error + floor, f"after a prompt of {length} tokens"


@pytest.mark.parametrize("block_size", [1, 8, 16])
def test_greedy_tokens_are_those_of_the_plain_run(model, block_size):
    prompts = [TEXT[:2], TEXT[:16], TEXT[:33], tiny_lm.encode("Return True if the")]
    greedy = [Continuation(prompt, 20) for prompt in prompts]
    run(model, *([one] for one in greedy), block_size=block_size)
    for one in greedy:
        assert one.tokens == plain_tokens(model, one.prompt, 20)
        assert first_difference(model, one) is None


def test_a_text_ends_with_its_end_token(model):
    one = Continuation(tiny_lm.encode("Return True if the"), 160)
    run(model, [one])
    assert one.tokens.index(tiny_lm.END) == len(one.tokens) - 1 < 159
    assert tiny_lm.decode(one.prompt + one.tokens).endswith(".")


def test_a_wrong_token_is_found(model):
    for temperature in (0.0, 0.7):
        one = Continuation(TEXT[:20], 12, temperature)
        run(model, [one])
        one.tokens[7] = (one.tokens[7] + 1) % 256
        assert first_difference(model, one) == 7


# The batch


def test_requests_that_join_and_leave_get_the_same_tokens_as_alone(model):
    def requests():
        return [Continuation(TEXT[:length], new, 0.7 * (length % 2), seed=length) for length, new in shapes]

    shapes = [(3, 30), (90, 12), (17, 40), (40, 5), (32, 25), (1, 18)]
    alone, together = requests(), requests()
    for one in alone:
        run(model, [one])
    batcher = Batcher(model, num_blocks=16, max_sequences=3, chunk=32)
    arrivals = {0: together[:2], 4: together[2:5], 20: together[5:]}
    for step in range(200):
        for one in arrivals.get(step, []):
            batcher.submit([one])
        if batcher.busy:
            batcher.step()
    assert not batcher.busy
    assert [one.tokens for one in together] == [one.tokens for one in alone]
    assert batcher.cache.num_free_blocks == 16
    starts = sorted(one.first_step for one in together)
    assert len(set(starts)) > 3, "they must join at different times"
    assert any(one.first_step < other.first_step <= one.last_step for one in together for other in together)
    assert batcher.statistics.most_sequences == 3
    assert batcher.statistics.prompt_tokens == sum(length for length, _ in shapes)
    assert batcher.statistics.new_tokens == sum(len(one.tokens) for one in together)


@pytest.mark.parametrize("length", [31, 32, 33, 40])
def test_samples_share_their_prompts_blocks_and_copy_what_they_write(model, length):
    samples = [Continuation(TEXT[:length], 24, 0.9, seed=seed) for seed in range(3)]
    needed = continuous_batching.Group(samples).most_blocks(16)
    batcher = Batcher(model, num_blocks=needed, block_size=16, chunk=64)  # not a block more than is promised
    batcher.submit(samples)
    batcher.step()
    assert batcher.cache.num_blocks - batcher.cache.num_free_blocks == math.ceil(length / 16), (
        "forks must share all blocks"
    )
    batcher.step()
    full = length // 16
    assert batcher.statistics.most_shared == full
    assert batcher.statistics.most_blocks == full + 3
    assert batcher.statistics.most_unshared == 3 * (full + 1)
    batcher.run()
    assert batcher.cache.num_free_blocks == needed
    assert len({tuple(one.tokens) for one in samples}) == 3, "they must differ to show anything"
    for one in samples:
        alone = Continuation(one.prompt, 24, 0.9, seed=one.seed)
        run(model, [alone])
        assert one.tokens == alone.tokens
        assert first_difference(model, one) is None


def test_what_is_promised_to_groups_suffices(model):
    """Groups wait until the cache is sure to hold them; reserve() would raise if one had joined too soon."""
    groups = [
        [Continuation(TEXT[:length], 20, 0.9, seed=seed) for seed in range(samples)]
        for length, samples in ((15, 3), (16, 2), (47, 3), (5, 1), (33, 2), (1, 3))
    ]
    largest = max(continuous_batching.Group(group).most_blocks(8) for group in groups)
    batcher = run(model, *groups, num_blocks=largest + 2, block_size=8)
    assert batcher.statistics.most_blocks <= largest + 2
    assert all(first_difference(model, one) is None for group in groups for one in group)


@pytest.mark.parametrize(
    ("members", "complaint"),
    [
        ([], "submit each prompt by itself"),
        ([Continuation([], 4)], "one prompt that is not empty"),
        ([Continuation([1], 4), Continuation([2], 4)], "must share one prompt"),
        ([Continuation([1], 4)] * 3, "at most 2 continuations, which is what the batch holds, but has 3"),
        ([Continuation([1] * 30, 4)], "must fit in the cache's 2 blocks of 16 tokens, but can take 3"),
    ],
    ids=["none", "empty", "two prompts", "too many", "too long"],
)
def test_what_can_never_run_is_refused_at_once(model, members, complaint):
    batcher = Batcher(model, num_blocks=2, max_sequences=2)
    with pytest.raises(ValueError, match=complaint):
        batcher.submit(members)
    assert not batcher.busy


# Drawing


def test_tokens_are_drawn_with_the_probabilities_of_the_softmax():
    logits = torch.full((tiny_lm.END + 1,), -torch.inf)
    logits[[7, 70, 200]] = torch.tensor([1.0, 2.0, 0.5])
    expected = (logits / 0.7).softmax(0)
    one = Continuation([1], 1, temperature=0.7, seed=3)
    draws = torch.tensor([one.choose(logits) for _ in range(4000)])
    shares = torch.bincount(draws, minlength=len(logits)) / len(draws)
    assert (shares - expected).abs().max() < 4 * 0.5 / len(draws) ** 0.5, "beyond four standard deviations"


def test_top_k_and_seed():
    logits = torch.randn(tiny_lm.END + 1, generator=torch.Generator().manual_seed(1))
    best = logits.topk(3).indices.tolist()

    def draw(number=200, **options):
        one = Continuation([1], 1, **options)
        return [one.choose(logits) for _ in range(number)]

    assert set(draw(temperature=0.0)) == set(draw(temperature=2.0, top_k=1)) == {best[0]}
    assert set(draw(temperature=2.0, top_k=3)) == set(best)
    assert len(set(draw(temperature=2.0))) > 50
    assert draw(temperature=1.0, seed=1) == draw(temperature=1.0, seed=1) != draw(temperature=1.0, seed=2)


def test_text_becomes_tokens_and_back():
    assert tiny_lm.encode("aé") == [tiny_lm.END, 97, 0xC3, 0xA9]
    assert tiny_lm.decode([*tiny_lm.encode("aé→"), tiny_lm.END]) == "aé→"
    assert tiny_lm.decode([97, 0xC3]) == "a\N{REPLACEMENT CHARACTER}"


def test_the_guide_shows_what_happens(capsys):
    (code,) = re.findall(r"```python\n(.*?)```", (EXAMPLES.parent / "docs" / "generate.md").read_text(), re.DOTALL)
    exec(compile(code, "generate.md", "exec"), {})
    expected = re.findall(r"^print\(.*\)  # (.*)", code, re.MULTILINE)
    assert len(expected) >= 3
    assert capsys.readouterr().out.splitlines() == expected


# The command


def test_the_command_generates_checks_and_reports(capsys, device):
    options = ["--samples", "3", "--max-new-tokens", "24", "--check", "--device", device.type, "--batch-size", "4"]
    generate.main(["--prompt", "This method returns a list", "--prompt", "If the file does not exist,", *options])
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith(
        f"{CARD['parameters']:,} parameters in fp32 on {device.type}, 1 thread(s); 2 prompt(s), 3 "
    )
    assert lines.count("“This method returns a list”") == lines.count("“If the file does not exist,”") == 1
    assert sum("greedy, steps " in line for line in lines) == 2
    assert sum("temperature 0.7, steps " in line for line in lines) == 4
    assert sum(line.startswith("    | If the file does not exist,") for line in lines) == 3
    read, cache, check = lines[-3:]
    assert read.startswith("55 tokens read and ")
    assert " new tokens/s; up to 3 sequences in a step" in read, "the groups do not fit in the batch together"
    assert " of 128 blocks of 16 tokens in use, " in cache
    assert " of 6.29 MB; up to 1 shared, without which up to " in cache
    assert check.startswith("check: all ")
    assert check.endswith(
        "tokens of 6 continuations are those of F.scaled_dot_product_attention over whole texts, without a cache"
    )


def test_a_check_that_fails_ends_the_program(monkeypatch, capsys):
    monkeypatch.setattr(generate, "first_difference", lambda model, one: 2)
    with pytest.raises(
        SystemExit, match=r"check: token 2 after “Note” \(seed 0, temperature 0\) differs from stock attention"
    ):
        generate.main(["--prompt", "Note", "--samples", "1", "--max-new-tokens", "4", "--check"])
    assert "check: all" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--prompt", ""], "argument --prompt: must not be empty: give a text to continue"),
        (["--max-new-tokens", "0"], "argument --max-new-tokens: must be a whole number from 1 up, but was '0'"),
        (["--temperature", "-1"], "argument --temperature: must be a number from 0 up, but was '-1'"),
        (["--temperature", "nan"], "argument --temperature: must be a number from 0 up, but was 'nan'"),
        (
            ["--temperature", "0"],
            "--samples: must be 1 with --temperature 0, but was 3: greedy continuations are all the",
        ),
        (["--top-k", "few"], "argument --top-k: must be a whole number from 0 up, but was 'few'"),
        (["--device", "cuda"], "argument --device: invalid choice: 'cuda'"),
        (
            ["--weights", "no.safetensors"],
            "--weights: there is no file no.safetensors: examples/train_tiny_lm.py makes one",
        ),
    ],
    ids=lambda value: value[0][2:] if isinstance(value, list) else "",
)
def test_a_wrong_option_is_named(capsys, arguments, complaint):
    with pytest.raises(SystemExit) as exit_info:
        generate.main(arguments)
    assert exit_info.value.code == 2
    assert complaint in capsys.readouterr().err.replace("\n", " ")


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (
            ["--prompt", "x" * 2000],
            "must fit in the cache's 128 blocks of 16 tokens, but can take 158: shorten them, or make",
        ),
        (
            ["--samples", "9"],
            "at most 8 continuations, which is what the batch holds, but has 9: ask for fewer, or make",
        ),
    ],
    ids=["too long", "too many"],
)
def test_a_prompt_that_can_never_run_is_named(capsys, arguments, complaint):
    with pytest.raises(SystemExit) as exit_info:
        generate.main(arguments)
    assert exit_info.value.code.startswith("--prompt “")
    assert complaint in exit_info.value.code
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("module", generate.PACKAGES)
def test_a_missing_package_is_one_sentence_with_the_command(monkeypatch, capsys, module):
    monkeypatch.setitem(sys.modules, module, None)  # as the import system marks what cannot be found
    with pytest.raises(SystemExit) as exit_info:
        generate.main([])
    assert exit_info.value.code.startswith(f"This demo needs {module}, which {sys.executable} cannot find")
    assert capsys.readouterr().out == ""


# Training, on the CPU: the operators take no part in it


@pytest.fixture(scope="module")
def corpus():
    return train_tiny_lm.build_corpus()


def test_the_text_is_pythons_and_what_measures_is_not_learnt_from(corpus):
    assert sum(len(text) for text in corpus.training) > 1_500_000
    assert len(set(corpus.training)) == len(corpus.training)
    assert min(len(corpus.validation), len(corpus.held_out)) > 30
    learnt = {paragraph for text in corpus.training for paragraph in train_tiny_lm.paragraphs(text)}
    for text in [*corpus.validation, *corpus.held_out]:
        long = [part for part in train_tiny_lm.paragraphs(text) if len(part) >= train_tiny_lm.SHORTEST_TEXT]
        assert learnt.isdisjoint(long), f"the model has learnt from {text[:60]!r}"
        assert train_tiny_lm.SEPARATOR not in text
    assert not set(train_tiny_lm.VALIDATION) & set(train_tiny_lm.HELD_OUT)
    assert any("heap" in text.lower() for text in corpus.held_out)


def test_this_pythons_text_is_that_of_the_card(corpus):
    """The very same for the same Python; about as much for another. What is built in depends on how Python was compiled."""
    card = CARD["text"]
    assert corpus.sources.keys() == card["sources"].keys()
    for name, source in corpus.sources.items():
        if corpus.python == card["python"] and "built-in" not in name:
            assert source == card["sources"][name]
        else:
            assert 0.5 < source["bytes"] / card["sources"][name]["bytes"] < 2, name


def test_docstrings_and_comments_are_found_in_a_module():
    source = '''"""Say what this module, which is an example, is for."""
# A comment of two lines is a text when it is long enough,
# which these two lines together are.
x = 1  # Behind code, it is not, however long it may be: such a comment is seldom a sentence of English prose.
# Copyright notices are no prose, even when they are as long as this one, and are therefore left out of the text.

class C:
    """Short."""

    def f(self):
        """
        Return something whose description
            is indented.
        """
'''
    docstrings, comments = train_tiny_lm.module_texts(source)
    assert docstrings == [
        "Say what this module, which is an example, is for.",
        "Return something whose description\n    is indented.",
    ]
    assert comments == ["A comment of two lines is a text when it is long enough,\nwhich these two lines together are."]


def test_what_several_topics_share_comes_once():
    shared, long, short = ("x" * 150, "y" * 250, "z" * 210)
    texts = train_tiny_lm.topic_texts({"a": f"{short}\n\n{shared}", "b": f"{long}\n\n{shared}", "c": shared})
    assert texts == [f"{long}\n\n{shared}", short]


def small_corpus(path, corpus):
    """Write a corpus of a few texts."""
    part = {"training": corpus.training[:40], "validation": corpus.validation[:20], "held_out": corpus.held_out[:12]}
    path.write_text(json.dumps({"python": corpus.python, "sources": corpus.sources, **part}))
    return path


def train_a_little(folder, corpus, *options):
    arguments = ["--steps", "3", "--batch-size", "2", "--context", "64", "--out", str(folder), *options]
    train_tiny_lm.main([*arguments, "--corpus", str(small_corpus(folder.with_suffix(".json"), corpus))])
    return json.loads((folder / "tiny_lm.json").read_text())


def test_training_writes_what_the_demo_reads_and_repeats_exactly(tmp_path, capsys, corpus):
    first = train_a_little(tmp_path / "first", corpus)
    assert first.keys() == CARD.keys()
    assert CARD["training"].keys() - first["training"].keys() == {"note"}
    assert first["text"].keys() == CARD["text"].keys()
    assert first["training"]["kept_step"] == 3
    out = capsys.readouterr().out
    assert f"kept step 3: {first['bits_per_byte']['held_out']:.3f} bits per byte of held-out text" in out
    weights = tmp_path / "first" / "tiny_lm.safetensors"
    assert hashlib.sha256(weights.read_bytes()).hexdigest() == first["weights"]["sha256"]

    again = train_a_little(tmp_path / "again", corpus)
    other = train_a_little(tmp_path / "other", corpus, "--seed", "1")
    assert again["weights"] == first["weights"] != other["weights"]

    model = tiny_lm.load("cpu", weights)
    held_out = (tmp_path / "first" / "tiny_lm_held_out.txt").read_text(encoding="utf-8")
    tokens = train_tiny_lm.to_tokens(held_out.split(train_tiny_lm.SEPARATOR))
    measured = train_tiny_lm.bits_per_byte(model, tokens, model.attend_fused)
    assert measured == pytest.approx(first["bits_per_byte"]["held_out"], abs=1e-3)


def test_the_model_learns(corpus):
    torch.manual_seed(0)
    model = tiny_lm.TinyLM(tiny_lm.Config(width=64, inner=96, num_layers=2, num_heads=4, head_dim=16))
    train_tiny_lm.initialise(model)
    arguments = train_tiny_lm.parse_arguments(["--steps", "40"])
    with torch.enable_grad():
        optimizer, schedule = train_tiny_lm.make_optimizer(model, arguments)
        rows = train_tiny_lm.to_tokens(corpus.training[:5])[:516].view(4, 129)
        losses = []
        for _ in range(40):
            losses.append(train_tiny_lm.learn(model, rows, optimizer).item())
            schedule.step()
    assert losses[0] == pytest.approx(math.log2(257), abs=0.5), "the first guess must be about even"
    assert losses[-1] < 4.2


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--steps", "0"], "argument --steps: must be a whole number from 1 up, but was '0'"),
        (["--device", "tpu"], "argument --device: invalid choice: 'tpu'"),
    ],
)
def test_a_wrong_option_of_the_training_is_named(capsys, arguments, complaint):
    with pytest.raises(SystemExit) as exit_info:
        train_tiny_lm.main(arguments)
    assert exit_info.value.code == 2
    assert complaint in capsys.readouterr().err
