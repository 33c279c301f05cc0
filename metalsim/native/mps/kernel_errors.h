// Errors that a kernel reports by itself, through torch's error buffer (c10/metal/error.h).
#pragma once

#include <Metal/Metal.h>

namespace metalsim::mps {

/// A zeroed buffer that holds a c10::metal::ErrorMessages. The caller releases it.
id<MTLBuffer> new_error_buffer(id<MTLDevice> device);

/// Raises the first message in the contents of an error buffer as torch.AcceleratorError, and clears the buffer.
void raise_kernel_error(void* error_messages);

} // namespace metalsim::mps
