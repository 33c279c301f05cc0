"""Compiling, binding and running kernels: what works, and the sentence for what Metal itself would refuse."""

import re

import numpy as np
import pytest
import torch

import metalsim

SOURCE = """
#include <metal_stdlib>
using namespace metal;

constant float factor [[function_constant(0)]];
constant bool has_bias [[function_constant(1)]];
constant bool is_negated [[function_constant(2)]];
constant bool negates = is_function_constant_defined(is_negated) ? is_negated : false;

struct Sizes { int count; float offset; };

kernel void scale(device float* out [[buffer(0)]],
                  const device float* in [[buffer(1)]],
                  constant Sizes& sizes [[buffer(2)]],
                  const device float* bias [[buffer(3), function_constant(has_bias)]],
                  uint i [[thread_position_in_grid]]) {
  if (int(i) < sizes.count) {
    float value = in[i] * factor + sizes.offset;
    if (has_bias) {
      value += bias[i];
    }
    out[i] = negates ? -value : value;
  }
}

kernel void reverse(device int* out [[buffer(0)]],
                    threadgroup int* shared [[threadgroup(0)]],
                    uint t [[thread_index_in_threadgroup]],
                    uint n [[threads_per_threadgroup]]) {
  shared[t] = out[t];
  threadgroup_barrier(mem_flags::mem_threadgroup);
  out[t] = shared[n - 1 - t];
}

template <typename T> kernel void twice(device T* out [[buffer(0)]], uint i [[thread_position_in_grid]]) { out[i] *= T(2); }
template [[host_name("twice_half")]] [[kernel]] void twice<half>(device half*, uint);
template [[host_name("twice_int")]] [[kernel]] void twice<int>(device int*, uint);

kernel void greedy(device float* out [[buffer(0)]], uint t [[thread_index_in_threadgroup]]) {
  threadgroup float tile[8448];
  tile[t] = out[t];
  threadgroup_barrier(mem_flags::mem_threadgroup);
  out[t] = tile[t ^ 1];
}

[[max_total_threads_per_threadgroup(64)]]
kernel void narrow(device float* out [[buffer(0)]], uint i [[thread_position_in_grid]]) {
  out[i] = 1.0f;
}

kernel void positions(device uint4* out [[buffer(0)]],
                      uint i [[thread_position_in_grid]],
                      uint group [[threadgroup_position_in_grid]],
                      uint lane [[thread_index_in_simdgroup]],
                      uint size [[threads_per_threadgroup]]) {
  out[i] = uint4(group, lane, size, i);
}
"""

SIZES = np.array([(8, 0.5)], dtype=[("count", np.int32), ("offset", np.float32)])


@pytest.fixture(scope="module")
def library():
    return metalsim.compile(SOURCE)


def scale_buffers(**changes):
    buffers = {0: np.zeros(8, np.float32), 1: np.arange(8, dtype=np.float32), 2: SIZES}
    return {**buffers, **{int(key.removeprefix("b")): value for key, value in changes.items()}}


def test_kernels_are_listed_by_host_name(library):
    assert set(library.kernel_names) == {"scale", "reverse", "twice_half", "twice_int", "greedy", "narrow", "positions"}
    assert library.function_constants == {"factor": 0, "has_bias": 1, "is_negated": 2}


def test_runs_with_constants_by_index_and_by_name(library):
    for constants in ({0: 3.0, 1: False}, {"factor": 3.0, "has_bias": False}):
        buffers = scale_buffers()
        run = library.pipeline("scale", constants).dispatch((1,), (32,), buffers)
        np.testing.assert_array_equal(buffers[0], np.arange(8) * 3 + 0.5)
        assert run.seconds > 0


def test_a_function_constant_turns_an_argument_on(library):
    bias = np.full(8, 10, np.float32)
    pipeline = library.pipeline("scale", {"factor": 1.0, "has_bias": True, "is_negated": True})
    buffers = scale_buffers(b3=bias)
    pipeline.dispatch((1,), (32,), buffers)
    np.testing.assert_array_equal(buffers[0], -(np.arange(8) + 10.5))


def test_tensors_are_bound_at_their_storage_offset():
    library = metalsim.compile(SOURCE)
    whole = torch.arange(16, dtype=torch.float16)
    library.pipeline("twice_half").dispatch((1,), (4,), {0: whole[8:]})
    expected = torch.arange(16, dtype=torch.float16)
    expected[8:12] *= 2
    assert torch.equal(whole, expected)


def test_an_offset_in_bytes(library):
    values = np.arange(16, dtype=np.int32)
    library.pipeline("twice_int").dispatch((1,), (4,), {0: (values, 16)})
    assert values.tolist() == [0, 1, 2, 3, 8, 10, 12, 14, *range(8, 16)]


