// at::mps::Profiler: counts and names operations for host code that profiles itself. Nothing is traced: signposts and
// GPU traces are for Apple's Instruments.
#pragma GCC visibility push(default)
#include <ATen/mps/MPSProfiler.h>
#pragma GCC visibility pop

#include "../metal/compiler.h"

#include <c10/util/string_view.h>

namespace at::mps {

namespace Profiler {

namespace {

constexpr const char* kNoTrace =
    "metalsim's device writes no GPU traces: MTL_CAPTURE_ENABLED and metal_capture need a Mac";

std::string shape_of(const TensorBase& tensor) {
  std::ostringstream text;
  text << tensor.sizes();
  return text.str();
}

} // namespace

const std::string BaseInfo::toString(double gpu_time, double) const {
  std::ostringstream text;
  text << "(id=" << profileId << ", gpu=" << gpu_time << " ms)";
  return text.str();
}

std::string BaseInfo::buildTensorString(const Tensor& tensor, bool includes_buffer_id) {
  if (!tensor.defined()) {
    return "<undefined>";
  }
  std::ostringstream text;
  text << tensor.device();
  if (includes_buffer_id && tensor.device().is_mps()) {
    text << "(buf#" << getIMPSAllocator()->getBufferId(tensor.storage().data()) << ')';
  }
  text << ':' << tensor.scalar_type() << shape_of(tensor);
  return text.str();
}

const std::string OperationInfo::toString(double gpu_time, double scheduling_time) const {
  return strKey + " " + BaseInfo::toString(gpu_time, scheduling_time);
}

const std::string CpuFbInfo::toString(double gpu_time, double scheduling_time) const {
  return opName + " " + BaseInfo::toString(gpu_time, scheduling_time);
}

const std::string CopyInfo::toString(double gpu_time, double scheduling_time) const {
  return srcStrKey + " -> " + dstStrKey + " " + BaseInfo::toString(gpu_time, scheduling_time);
}

std::string CopyInfo::buildTensorString(const void* buffer, const OptionalTensorRef tensor, bool includes_buffer_id) {
  if (tensor.has_value()) {
    return BaseInfo::buildTensorString(*tensor, includes_buffer_id);
  }
  return "buf#" + std::to_string(getIMPSAllocator()->getBufferId(buffer));
}

MPSProfiler::MPSProfiler() = default;

MPSProfiler::~MPSProfiler() = default;

uint64_t MPSProfiler::beginProfileKernel(const void*, const std::string&, bool is_graph) {
  return is_graph ? ++m_graph_counter : ++m_kernel_counter;
}

uint64_t MPSProfiler::beginProfileKernel(const void*, const std::string&, const TensorList&) {
  return ++m_kernel_counter;
}

uint64_t MPSProfiler::beginProfileCopy(const void*, const void*, const OptionalTensorRef, const OptionalTensorRef,
                                       size_t, bool, bool) {
  return ++m_copy_counter;
}

uint64_t MPSProfiler::beginProfileCPUFallback(const std::string&, const TensorList&) {
  return ++m_cpu_fb_counter;
}

void MPSProfiler::beginProfileGPUInterval(const void*) {}

void MPSProfiler::endProfileCopy(uint64_t, SyncType) {}

void MPSProfiler::endProfileKernel(const void*, SyncType) {}

void MPSProfiler::endProfileCPUFallback(const std::string&) {}

void MPSProfiler::StartTrace(const std::string& mode, bool waits_until_completed) {
  TORCH_CHECK(m_profile_options == OPTIONS_NONE, "Tracing Signposts is already enabled");
  TORCH_CHECK(mode == "interval" || mode == "event" || mode == "interval,event" || mode == "event,interval",
              "Invalid Signpost trace mode: ", mode, "; it must be \"interval\", \"event\" or \"interval,event\"");
  m_signpost_types = RUN_OPERATION | BLIT_COPY | CPU_FALLBACK;
  m_profile_options = waits_until_completed ? WAIT_UNTIL_COMPLETED : 0;
  m_profile_options |= mode.find("interval") != std::string::npos ? ALL_SIGNPOST_INTERVALS : 0;
  m_profile_options |= mode.find("event") != std::string::npos ? ALL_SIGNPOST_EVENTS : 0;
}

void MPSProfiler::StopTrace() {
  m_profile_options = OPTIONS_NONE;
  m_signpost_types = SIGNPOST_NONE;
}

bool MPSProfiler::isCaptureEnabled() const {
  return false;
}

bool MPSProfiler::isCapturing() const {
  return false;
}

void MPSProfiler::startCapture(const std::string&, MPSStream*) {
  TORCH_CHECK_NOT_IMPLEMENTED(false, kNoTrace);
}

void MPSProfiler::stopCapture(MPSStream*) {
  TORCH_CHECK_NOT_IMPLEMENTED(false, kNoTrace);
}

} // namespace Profiler

METALSIM_PUBLIC Profiler::MPSProfiler& getMPSProfiler() {
  static auto* const profiler = new Profiler::MPSProfiler;
  return *profiler;
}

} // namespace at::mps
