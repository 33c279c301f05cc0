#include "kernel_errors.h"

#include <c10/metal/error.h>
#include <c10/util/Exception.h>

#include <cstring>

namespace metalsim::mps {

id<MTLBuffer> new_error_buffer(id<MTLDevice> device) {
  constexpr size_t size = sizeof(c10::metal::ErrorMessages);
  id<MTLBuffer> buffer = [device newBufferWithLength:size options:MTLResourceStorageModeShared];
  std::memset([buffer contents], 0, size);
  return buffer;
}

void raise_kernel_error(void* error_messages) {
  auto* const errors = static_cast<c10::metal::ErrorMessages*>(error_messages);
  if (errors->count == 0) {
    return;
  }
  errors->count = 0;
  const c10::metal::ErrorMessage& first = errors->msg[0];
  // Copied: SourceLocation keeps pointers, which must outlive the exception.
  static thread_local c10::metal::ErrorMessage raised;
  raised = first;
  throw c10::AcceleratorError({raised.func, raised.file, raised.line}, 1, raised.message);
}

} // namespace metalsim::mps
