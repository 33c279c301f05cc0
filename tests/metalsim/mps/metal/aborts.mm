// What ends the process: METALSIM_VALIDATION=abort, and mistakes found where nothing can be thrown. The argument names
// the mistake.
#import "metal_fixture.h"

namespace {

void refused_call() {
  id<MTLCommandBuffer> const commands = [queue() commandBuffer];
  [commands waitUntilCompleted];
}

void released_temporary() {
  id<MTLCommandBuffer> const commands = [queue() commandBufferWithUnretainedReferences];
  @autoreleasepool {
    id<MTLBlitCommandEncoder> const blit = [commands blitCommandEncoder];
    [blit fillBuffer:buffer(4) range:NSMakeRange(0, 4) value:0];
    [blit endEncoding];
  }
  [commands commit];
  [commands waitUntilCompleted];
}

void abandoned_encoder() {
  @autoreleasepool {
    [[queue() commandBuffer] computeCommandEncoder];
  }
}

void throwing_handler() {
  id<MTLCommandBuffer> const commands = [queue() commandBuffer];
  [commands addCompletedHandler:^(id<MTLCommandBuffer>) {
    throw std::runtime_error("thrown by a handler");
  }];
  [commands commit];
  [commands waitUntilCompleted];
}

} // namespace

int main(int count, char** arguments) {
  const std::string mistake = count > 1 ? arguments[1] : "";
  @autoreleasepool {
    if (mistake == "refused_call") {
      refused_call();
    } else if (mistake == "released_temporary") {
      released_temporary();
    } else if (mistake == "abandoned_encoder") {
      abandoned_encoder();
    } else if (mistake == "throwing_handler") {
      throwing_handler();
    }
  }
  return 0;
}
