// at::mps::MPSStream: torch's one command queue, with the command buffer and encoder that operators share.
#include <ATen/mps/MPSStream.h>

#include "../metal/device_memory.h"
#include "in_flight.h"
#include "interpreter.h"
#include "kernel_errors.h"
#include "stream_control.h"

namespace at::mps {

MPSStream::MPSStream(Stream stream) : _stream(stream) {
  TORCH_CHECK(stream.device_type() == DeviceType::MPS, "MPSStream: the stream is one of ", stream.device_type(),
              "; it must be one of mps");
  _commandQueue = [MPSDevice::getInstance()->device() newCommandQueue];
  _serialQueue = dispatch_queue_create("metal gpu stream", DISPATCH_QUEUE_SERIAL);
}

MPSStream::~MPSStream() {
  [_errorBuffer release];
  [_commandQueue release];
  dispatch_release(_serialQueue);
}

id<MTLDevice> MPSStream::device() const {
  return [_commandQueue device];
}

MPSCommandBuffer* MPSStream::commandBuffer() {
  if (_commandBuffer == nil) {
    _commandBuffer = [[MPSCommandBuffer commandBufferFromCommandQueue:_commandQueue] retain];
  }
  return _commandBuffer;
}

id<MTLComputeCommandEncoder> MPSStream::commandEncoder() {
  if (_commandEncoder == nil) {
    _commandEncoder = [[commandBuffer() computeCommandEncoder] retain];
  }
  metalsim_begin_operation(_commandEncoder);
  return _commandEncoder;
}

void MPSStream::endKernelCoalescing() {
  if (_commandEncoder != nil) {
    id<MTLComputeCommandEncoder> encoder = _commandEncoder;
    _commandEncoder = nil;
    [encoder endEncoding];
    [encoder release];
  }
}

void MPSStream::synchronize(SyncType type) {
  endKernelCoalescing();
  switch (type) {
  case SyncType::NONE:
    break;
  case SyncType::COMMIT:
  case SyncType::COMMIT_ADAPTIVE:
    commit();
    break;
  case SyncType::COMMIT_AND_WAIT:
    commitAndWait();
    break;
  case SyncType::COMMIT_AND_CONTINUE:
    commitAndContinue();
    break;
  }
}

void MPSStream::commit() {
  if (_enableCommitAndContinue) {
    commitAndContinue();
  } else {
    flush();
  }
}

void MPSStream::commitAndContinue() {
  metalsim::mps::in_flight().add([commandBuffer() rootCommandBuffer]);
  [_commandBuffer commitAndContinue];
}

void MPSStream::flush() {
  if (_commandBuffer == nil) {
    return;
  }
  MPSCommandBuffer* buffer = _commandBuffer;
  _commandBuffer = nil;
  metalsim::mps::in_flight().add([buffer rootCommandBuffer]);
  [buffer commit];
  [buffer release];
}

void MPSStream::commitAndWait() {
  flush();
  metalsim::mps::in_flight().wait();
  checkLastError();
}

void MPSStream::copy(id<MTLBuffer> source, id<MTLBuffer> destination, size_t length, size_t source_offset,
                     size_t destination_offset, uint64_t, SyncType sync_type) {
  if (length == 0) {
    return;
  }
  dispatch_sync_with_rethrow(_serialQueue, ^{
    @autoreleasepool {
      endKernelCoalescing();
      id<MTLBlitCommandEncoder> encoder = [commandBuffer() blitCommandEncoder];
      [encoder copyFromBuffer:source
                 sourceOffset:source_offset
                     toBuffer:destination
            destinationOffset:destination_offset
                         size:length];
      [encoder endEncoding];
      synchronize(sync_type);
    }
  });
}

void MPSStream::copy_and_sync(id<MTLBuffer> source, id<MTLBuffer> destination, size_t length, size_t source_offset,
                              size_t destination_offset, bool non_blocking, uint64_t profile_id) {
  const SyncType sync_type = non_blocking ? SyncType::COMMIT : SyncType::COMMIT_AND_WAIT;
  copy(source, destination, length, source_offset, destination_offset, profile_id, sync_type);
}

void MPSStream::addCompletedHandler(MTLCommandBufferHandler block) {
  dispatch_sync_with_rethrow(_serialQueue, ^{
    @autoreleasepool {
      [commandBuffer() addCompletedHandler:block];
    }
  });
}

void MPSStream::executeMPSGraph(MPSGraph*, NSDictionary*, NSDictionary*, SyncType) {
  TORCH_CHECK_NOT_IMPLEMENTED(false, "MPSStream::executeMPSGraph: metalsim emulates Metal's kernels but not MPSGraph; "
                                     "encode a compute kernel instead");
}

id<MTLBuffer> MPSStream::getErrorBuffer() {
  if (_errorBuffer == nil) {
    _errorBuffer = metalsim::mps::new_error_buffer(device());
  }
  return _errorBuffer;
}

void MPSStream::checkLastError() {
  if (_errorBuffer != nil) {
    metalsim::mps::raise_kernel_error([_errorBuffer contents]);
  }
}

MPSStream* MPSStreamImpl::_stream = nullptr;

MPSStreamImpl::MPSStreamImpl() = default;

MPSStream* MPSStreamImpl::getInstance() {
  static MPSStream* const stream = new MPSStream(Stream(Stream::UNSAFE, Device(DeviceType::MPS, 0), 0));
  _stream = stream;
  return stream;
}

MPSStream* getDefaultMPSStream() {
  return MPSStreamImpl::getInstance();
}

MPSStream* getCurrentMPSStream() {
  return getDefaultMPSStream();
}

METALSIM_PUBLIC void dispatch_sync_with_rethrow(dispatch_queue_t queue, void (^block)()) {
  // The thread whose block is on the queue now may need Python's lock to finish it.
  metalsim::mps::ReleasedInterpreter released;
  metalsim::mps::ReleasedInterpreter* const lock = &released;
  __block std::exception_ptr raised;
  dispatch_sync(queue, ^{
    lock->restore();
    try {
      block();
    } catch (...) {
      raised = std::current_exception();
    }
    lock->release();
  });
  lock->restore();
  if (raised) {
    std::rethrow_exception(raised);
  }
}

} // namespace at::mps

namespace metalsim::mps {

namespace {

void synchronize_as(at::mps::SyncType type) {
  ReleasedInterpreter released;
  at::mps::MPSStream* const stream = at::mps::getDefaultMPSStream();
  at::mps::dispatch_sync_with_rethrow(stream->queue(), ^{
    @autoreleasepool {
      stream->synchronize(type);
    }
  });
}

} // namespace

void synchronize() {
  synchronize_as(at::mps::SyncType::COMMIT_AND_WAIT);
}

void commit() {
  synchronize_as(at::mps::SyncType::COMMIT);
}

} // namespace metalsim::mps
