// What becomes of host code that breaks a rule of Metal's, and of work that fails while it runs.
#pragma once

#include <stdexcept>
#include <string>

namespace metalsim::metal {

/// Ends a call of host code: throws std::runtime_error, or aborts, as METALSIM_VALIDATION says. `sentence` names the
/// call, what it got, what it must be, and the way out.
[[noreturn]] void refuse(const std::string& sentence);

/// Throws std::runtime_error for a part of Metal that metalsim does not have.
[[noreturn]] void unsupported(const std::string& sentence);

/// Prints the sentence and ends the process: for mistakes that are found where nothing can be thrown.
[[noreturn]] void refuse_fatally(const std::string& sentence) noexcept;

/// A failure of the GPU's, not of a call: becomes the error of the command buffer that ran.
class ExecutionFailed : public std::runtime_error {
public:
  /// Values of MTLCommandBufferError.
  enum class Code : long { internal = 1, timeout = 2, page_fault = 3, invalid_resource = 9 };

  ExecutionFailed(Code code, const std::string& text) : std::runtime_error(text), code_(code) {}
  Code code() const { return code_; }

private:
  Code code_;
};

/// Short for std::to_string, which messages are full of.
std::string text(unsigned long long number);
/// "(8, 1, 1)".
std::string text(const unsigned long size[3]);

} // namespace metalsim::metal
