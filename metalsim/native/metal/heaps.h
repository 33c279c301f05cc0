// MTLHeap. It only keeps the books: every buffer has guarded memory of its own, and nothing is ever aliased.
#pragma once

#import "objects.h"

@interface SoftwareHeap : SoftwareObject <MTLHeap>
- (nonnull instancetype)initWithDescriptor:(nonnull MTLHeapDescriptor*)descriptor;
/// A buffer of the heap's tells that it is gone.
- (void)giveBack:(NSUInteger)length;
@end

namespace metalsim::metal {

/// What a buffer takes of a heap.
MTLSizeAndAlign heap_size_and_align(NSUInteger length);

} // namespace metalsim::metal
