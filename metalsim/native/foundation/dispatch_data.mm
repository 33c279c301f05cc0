// dispatch_data_t: bytes that are copied, or owned by a destructor.
#import <Foundation/Foundation.h>

#include "queue.h"

using namespace metalsim::foundation;

@interface MetalsimDispatchData : NSObject <OS_dispatch_data> {
@public
  const void* m_bytes;
  size_t m_size;
  std::string m_copy; ///< of the default destructor
  std::function<void()> m_destroy;
}
@end

@implementation MetalsimDispatchData

- (void)dealloc {
  if (m_destroy) {
    m_destroy();
  }
  [super dealloc];
}

@end

/// A marker: compared, not called.
const dispatch_block_t _dispatch_data_destructor_free = ^{
};

dispatch_data_t dispatch_data_create(const void* buffer, size_t size, dispatch_queue_t queue,
                                     dispatch_block_t destructor) {
  MetalsimDispatchData* data = [[MetalsimDispatchData alloc] init];
  data->m_bytes = buffer;
  data->m_size = size;
  if (destructor == DISPATCH_DATA_DESTRUCTOR_DEFAULT) {
    data->m_copy.assign(static_cast<const char*>(buffer), size);
    data->m_bytes = data->m_copy.data();
  } else if (destructor == DISPATCH_DATA_DESTRUCTOR_FREE) {
    data->m_destroy = [buffer] { free(const_cast<void*>(buffer)); };
  } else {
    data->m_destroy = owned(destructor);
  }
  return data;
}

size_t dispatch_data_get_size(dispatch_data_t data) {
  return ((MetalsimDispatchData*)data)->m_size;
}

bool dispatch_data_apply(dispatch_data_t data, DISPATCH_NOESCAPE dispatch_data_applier_t applier) {
  const auto* bytes = (MetalsimDispatchData*)data;
  return applier(data, 0, bytes->m_bytes, bytes->m_size);
}

dispatch_data_t dispatch_data_create_map(dispatch_data_t data, const void** buffer, size_t* size) {
  const auto* bytes = (MetalsimDispatchData*)data;
  if (buffer != nullptr) {
    *buffer = bytes->m_bytes;
  }
  if (size != nullptr) {
    *size = bytes->m_size;
  }
  return [data retain];
}
