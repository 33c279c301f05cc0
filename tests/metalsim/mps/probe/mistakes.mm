// Deliberate mistakes with Metal, by name: each is one that Metal's validation layer, or a crash, would show on a Mac.
#include "metal.h"

#include <ATen/mps/MPSStream.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/full.h>
#include <ATen/ops/full_like.h>
#include <functional>
#include <map>
#include <torch/library.h>

namespace probe {

namespace {

const MTLSize kOne = MTLSizeMake(1, 1, 1);

/// What a mistake is made with.
struct Setting {
  at::mps::MPSStream* stream;
  id<MTLComputeCommandEncoder> encoder; ///< the stream's
  at::Tensor x, y;
  Scale parameters;

  id<MTLDevice> device() const { return stream->device(); }
  id<MTLCommandBuffer> new_command_buffer() const { return [stream->commandQueue() commandBuffer]; }

  /// Everything that `scale` needs, on any encoder.
  void bind(id<MTLComputeCommandEncoder> target) const {
    [target setComputePipelineState:pipeline("scale")];
    [target setBuffer:buffer_of(x) offset:offset_of(x) atIndex:0];
    [target setBuffer:buffer_of(y) offset:0 atIndex:1];
    [target setBytes:&parameters length:sizeof(parameters) atIndex:2];
  }
  void dispatch(id<MTLComputeCommandEncoder> target) const {
    [target dispatchThreads:MTLSizeMake(parameters.count, 1, 1) threadsPerThreadgroup:MTLSizeMake(64, 1, 1)];
  }
  /// A fresh encoder of torch's stream, with nothing bound.
  id<MTLComputeCommandEncoder> bare_encoder() const {
    stream->endKernelCoalescing();
    return stream->commandEncoder();
  }
};

using Mistake = std::function<void(const Setting&)>;

void bind_row_sum(const Setting& s) {
  const int64_t strides[2] = {1, 1};
  const uint32_t columns = 1;
  [s.encoder setComputePipelineState:pipeline("row_sum")];
  [s.encoder setBytes:strides length:sizeof(strides) atIndex:2];
  [s.encoder setBytes:&columns length:sizeof(columns) atIndex:3];
}

void release(id object) {
#if !__has_feature(objc_arc)
  [object release];
#endif
}

std::map<std::string, Mistake> bindings() {
  return {
      {"nothing bound",
       [](const Setting& s) {
         [s.encoder setBuffer:nil offset:0 atIndex:1];
         s.dispatch(s.encoder);
       }},
      {"offset past the end", [](const Setting& s) { [s.encoder setBuffer:buffer_of(s.x) offset:1 << 20 atIndex:0]; }},
      {"offset of setBufferOffset past the end",
       [](const Setting& s) { [s.encoder setBufferOffset:1 << 20 atIndex:0]; }},
      {"setBufferOffset with no buffer", [](const Setting& s) { [s.encoder setBufferOffset:0 atIndex:2]; }},
      {"misaligned offset",
       [](const Setting& s) {
         [s.encoder setBuffer:buffer_of(s.x) offset:2 atIndex:0];
         s.dispatch(s.encoder);
       }},
      {"address of a view as a buffer",
       [](const Setting& s) {
         [s.encoder setBuffer:__builtin_bit_cast(id<MTLBuffer>, s.x.select(0, 1).data_ptr()) offset:0 atIndex:0];
       }},
      {"index 31", [](const Setting& s) { [s.encoder setBuffer:buffer_of(s.x) offset:0 atIndex:31]; }},
      {"a pipeline as a buffer",
       [](const Setting& s) { [s.encoder setBuffer:(id<MTLBuffer>)(id)pipeline("scale") offset:0 atIndex:0]; }},
      {"a buffer as a pipeline",
       [](const Setting& s) { [s.encoder setComputePipelineState:(id<MTLComputePipelineState>)(id)buffer_of(s.x)]; }},
      {"bytes for a buffer that is written",
       [](const Setting& s) {
         const float zeros[4] = {};
         [s.encoder setBytes:zeros length:sizeof(zeros) atIndex:1];
         s.dispatch(s.encoder);
       }},
      {"parameters smaller than the kernel's struct",
       [](const Setting& s) {
         [s.encoder setBytes:&s.parameters length:4 atIndex:2];
         s.dispatch(s.encoder);
       }},
      {"8 KiB of bytes",
       [](const Setting& s) {
         static const char large[8192] = {};
         [s.encoder setBytes:large length:sizeof(large) atIndex:2];
       }},
      {"no bytes", [](const Setting& s) { [s.encoder setBytes:&s.parameters length:0 atIndex:2]; }},
      {"bytes from NULL", [](const Setting& s) { [s.encoder setBytes:(const void*)nullptr length:8 atIndex:2]; }},
      {"a released buffer",
       [](const Setting& s) {
         id<MTLBuffer> buffer = [s.device() newBufferWithLength:64 options:MTLResourceStorageModeShared];
         void* handle = (__bridge void*)buffer;
         release(buffer);
         buffer = nil;
         [s.encoder setBuffer:(__bridge id<MTLBuffer>)handle offset:0 atIndex:0];
       }},
      {"another operation's bindings",
       [](const Setting& s) {
         s.dispatch(s.encoder);
         id<MTLComputeCommandEncoder> encoder = s.stream->commandEncoder();
         [encoder setComputePipelineState:pipeline("scale")];
         s.dispatch(encoder);
       }},
  };
}

std::map<std::string, Mistake> dispatches() {
  return {
      {"no pipeline", [](const Setting& s) { [s.bare_encoder() dispatchThreads:kOne threadsPerThreadgroup:kOne]; }},
      {"2048 threads in a threadgroup",
       [](const Setting& s) { [s.encoder dispatchThreads:kOne threadsPerThreadgroup:MTLSizeMake(2048, 1, 1)]; }},
      {"no threadgroups",
       [](const Setting& s) { [s.encoder dispatchThreadgroups:MTLSizeMake(0, 1, 1) threadsPerThreadgroup:kOne]; }},
      {"48 KiB of threadgroup memory",
       [](const Setting& s) {
         bind_row_sum(s);
         [s.encoder setThreadgroupMemoryLength:48 * 1024 atIndex:0];
         [s.encoder dispatchThreadgroups:kOne threadsPerThreadgroup:kOne];
       }},
      {"100 bytes of threadgroup memory",
       [](const Setting& s) { [s.encoder setThreadgroupMemoryLength:100 atIndex:0]; }},
      {"threadgroup memory without a length",
       [](const Setting& s) {
         id<MTLComputeCommandEncoder> encoder = s.bare_encoder();
         s.bind(encoder);
         bind_row_sum({s.stream, encoder, s.x, s.y, s.parameters});
         [encoder dispatchThreadgroups:kOne threadsPerThreadgroup:kOne];
       }},
      {"33 KiB in the kernel", [](const Setting&) { pipeline("too_much_threadgroup_memory"); }},
      {"a function that is not there", [](const Setting&) { pipeline("no_such_kernel"); }},
      {"a function without its constants",
       [](const Setting& s) {
         id<MTLFunction> function = [library() newFunctionWithName:@"scale"];
         NSError* error = nil;
         id<MTLComputePipelineState> state = [s.device() newComputePipelineStateWithFunction:function error:&error];
         release(function);
         TORCH_CHECK(state != nil, error.localizedDescription.UTF8String);
       }},
      {"source that does not compile",
       [](const Setting& s) {
         NSError* error = nil;
         id<MTLLibrary> broken = [s.device() newLibraryWithSource:@"kernel void f() {\n  undeclared();\n}\n"
                                                          options:nil
                                                            error:&error];
         TORCH_CHECK(broken != nil, error.localizedDescription.UTF8String);
       }},
  };
}

std::map<std::string, Mistake> encoders() {
  return {
      {"a second encoder", [](const Setting& s) { [[s.stream->commandBuffer() computeCommandEncoder] endEncoding]; }},
      {"encoding after the end",
       [](const Setting& s) {
         id<MTLComputeCommandEncoder> encoder = [s.new_command_buffer() computeCommandEncoder];
         [encoder endEncoding];
         [encoder setComputePipelineState:pipeline("scale")];
       }},
      {"ending twice",
       [](const Setting& s) {
         id<MTLComputeCommandEncoder> encoder = [s.new_command_buffer() computeCommandEncoder];
         [encoder endEncoding];
         [encoder endEncoding];
       }},
      {"committing with an open encoder",
       [](const Setting& s) {
         id<MTLCommandBuffer> command_buffer = s.new_command_buffer();
         id<MTLComputeCommandEncoder> encoder = [command_buffer computeCommandEncoder];
         try {
           [command_buffer commit];
         } catch (...) {
           [encoder endEncoding];
           throw;
         }
       }},
      {"committing twice",
       [](const Setting& s) {
         id<MTLCommandBuffer> command_buffer = s.new_command_buffer();
         [command_buffer commit];
         [command_buffer commit];
       }},
      {"waiting before the commit", [](const Setting& s) { [s.new_command_buffer() waitUntilCompleted]; }},
      {"a handler after the commit",
       [](const Setting& s) {
         id<MTLCommandBuffer> command_buffer = s.new_command_buffer();
         [command_buffer commit];
         [command_buffer addCompletedHandler:^(id<MTLCommandBuffer>){
         }];
       }},
      {"copying past the end",
       [](const Setting& s) {
         id<MTLCommandBuffer> command_buffer = s.new_command_buffer();
         id<MTLBlitCommandEncoder> encoder = [command_buffer blitCommandEncoder];
         try {
           [encoder copyFromBuffer:buffer_of(s.x)
                      sourceOffset:0
                          toBuffer:buffer_of(s.y)
                 destinationOffset:0
                              size:1 << 20];
         } catch (...) {
           [encoder endEncoding];
           throw;
         }
       }},
      {"an unknown method", [](const Setting& s) { [(id<MTLLibrary>)(id)s.encoder functionNames]; }},
      {"a buffer of no bytes",
       [](const Setting& s) { release([s.device() newBufferWithLength:0 options:MTLResourceStorageModeShared]); }},
  };
}

std::map<std::string, Mistake> queues() {
  return {
      {"the stream's queue inside of itself",
       [](const Setting& s) {
         at::mps::dispatch_sync_with_rethrow(s.stream->queue(), ^{
                                             });
       }},
      {"an operator inside of the stream's queue", [](const Setting& s) { s.x.add(1).cpu(); }},
  };
}

/// Mistakes that no call can notice: the result is wrong, or the execution fails.
std::map<std::string, Mistake> asynchronous() {
  return {
      {"parameters rewritten before they are read",
       [](const Setting& s) {
         id<MTLBuffer> shared = [s.device() newBufferWithLength:sizeof(Scale) options:MTLResourceStorageModeShared];
         for (const float factor : {2.0f, 100.0f}) {
           // The second dispatch is of no elements, but its parameters replace the first one's.
           const Scale parameters{factor == 2.0f ? s.parameters.count : 0, factor};
           memcpy(shared.contents, &parameters, sizeof(parameters));
           [s.encoder setBuffer:shared offset:0 atIndex:2];
           s.dispatch(s.encoder);
         }
         release(shared);
       }},
      {"a concurrent encoder without a barrier",
       [](const Setting& s) {
         s.stream->endKernelCoalescing();
         id<MTLComputeCommandEncoder> encoder =
             [s.stream->commandBuffer() computeCommandEncoderWithDispatchType:MTLDispatchTypeConcurrent];
         s.bind(encoder);
         s.dispatch(encoder);
         [encoder setBuffer:buffer_of(s.y) offset:0 atIndex:0];
         s.dispatch(encoder);
         [encoder endEncoding];
       }},
      {"a concurrent encoder with a barrier",
       [](const Setting& s) {
         s.stream->endKernelCoalescing();
         id<MTLComputeCommandEncoder> encoder =
             [s.stream->commandBuffer() computeCommandEncoderWithDispatchType:MTLDispatchTypeConcurrent];
         s.bind(encoder);
         s.dispatch(encoder);
         [encoder memoryBarrierWithScope:MTLBarrierScopeBuffers];
         [encoder setBuffer:buffer_of(s.y) offset:0 atIndex:0];
         s.dispatch(encoder);
         [encoder endEncoding];
       }},
      {"a temporary freed too early",
       [](const Setting& s) {
         id<MTLCommandBuffer> command_buffer = [s.stream->commandQueue() commandBufferWithUnretainedReferences];
         id<MTLComputeCommandEncoder> encoder = [command_buffer computeCommandEncoder];
         id<MTLBuffer> temporary = [s.device() newBufferWithLength:4096 options:MTLResourceStorageModeShared];
         s.bind(encoder);
         [encoder setBuffer:temporary offset:0 atIndex:1];
         s.dispatch(encoder);
         [encoder endEncoding];
         release(temporary);
         temporary = nil;
         [command_buffer commit];
         [command_buffer waitUntilCompleted];
         TORCH_CHECK(command_buffer.error == nil, command_buffer.error.localizedDescription.UTF8String);
       }},
      {"no mistake", [](const Setting& s) { s.dispatch(s.encoder); }},
  };
}

const std::map<std::string, Mistake>& mistakes() {
  static const auto* all = [] {
    auto* merged = new std::map<std::string, Mistake>;
    for (auto group : {bindings(), dispatches(), encoders(), queues(), asynchronous()}) {
      merged->merge(group);
    }
    return merged;
  }();
  return *all;
}

at::Tensor mistake(const at::Tensor& x, c10::string_view what) {
  const auto found = mistakes().find(std::string(what));
  TORCH_CHECK(found != mistakes().end(), "probe: no mistake is called ", what);
  at::Tensor y = at::full_like(x, -1); // not the last call's result, whose memory this may be
  at::mps::MPSStream* stream = at::mps::getCurrentMPSStream();
  at::mps::dispatch_sync_with_rethrow(stream->queue(), ^{
    @autoreleasepool {
      const Setting setting{stream, stream->commandEncoder(), x, y, {static_cast<uint32_t>(x.numel()), 2.0f}};
      setting.bind(setting.encoder);
      found->second(setting);
    }
  });
  return y;
}

std::vector<std::string> names(const at::Tensor&) {
  std::vector<std::string> result;
  for (const auto& [name, mistake] : mistakes()) {
    result.push_back(name);
  }
  return result;
}

/// Reads the result on the host before it has been computed.
at::Tensor read_too_early(const at::Tensor& x) {
  at::Tensor y = mistake(x, "no mistake");
  const float value = static_cast<const float*>(buffer_of(y).contents)[0];
  return at::full({1}, value);
}

/// A temporary whose buffer the allocator hands out again while a kernel that reads it has not run; the host writes to
/// it.
at::Tensor reuse_too_early(const at::Tensor& x) {
  at::Tensor y;
  {
    const at::Tensor temporary = mistake(x, "no mistake");
    y = mistake(temporary, "no mistake");
  }
  const at::Tensor reused = at::empty_like(x);
  memset(buffer_of(reused).contents, 0, reused.nbytes());
  return y;
}

/// Writes past the end of host memory of its own: what AddressSanitizer must see.
at::Tensor overrun(const at::Tensor& x) {
  std::vector<float> values(x.numel());
  volatile size_t past_the_end = values.size();
  values[past_the_end] = 1;
  return at::full({1}, values[0]);
}

/// Reads a tensor through the pointer that data_ptr() gives.
at::Tensor dereference(const at::Tensor& x) {
  return at::full({1}, x.data_ptr<float>()[0]);
}

} // namespace

TORCH_LIBRARY_IMPL(metalsim_probe, MPS, module) {
  module.impl("mistake", mistake);
  module.impl("mistakes", names);
  module.impl("read_too_early", read_too_early);
  module.impl("reuse_too_early", reuse_too_early);
  module.impl("dereference", dereference);
  module.impl("overrun", overrun);
}

} // namespace probe
