#include "launch.h"

#import "operands.h"
#import "pipelines.h"

#include <ATen/mps/MPSDevice.h>
#include <ATen/mps/MPSStream.h>
#include <c10/util/Exception.h>

#include <cstdlib>
#include <exception>
#include <map>
#include <mutex>
#include <string>

namespace fused_attn::mps {
namespace {

/// Runs a block on a serial queue and waits for it. An exception may not leave a block that GCD runs, so that it is
/// carried out by hand. (torch has the same function, which moved from one namespace to another in torch 2.10.)
void run_on_queue(dispatch_queue_t queue, void (^block)()) {
  __block std::exception_ptr raised;
  dispatch_sync(queue, ^{
    try {
      block();
    } catch (...) {
      raised = std::current_exception();
    }
  });
  if (raised) {
    std::rethrow_exception(raised);
  }
}

MTLSize metal_size(const std::array<int64_t, 3>& size) {
  return MTLSizeMake(static_cast<NSUInteger>(size[0]), static_cast<NSUInteger>(size[1]),
                     static_cast<NSUInteger>(size[2]));
}

void encode_part(id<MTLComputeCommandEncoder> encoder, id<MTLComputePipelineState> pipeline, const Dispatch& dispatch,
                 const Part& part) {
  [encoder setComputePipelineState:pipeline];
  for (const auto& [index, tensor] : dispatch.tensors()) {
    [encoder setBuffer:buffer_of(tensor) offset:byte_offset(tensor) atIndex:index];
  }
  if (!dispatch.params().empty()) {
    [encoder setBytes:dispatch.params().data() length:dispatch.params().size() atIndex:dispatch.params_index()];
  }
  [encoder dispatchThreadgroups:metal_size(part.threadgroups)
          threadsPerThreadgroup:metal_size({dispatch.launch().threads, 1, 1})];
}

/// Modelled seconds of what was encoded on a stream since it was last committed here. Torch has few streams, and they
/// live as long as the process; each entry is used on its stream's queue alone.
double& seconds_since_commit(at::mps::MPSStream* stream) {
  static std::mutex mutex;
  static std::map<at::mps::MPSStream*, double> seconds;
  const std::lock_guard<std::mutex> lock(mutex);
  return seconds[stream];
}

/// Encodes the parts of a launch. To be called on the stream's queue.
void encode_launch(at::mps::MPSStream* stream, id<MTLComputePipelineState> pipeline, Dispatch& dispatch,
                   double max_seconds) {
  double& waiting = seconds_since_commit(stream);
  Parts parts = dispatch.launch().parts();
  while (const std::optional<Part> part = parts.next()) {
    @autoreleasepool {
      if (waiting > 0 && waiting + part->seconds > max_seconds) {
        // Ends the encoder and commits without waiting; the next commandEncoder() is of a new command buffer: so
        // torch's MPSStream.mm, of which three versions were read. The function is in torch 2.9, 2.13 and 2.15.
        stream->synchronize(at::mps::SyncType::COMMIT);
        waiting = 0;
      }
      waiting += part->seconds;
      dispatch.begin_at(part->first);
      encode_part(stream->commandEncoder(), pipeline, dispatch, *part);
    }
  }
}

int64_t family_of(id<MTLDevice> device) {
  constexpr int64_t kOldest = 7; // M1
  constexpr int64_t kNewest = 10;
  for (int64_t family = kNewest; family > kOldest; --family) {
    // MTLGPUFamilyApple<n> is 1000 + n; not every SDK has a name for the newest.
    if ([device supportsFamily:static_cast<MTLGPUFamily>(1000 + family)]) {
      return family;
    }
  }
  return kOldest;
}

} // namespace

Gpu current_gpu() {
  // Counting cores asks the system's registry of devices, which takes longer than encoding a kernel. The name tells
  // whether the answer still holds: on a Mac always, in a simulator not.
  static std::mutex mutex;
  static std::string known_name;
  static Gpu known{};
  @autoreleasepool {
    at::mps::MPSDevice* const device = at::mps::MPSDevice::getInstance();
    const std::string name = device->device().name.UTF8String;
    const std::lock_guard<std::mutex> lock(mutex);
    if (name != known_name) {
      known = {family_of(device->device()), static_cast<int64_t>(device->getCoreCount())};
      known_name = name;
    }
    return known;
  }
}

double max_dispatch_seconds() {
  const char* const value = std::getenv("FUSED_ATTN_MAX_DISPATCH_SECONDS");
  if (value == nullptr || *value == '\0') {
    return kMaxDispatchSeconds;
  }
  char* end = nullptr;
  const double seconds = std::strtod(value, &end);
  TORCH_CHECK(*end == '\0' && seconds > 0,
              "fused_attn: FUSED_ATTN_MAX_DISPATCH_SECONDS must be a number of seconds above 0, "
              "but is '",
              value, "'; unset it for ", kMaxDispatchSeconds, " seconds");
  return seconds;
}

void encode(std::vector<Dispatch> dispatches) {
  // Since torch 2.14 a thread has its own current stream, and the queue's thread is another one.
  at::mps::MPSStream* const stream = at::mps::getCurrentMPSStream();
  const double max_seconds = max_dispatch_seconds();
  @autoreleasepool {
    std::vector<id<MTLComputePipelineState>> pipelines;
    for (const Dispatch& dispatch : dispatches) {
      pipelines.push_back(pipeline_of(stream->device(), dispatch.launch().kernel, dispatch.launch().threads));
    }
    const auto* const encoded_pipelines = &pipelines;
    auto* const encoded = &dispatches;
    run_on_queue(stream->queue(), ^{
      for (size_t i = 0; i < encoded->size(); ++i) {
        encode_launch(stream, (*encoded_pipelines)[i], (*encoded)[i], max_seconds);
      }
    });
  }
}

} // namespace fused_attn::mps
