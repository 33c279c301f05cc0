// MTLComputePipelineState and its descriptor.
#pragma once

#import "objects.h"

#include "pipeline_state.h"

@interface SoftwareComputePipelineState : SoftwareObject <MTLComputePipelineState>
- (const std::shared_ptr<metalsim::metal::PipelineState>&)state;
@end

namespace metalsim::metal {

/// Each returns nil and sets the error if the function makes no pipeline.
id<MTLComputePipelineState> _Nullable new_pipeline(id<MTLFunction> _Nullable function,
                                                   NSError* _Nullable* _Nullable error);
id<MTLComputePipelineState> _Nullable new_pipeline(MTLComputePipelineDescriptor* _Nullable descriptor,
                                                   NSError* _Nullable* _Nullable error);

} // namespace metalsim::metal
