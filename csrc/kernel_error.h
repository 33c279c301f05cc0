// The error of a call whose kernel Metal refuses. In Python it is torch_fused_attn.KernelError.
#pragma once

#include <c10/util/Exception.h>

#include <string>
#include <utility>

namespace fused_attn {

/// Nothing was computed or written. The kernel will not be compiled again in this process, so that to catch this error
/// and to go another way costs no time to speak of.
///
/// Visible, since it is raised in another library than it is caught in where the MPS backend is a library of its own.
class __attribute__((visibility("default"))) KernelError : public c10::Error {
public:
  /// `message` is one sentence, `kernel` names the kernel and its library, `reason` is the line of `details`, which is
  /// all that Metal said, that says what is wrong.
  KernelError(std::string message, std::string kernel, std::string reason, std::string details)
      : c10::Error(std::move(message)), kernel_(std::move(kernel)), reason_(std::move(reason)),
        details_(std::move(details)) {}

  const std::string& kernel() const { return kernel_; }
  const std::string& reason() const { return reason_; }
  const std::string& details() const { return details_; }

private:
  std::string kernel_, reason_, details_;
};

} // namespace fused_attn