def test_overlapping_buffers_share_their_memory():
    source = """
    kernel void shift(device int* out [[buffer(0)]], device int* in [[buffer(1)]], uint i [[thread_position_in_grid]]) {
      out[i] = in[i] + 1;
    }
    """
    values = np.zeros(8, np.int32)
    metalsim.compile(source).pipeline("shift").dispatch((1,), (4,), {0: values[4:], 1: values[:4]})
    assert values.tolist() == [0, 0, 0, 0, 1, 1, 1, 1]


def test_threadgroup_memory_of_the_dispatch(library):
    values = np.arange(64, dtype=np.int32)
    library.pipeline("reverse").dispatch((1,), (64,), {0: values}, {0: 256}, check=True)
    assert values.tolist() == list(range(63, -1, -1))


def test_the_edges_of_a_grid_have_smaller_threadgroups(library):
    out = np.zeros((70, 4), np.uint32)
    library.pipeline("positions").dispatch(threads=(70,), threads_per_threadgroup=(32,), buffers={0: out})
    assert out[:, 3].tolist() == list(range(70))
    assert out[:, 0].tolist() == [i // 32 for i in range(70)]
    assert out[:, 2].tolist() == [32] * 64 + [6] * 6


def test_pipelines_are_compiled_together(library):
    names = ["twice_half", "twice_int", ("scale", {0: 1.0, 1: False})]
    pipelines = library.pipelines(names)
    assert [pipeline.name for pipeline in pipelines] == ["twice_half", "twice_int", "scale"]


@pytest.mark.parametrize("size", [1, 64, 100, 1000])
def test_transactions_do_not_depend_on_where_the_copy_of_a_buffer_lies(library, size):
    """Buffers begin at a page on a Mac: 32 threads that store 4 bytes each, aligned to 128, make one transaction."""
    values = np.zeros(32 + size, np.float32)
    counts = library.pipeline("narrow").dispatch((1,), (32,), {0: values}, count=True).counts
    assert counts.device[0].store_transactions == 1


def test_counts_need_to_be_asked_for(library):
    values = np.zeros(32, np.float32)
    pipeline = library.pipeline("narrow")
    with pytest.raises(metalsim.MetalsimError, match=re.escape("pass count=True")):
        _ = pipeline.dispatch((1,), (32,), {0: values}).counts
    counts = pipeline.dispatch((1,), (32,), {0: values}, count=True).counts
    assert counts.device[0].stored_bytes == 128
    assert counts.device[0].store_transactions == 1
    assert counts.threads == 32


REFUSED = {
    "unknown kernel": (lambda lib: lib.pipeline("scael"), r"has no kernel 'scael'; it has 'scale', "),
    "unknown constant": (
        lambda lib: lib.pipeline("scale", {"fator": 1.0}),
        "no function constant 'fator'; it has 0 ('factor')",
    ),
    "missing constant": (
        lambda lib: lib.pipeline("scale", {1: False}),
        "uses the function constants 'factor' (index 0)",
    ),
    "constant of a wrong type": (
        lambda lib: lib.pipeline("scale", {0: "3"}),
        "must be a bool, an int or a float, but is '3'",
    ),
    "constant given twice": (
        lambda lib: lib.pipeline("scale", {0: 1.0, "factor": 2.0}),
        "by its name and by its index 0",
    ),
    "threadgroup variables over 32 KiB": (
        lambda lib: lib.pipeline("greedy"),
        "declares 33,792 bytes of threadgroup memory",
    ),
    "threadgroup arguments over 32 KiB": (
        lambda lib: lib.pipeline("reverse").dispatch((1,), (4,), {0: np.zeros(4, np.int32)}, {0: 32784}),
        "needs 32,784 bytes of threadgroup memory",
    ),
    "no threadgroup memory": (
        lambda lib: lib.pipeline("reverse").dispatch((1,), (4,), {0: np.zeros(4, np.int32)}),
        "threadgroup memory 0 ('shared') has no length",
    ),
    "odd threadgroup memory": (
        lambda lib: lib.pipeline("reverse").dispatch((1,), (4,), {0: np.zeros(4, np.int32)}, {0: 20}),
        "must be a multiple of 16 bytes, but is 20",
    ),
    "unknown threadgroup memory": (
        lambda lib: lib.pipeline("narrow").dispatch((1,), (4,), {0: np.zeros(4, np.float32)}, {3: 16}),
        "has no [[threadgroup(3)]]; it has none",
    ),
    "more than 1024 threads": (
        lambda lib: lib.pipeline("twice_int").dispatch((1,), (32, 33), {0: np.zeros(4, np.int32)}),
        "allows 1024 threads in a threadgroup, but threads_per_threadgroup is (32, 33, 1), 1056 threads",
    ),
    "more threads than the kernel's attribute": (
        lambda lib: lib.pipeline("narrow").dispatch((1,), (65,), {0: np.zeros(65, np.float32)}),
        "allows 64 threads in a threadgroup",
    ),
    "an empty grid": (
        lambda lib: lib.pipeline("narrow").dispatch((0,), (4,), {0: np.zeros(4, np.float32)}),
        "threadgroups must be one to three sizes of at least 1, but is (0,)",
    ),
    "no grid": (
        lambda lib: lib.pipeline("narrow").dispatch(buffers={0: np.zeros(4, np.float32)}),
        "needs either threadgroups or threads",
    ),
    "unbound buffer": (
        lambda lib: lib.pipeline("twice_int").dispatch((1,), (4,), {}),
        "buffer 0 ('out') is used by the kernel, but nothing is bound",
    ),
    "unknown buffer": (
        lambda lib: lib.pipeline("twice_int").dispatch((1,), (4,), {0: np.zeros(4, np.int32), 7: b"1234"}),
        "has no [[buffer(7)]]; it has 0 ('out')",
    ),
    "misaligned buffer": (
        lambda lib: lib.pipeline("twice_int").dispatch((1,), (2,), {0: (np.zeros(4, np.int32), 2)}),
        "bound at byte 2, but its type needs a multiple of 4",
    ),
    "an offset outside": (
        lambda lib: lib.pipeline("twice_int").dispatch((1,), (2,), {0: (np.zeros(4, np.int32), 20)}),
        "bound at byte 20, but it has 16 bytes",
    ),
    "a struct that is too short": (
        lambda lib: lib.pipeline("scale", {0: 1.0, 1: False}).dispatch((1,), (8,), scale_buffers(b2=b"1234")),
        "has 4 bytes from its offset on, but its type has 8",
    ),
    "bytes that would be written": (
        lambda lib: lib.pipeline("twice_int").dispatch((1,), (2,), {0: bytes(16)}),
        "may be written by the kernel, but is read-only",
    ),
    "no buffer at all": (
        lambda lib: lib.pipeline("twice_int").dispatch((1,), (2,), {0: [1, 2]}),
        "must be a numpy array, a CPU tensor, bytes, or a pair of one and an offset in bytes, but is list",
    ),
    "a schedule": (
        lambda lib: lib.pipeline("narrow").dispatch((1,), (4,), {0: np.zeros(4, np.float32)}, schedule="backwards"),
        "but is 'backwards'",
    ),
    "no schedule": (
        lambda lib: lib.pipeline("narrow").dispatch((1,), (4,), {0: np.zeros(4, np.float32)}, schedule=()),
        "schedule must name at least one order",
    ),
    "a way to count": (
        lambda lib: lib.pipeline("narrow").dispatch((1,), (4,), {0: np.zeros(4, np.float32)}, count="line"),
        "count must be False, True or \"lines\", but is 'line'",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refuses(library, case):
    call, sentence = REFUSED[case]
    with pytest.raises(metalsim.ValidationError, match=re.escape(sentence)):
        call(library)


def test_a_refused_dispatch_writes_nothing(library):
    values = np.arange(4, dtype=np.int32)
    with pytest.raises(metalsim.ValidationError):
        library.pipeline("twice_int").dispatch((1,), (4,), {0: values, 9: b""})
    assert values.tolist() == [0, 1, 2, 3]


def test_errors_have_the_lines_of_the_source():
    with pytest.raises(metalsim.CompileError) as caught:
        metalsim.compile(
            "#include <metal_stdlib>\n\nkernel void k(device float* a [[buffer(0)]]) {\n  a[0] = missing;\n}\n"
        )
    diagnostic = caught.value.diagnostics[0]
    assert (diagnostic.file, diagnostic.line) == ("program_source", 4)
    assert "missing" in diagnostic.message


def test_errors_of_a_file_name_the_file(tmp_path):
    path = tmp_path / "broken.metal"
    path.write_text('#include "part.h"\nkernel void k(device float* a [[buffer(0)]]) { a[0] = part(); }\n')
    (tmp_path / "part.h").write_text("\ninline float part() { return 1.0f + ; }\n")
    with pytest.raises(metalsim.CompileError) as caught:
        metalsim.compile(path)
    assert caught.value.diagnostics[0].file.endswith("part.h")
    assert caught.value.diagnostics[0].line == 2


def test_macros_and_include_folders(tmp_path):
    (tmp_path / "include").mkdir()
    (tmp_path / "include" / "value.h").write_text("constant constexpr int value = VALUE;\n")
    source = '#include "value.h"\nkernel void k(device int* a [[buffer(0)]]) { a[0] = value; }\n'
    out = np.zeros(1, np.int32)
    library = metalsim.compile(source, [tmp_path / "include"], {"VALUE": 7})
    library.pipeline("k").dispatch((1,), (1,), {0: out})
    assert out[0] == 7


def test_a_missing_file_is_named():
    with pytest.raises(FileNotFoundError, match=r"there is no Metal source file 'nowhere\.metal'"):
        metalsim.compile("nowhere.metal")


def test_an_access_far_outside_stops_the_dispatch_without_checks():
    source = "kernel void k(device int* a [[buffer(0)]], uint i [[thread_position_in_grid]]) { a[i] = 1; }"
    with pytest.raises(metalsim.OutOfBoundsError, match="buffer 0"):
        metalsim.compile(source).pipeline("k").dispatch((1,), (64,), {0: np.zeros(4, np.int32)})
