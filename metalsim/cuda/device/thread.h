// Where a thread is: PTX's special registers as Metal's attributes.
#pragma once

namespace metalsim::cuda {

inline __attribute__((always_inline)) uint32_t lane() {
  return __nvvm_read_ptx_sreg_laneid();
}

/// Threadgroups are blocks, all of one size: this GPU has no smaller ones at a grid's edge.
inline __attribute__((always_inline)) abi::Position position() {
  const uint32_t thread[3] = {__nvvm_read_ptx_sreg_tid_x(), __nvvm_read_ptx_sreg_tid_y(), __nvvm_read_ptx_sreg_tid_z()};
  const uint32_t group[3] = {__nvvm_read_ptx_sreg_ctaid_x(), __nvvm_read_ptx_sreg_ctaid_y(),
                             __nvvm_read_ptx_sreg_ctaid_z()};
  const uint32_t size[3] = {__nvvm_read_ptx_sreg_ntid_x(), __nvvm_read_ptx_sreg_ntid_y(),
                            __nvvm_read_ptx_sreg_ntid_z()};
  const uint32_t groups[3] = {__nvvm_read_ptx_sreg_nctaid_x(), __nvvm_read_ptx_sreg_nctaid_y(),
                              __nvvm_read_ptx_sreg_nctaid_z()};
  abi::Position result;
  for (int i = 0; i < 3; ++i) {
    result.thread_in_grid[i] = group[i] * size[i] + thread[i];
    result.threadgroup_in_grid[i] = group[i];
    result.thread_in_threadgroup[i] = thread[i];
    result.threads_per_grid[i] = groups[i] * size[i];
    result.threadgroups_per_grid[i] = groups[i];
    result.threads_per_threadgroup[i] = size[i];
    result.dispatch_threads_per_threadgroup[i] = size[i];
  }
  const uint32_t index = thread[0] + size[0] * (thread[1] + size[1] * thread[2]);
  const uint32_t simdgroups = (size[0] * size[1] * size[2] + abi::kSimdWidth - 1) / abi::kSimdWidth;
  result.thread_index_in_threadgroup = index;
  result.thread_index_in_simdgroup = lane();
  result.simdgroup_index_in_threadgroup = index / abi::kSimdWidth;
  result.simdgroups_per_threadgroup = simdgroups;
  result.dispatch_simdgroups_per_threadgroup = simdgroups;
  return result;
}

/// What the shim asks for through a pointer.
struct LaneOnly {
  uint32_t thread_index_in_simdgroup = lane();
  __attribute__((always_inline)) const LaneOnly* operator->() const { return this; }
};

} // namespace metalsim::cuda

#define metalsim_position() (::metalsim::cuda::LaneOnly())
