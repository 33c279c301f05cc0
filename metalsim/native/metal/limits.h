// Limits of the software Metal's device, all in one place. Those of a kernel's arguments are in abi.h.
#pragma once

#include <cstdint>

namespace metalsim::metal {

inline constexpr uint64_t kMaxInlineBytes = 4096; ///< of setBytes:length:atIndex:
inline constexpr uint64_t kThreadgroupMemoryMultiple = 16;
inline constexpr uint64_t kPageAlignment = 4096; ///< of newBufferWithBytesNoCopy's pointer; a Mac's pages have 16384

/// Of a Mac with 48 GB, whatever this machine has: memory that nobody touches costs nothing here.
inline constexpr uint64_t kMaxBufferLength = uint64_t{32} << 30;
inline constexpr uint64_t kRecommendedWorkingSet = uint64_t{36} << 30;

/// New buffers are filled with 0xFF, which is a NaN in every floating-point type, so that reads of what nobody wrote
/// show. Longer ones stay as the operating system gives them (zeros, and no memory used until touched), so that tests
/// with giant sparse buffers cost nothing.
inline constexpr uint64_t kMaxFilledLength = uint64_t{64} << 20;

} // namespace metalsim::metal
