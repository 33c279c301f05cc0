// Every rule of the API that the software Metal checks, broken once. A refused call changes nothing.
#import "metal_fixture.h"

#import <MetalPerformanceShaders/MetalPerformanceShaders.h>

namespace {

/// A command buffer with an open encoder, which is ended when the case is over.
class Encoding {
public:
  explicit Encoding(MTLDispatchType type = MTLDispatchTypeSerial)
      : commands([queue() commandBuffer]), encoder([commands computeCommandEncoderWithDispatchType:type]) {}
  explicit Encoding(NSString* kernel) : Encoding() { [encoder setComputePipelineState:pipeline(kernel)]; }
  ~Encoding() {
    [encoder endEncoding];
    [commands commit];
    [commands waitUntilCompleted];
    check_equal([commands status], MTLCommandBufferStatusCompleted);
  }
  Encoding(const Encoding&) = delete;
  Encoding& operator=(const Encoding&) = delete;

  const id<MTLCommandBuffer> commands;
  const id<MTLComputeCommandEncoder> encoder;
};

/// An object of the wrong kind, where the compiler cannot see it.
template <class Wanted> Wanted wrongly(id object) {
  return (Wanted)object;
}

// ---- arguments of the encoder

void indices() {
  const Encoding open(@"add_one");
  id<MTLBuffer> const x = buffer(64);
  check_refused("index 31; it must be less than 31", [&] { [open.encoder setBuffer:x offset:0 atIndex:31]; });
  check_refused("index 31", [&] { [open.encoder setBuffer:nil offset:0 atIndex:31]; });
  check_refused("index 40", [&] { [open.encoder setBytes:"a" length:1 atIndex:40]; });
  check_refused("index 31", [&] { [open.encoder setThreadgroupMemoryLength:16 atIndex:31]; });
  check_refused("index 99", [&] { [open.encoder setBufferOffset:0 atIndex:99]; });
}

void offsets() {
  const Encoding open(@"aligned");
  id<MTLBuffer> const x = buffer(64);
  check_refused("offset 64 at index 0, but the buffer has 64 bytes",
                [&] { [open.encoder setBuffer:x offset:64 atIndex:0]; });
  check_refused("index 3, where no buffer is bound", [&] { [open.encoder setBufferOffset:0 atIndex:3]; });
  [open.encoder setBuffer:x offset:8 atIndex:0];
  check_refused("offset 100 at index 0", [&] { [open.encoder setBufferOffset:100 atIndex:0]; });
  check_refused("offset 8 bound to 'vectors' at index 0; it must be a multiple of 16",
                [&] { dispatch(open.encoder, 1); });
}

void inline_bytes() {
  const Encoding open(@"add_one");
  const std::vector<char> many(4097);
  check_refused("got NULL at index 0", [&] { [open.encoder setBytes:wrongly<const void*>(nil) length:4 atIndex:0]; });
  check_refused("got 0 bytes", [&] { [open.encoder setBytes:many.data() length:0 atIndex:0]; });
  check_refused("got 4097 bytes at index 0; it takes 1 to 4096",
                [&] { [open.encoder setBytes:many.data() length:4097 atIndex:0]; });
  [open.encoder setBytes:many.data() length:4096 atIndex:0];
  check_refused("has bytes bound to 'x' at index 0, which the kernel may write to", [&] { dispatch(open.encoder, 1); });
}

void missing_arguments() {
  const Encoding open(@"scale");
  id<MTLBuffer> const x = buffer(64);
  [open.encoder setBuffer:x offset:0 atIndex:0];
  check_refused("of kernel 'scale' has nothing bound to 'x' at index 1", [&] { dispatch(open.encoder, 1); });
  [open.encoder setBuffer:x offset:0 atIndex:1];
  [open.encoder setBytes:"1234" length:4 atIndex:2];
  check_refused("has 4 bytes bound to 'parameters' at index 2, whose type has 8", [&] { dispatch(open.encoder, 1); });
  [open.encoder setBuffer:x offset:60 atIndex:2];
  check_refused("has 4 bytes bound to 'parameters' at index 2, whose type has 8", [&] { dispatch(open.encoder, 1); });
  [open.encoder setBuffer:x offset:56 atIndex:2];
  dispatch(open.encoder, 1);
  [open.encoder setBuffer:nil offset:0 atIndex:1];
  check_refused("nothing bound to 'x'", [&] { dispatch(open.encoder, 1); });
}

void arguments_that_do_not_matter() {
  const Encoding open(@"leaves_out");
  dispatch(open.encoder, 1); // one argument is disabled, the other not used
}

void threadgroup_memory() {
  const Encoding open(@"half_greedy");
  check_refused("got 20 bytes at index 0; the length must be a multiple of 16",
                [&] { [open.encoder setThreadgroupMemoryLength:20 atIndex:0]; });
  check_refused("got 32784 bytes at index 0; a threadgroup has at most 32768",
                [&] { [open.encoder setThreadgroupMemoryLength:32784 atIndex:0]; });
  check_refused("has no threadgroup memory for 'memory' at index 0", [&] { dispatch(open.encoder, 1); });
  [open.encoder setThreadgroupMemoryLength:16384 atIndex:0];
  check_refused("needs 36384 bytes of threadgroup memory, 20000 of them declared in the kernel",
                [&] { dispatch(open.encoder, 1); });
  [open.encoder setThreadgroupMemoryLength:12752 atIndex:0];
  dispatch(open.encoder, 1);
}

void wrong_kinds() {
  const Encoding open(@"add_one");
  id<MTLComputePipelineState> const add = pipeline(@"add_one");
  id<MTLBuffer> const x = buffer(64);
  check_refused("wrong kind of argument, an object of class SoftwareComputePipelineState; it must be an id<MTLBuffer>",
                [&] { [open.encoder setBuffer:wrongly<id<MTLBuffer>>(add) offset:0 atIndex:0]; });
  check_refused("an object of class MTLBuffer; it must be an id<MTLComputePipelineState>",
                [&] { [open.encoder setComputePipelineState:wrongly<id<MTLComputePipelineState>>(x)]; });
  check_refused("got nil; it must be an id<MTLComputePipelineState>",
                [&] { [open.encoder setComputePipelineState:wrongly<id<MTLComputePipelineState>>(nil)]; });
  check_refused("it must be an id<MTLFence>", [&] { [open.encoder updateFence:wrongly<id<MTLFence>>(x)]; });
  check_refused("it must be an id<MTLBuffer>",
                [&] { [open.encoder useResource:wrongly<id<MTLResource>>(add) usage:MTLResourceUsageRead]; });
}

// ---- dispatches

void sizes_of_the_grid() {
  const Encoding open(@"few_threads");
  id<MTLComputeCommandEncoder> const encoder = open.encoder;
  const auto threads = [&](NSUInteger x, NSUInteger y, NSUInteger groupX, NSUInteger groupY) {
    [encoder dispatchThreads:MTLSizeMake(x, y, 1) threadsPerThreadgroup:MTLSizeMake(groupX, groupY, 1)];
  };
  check_refused("got a grid of (0, 1, 1) threads", [&] { threads(0, 1, 1, 1); });
  check_refused("got threadsPerThreadgroup (1, 0, 1); every size must be at least 1", [&] { threads(1, 1, 1, 0); });
  check_refused("(13, 5, 1), 65 threads; the pipeline's maxTotalThreadsPerThreadgroup is 64",
                [&] { threads(1, 1, 13, 5); });
  check_refused("no size may be more than 4294967295", [&] { threads(NSUInteger{1} << 32, 1, 32, 1); });
  const auto threadgroups = [&](NSUInteger x, NSUInteger groupX) {
    [encoder dispatchThreadgroups:MTLSizeMake(1, x, 1) threadsPerThreadgroup:MTLSizeMake(1, groupX, 1)];
  };
  check_refused("got a grid of (1, 0, 1) threadgroups", [&] { threadgroups(0, 1); });
  check_refused("no size may be more than 4294967295", [&] { threadgroups(NSUInteger{1} << 30, 4); });
  check_refused("no size may be more than 4294967295", [&] { threadgroups(NSUInteger{1} << 62, 4); });
  check_refused("66 threads", [&] { threadgroups(1, 66); });
}

void no_pipeline() {
  const Encoding open;
  check_refused("has no pipeline to run; call setComputePipelineState: first", [&] { dispatch(open.encoder, 1); });
}

void promised_simdgroups() {
  MTLComputePipelineDescriptor* const descriptor = [[[MTLComputePipelineDescriptor alloc] init] autorelease];
  id<MTLLibrary> const library = [new_library(@"few_threads") autorelease];
  descriptor.computeFunction = [[library newFunctionWithName:@"few_threads"] autorelease];
  descriptor.threadGroupSizeIsMultipleOfThreadExecutionWidth = YES;
  id<MTLComputePipelineState> const promised = [[device() newComputePipelineStateWithDescriptor:descriptor
                                                                                        options:MTLPipelineOptionNone
                                                                                     reflection:nil
                                                                                          error:nil] autorelease];
  const Encoding open;
  [open.encoder setComputePipelineState:promised];
  check_refused("33 threads; the pipeline was promised multiples", [&] { dispatch(open.encoder, 1, 33); });
  dispatch(open.encoder, 1, 64);
}

void indirect_buffers() {
  const Encoding open(@"few_threads");
  id<MTLBuffer> const words = buffer(16);
  const auto indirect = [&](NSUInteger offset) {
    [open.encoder dispatchThreadgroupsWithIndirectBuffer:words
                                    indirectBufferOffset:offset
                                   threadsPerThreadgroup:MTLSizeMake(1, 1, 1)];
  };
  check_refused("indirectBufferOffset 8 into a buffer of 16 bytes", [&] { indirect(8); });
  check_refused("it must be a multiple of 4", [&] { indirect(2); });
  check_refused("got nil; it must be an id<MTLBuffer>", [&] {
    [open.encoder dispatchThreadgroupsWithIndirectBuffer:wrongly<id<MTLBuffer>>(nil)
                                    indirectBufferOffset:0
                                   threadsPerThreadgroup:MTLSizeMake(1, 1, 1)];
  });
}

// ---- lives of encoders and command buffers

void second_encoder() {
  const Encoding open;
  check_refused("on which an encoder is active", [&] { [open.commands computeCommandEncoder]; });
  check_refused("on which an encoder is active", [&] { [open.commands blitCommandEncoder]; });
  check_refused("on which an encoder is active", [&] { [open.commands commit]; });
  id<MTLSharedEvent> const event = [[device() newSharedEvent] autorelease];
  check_refused("on which an encoder is active", [&] { [open.commands encodeSignalEvent:event value:1]; });
}

void ended_encoder() {
  id<MTLCommandBuffer> const commands = [queue() commandBuffer];
  id<MTLComputeCommandEncoder> const encoder = [commands computeCommandEncoder];
  [encoder setComputePipelineState:pipeline(@"few_threads")];
  [encoder endEncoding];
  const char* const sentence = "was sent to an encoder after endEncoding";
  check_refused(sentence, [&] { [encoder endEncoding]; });
  check_refused(sentence, [&] { dispatch(encoder, 1); });
  check_refused(sentence, [&] { [encoder setBytes:"a" length:1 atIndex:0]; });
  check_refused(sentence, [&] { [encoder memoryBarrierWithScope:MTLBarrierScopeBuffers]; });
  id<MTLBlitCommandEncoder> const blit = [commands blitCommandEncoder];
  [blit endEncoding];
  check_refused(sentence, [&] { [blit fillBuffer:buffer(4) range:NSMakeRange(0, 4) value:0]; });
  [commands commit];
}

void committed_command_buffer() {
  id<MTLCommandBuffer> const commands = [queue() commandBuffer];
  check_refused("has not been committed, and would wait forever", [&] { [commands waitUntilCompleted]; });
  check_refused("has not been committed, and would wait forever", [&] { [commands waitUntilScheduled]; });
  check_refused("got nil; it must be a block",
                [&] { [commands addCompletedHandler:wrongly<MTLCommandBufferHandler>(nil)]; });
  [commands commit];
  check_refused("has been committed; commit it once", [&] { [commands commit]; });
  check_refused("add handlers before the commit", [&] {
    [commands addCompletedHandler:^(id<MTLCommandBuffer>){
    }];
  });
  check_refused("add handlers before the commit", [&] {
    [commands addScheduledHandler:^(id<MTLCommandBuffer>){
    }];
  });
  check_refused("take a new one from the queue", [&] { [commands computeCommandEncoder]; });
  check_refused("has been enqueued or committed", [&] { [commands enqueue]; });
}

void abandoned_encoder() {
  id<MTLCommandBuffer> const commands = [queue() commandBuffer];
  @autoreleasepool {
    [commands computeCommandEncoder];
  }
  check_refused("a command encoder was released without endEncoding", [&] { [commands commit]; });
}

void debug_groups() {
  const Encoding open;
  [open.encoder pushDebugGroup:@"attention"];
  [open.encoder popDebugGroup];
  check_refused("without a pushDebugGroup:", [&] { [open.encoder popDebugGroup]; });
}

// ---- blits

void blit_ranges() {
  id<MTLBuffer> const small = buffer(16);
  id<MTLBuffer> const large = buffer(64);
  id<MTLCommandBuffer> const commands = [queue() commandBuffer];
  id<MTLBlitCommandEncoder> const blit = [commands blitCommandEncoder];
  const auto copy = [&](id<MTLBuffer> from, NSUInteger offset, id<MTLBuffer> to, NSUInteger at, NSUInteger size) {
    [blit copyFromBuffer:from sourceOffset:offset toBuffer:to destinationOffset:at size:size];
  };
  check_refused("got 17 bytes from 0 on of the source, which has 16 bytes", [&] { copy(small, 0, large, 0, 17); });
  check_refused("got 16 bytes from 49 on of the destination", [&] { copy(small, 0, large, 49, 16); });
  check_refused("of the source", [&] { copy(small, NSUIntegerMax, large, 0, 2); });
  check_refused("of the source", [&] { copy(small, 2, large, 0, NSUIntegerMax); });
  check_refused("got nil; it must be an id<MTLBuffer>", [&] { copy(nil, 0, large, 0, 1); });
  check_refused("got 8 bytes from 12 on of the buffer",
                [&] { [blit fillBuffer:small range:NSMakeRange(12, 8) value:0]; });
  check_refused("storage mode is not managed", [&] { [blit synchronizeResource:small]; });
  finish(commands, blit);
}

// ---- things of the device's

void buffers_that_cannot_be() {
  const auto create = [](NSUInteger length, MTLResourceOptions options) {
    return [[device() newBufferWithLength:length options:options] autorelease];
  };
  check_refused("got length 0; a buffer has at least 1 byte", [&] { create(0, MTLResourceStorageModeShared); });
  check_refused("it must not be more than maxBufferLength",
                [&] { create([device() maxBufferLength] + 1, MTLResourceStorageModeShared); });
  check_refused("MTLResourceStorageModeMemoryless, which is for textures",
                [&] { create(4, MTLResourceStorageModeMemoryless); });
  check_refused("got NULL", [&] {
    [device() newBufferWithBytes:wrongly<const void*>(nil) length:4 options:MTLResourceStorageModeShared];
  });
  check_refused("MTLResourceStorageModePrivate, in which the host's bytes cannot be",
                [&] { [device() newBufferWithBytes:"abcd" length:4 options:MTLResourceStorageModePrivate]; });
  static char page[8192];
  check_refused("both must be multiples of the page size", [&] {
    char* const odd = page + (reinterpret_cast<uintptr_t>(page) % 4096 == 1 ? 2 : 1);
    [device() newBufferWithBytesNoCopy:odd length:4096 options:MTLResourceStorageModeShared deallocator:nil];
  });
  check_refused("storage mode is not managed", [&] { [buffer(4) didModifyRange:NSMakeRange(0, 4)]; });
}

void dead_buffers() {
  id<MTLBuffer> const released = [device() newBufferWithLength:64 options:MTLResourceStorageModeShared];
  [released release];
  check_refused("an MTLBuffer that has been released", [&] { [released length]; });
  const Encoding open(@"add_one");
  check_refused("an MTLBuffer that has been released", [&] { [open.encoder setBuffer:released offset:0 atIndex:0]; });
  id<MTLBuffer> const x = buffer(64);
  id<MTLBuffer> const inside = (id<MTLBuffer>)((char*)(void*)x + 16);
  check_refused("an address 16 bytes inside of an MTLBuffer", [&] { [inside length]; });
  check_refused("an address 16 bytes inside of an MTLBuffer",
                [&] { [open.encoder setBuffer:inside offset:0 atIndex:0]; });
}

void objects_for_pipelines() {
  check_refused("newComputePipelineStateWithFunction:error:] got nil; it must be an id<MTLFunction>",
                [&] { [device() newComputePipelineStateWithFunction:wrongly<id<MTLFunction>>(nil) error:nil]; });
  check_refused("an object of class MTLBuffer; it must be an id<MTLFunction>",
                [&] { [device() newComputePipelineStateWithFunction:wrongly<id<MTLFunction>>(buffer(4)) error:nil]; });
  check_refused("got nil; it must be an id<MTLFunction>", [&] {
    MTLComputePipelineDescriptor* const empty = [[[MTLComputePipelineDescriptor alloc] init] autorelease];
    [device() newComputePipelineStateWithDescriptor:empty options:MTLPipelineOptionNone reflection:nil error:nil];
  });
  check_refused("got nil; it must be an NSString",
                [&] { [device() newLibraryWithSource:wrongly<NSString*>(nil) options:nil error:nil]; });
}

void constants() {
  MTLFunctionConstantValues* const values = [[[MTLFunctionConstantValues alloc] init] autorelease];
  const float four[4] = {};
  check_refused("got MTLDataType 6; metalsim has function constants of scalar types only",
                [&] { [values setConstantValue:four type:MTLDataTypeFloat4 atIndex:0]; });
  check_refused("got NULL",
                [&] { [values setConstantValue:wrongly<const void*>(nil) type:MTLDataTypeFloat atIndex:0]; });
  check_refused("got index 65536", [&] { [values setConstantValue:four type:MTLDataTypeFloat atIndex:65536]; });
  check_refused("got no name", [&] { [values setConstantValue:four type:MTLDataTypeFloat withName:@""]; });
}

void kernels_command_buffer_of_mps() {
  check_refused("-[MPSCommandBuffer initWithCommandBuffer:] got nil",
                [&] { [MPSCommandBuffer commandBufferWithCommandBuffer:wrongly<id<MTLCommandBuffer>>(nil)]; });
}

} // namespace

int main() {
  run_case("indices", indices);
  run_case("offsets", offsets);
  run_case("inline_bytes", inline_bytes);
  run_case("missing_arguments", missing_arguments);
  run_case("arguments_that_do_not_matter", arguments_that_do_not_matter);
  run_case("threadgroup_memory", threadgroup_memory);
  run_case("wrong_kinds", wrong_kinds);
  run_case("sizes_of_the_grid", sizes_of_the_grid);
  run_case("no_pipeline", no_pipeline);
  run_case("promised_simdgroups", promised_simdgroups);
  run_case("indirect_buffers", indirect_buffers);
  run_case("second_encoder", second_encoder);
  run_case("ended_encoder", ended_encoder);
  run_case("committed_command_buffer", committed_command_buffer);
  run_case("abandoned_encoder", abandoned_encoder);
  run_case("debug_groups", debug_groups);
  run_case("blit_ranges", blit_ranges);
  run_case("buffers_that_cannot_be", buffers_that_cannot_be);
  run_case("dead_buffers", dead_buffers);
  run_case("objects_for_pipelines", objects_for_pipelines);
  run_case("constants", constants);
  run_case("kernels_command_buffer_of_mps", kernels_command_buffer_of_mps);
  return failures;
}
