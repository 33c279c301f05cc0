// NSArray and NSMutableArray.
#include "string_internal.h"

#include <algorithm>
#include <objc/message.h>
#include <objc/runtime.h>
#include <stdexcept>
#include <vector>

using namespace metalsim::foundation;

namespace {

/// Throws std::invalid_argument that names the call if the object is nil.
id not_nil(id object, const char* call) {
  if (object == nil) {
    throw std::invalid_argument(std::string(call) + ": got nil; a collection holds objects only, [NSNull null] is not "
                                                    "supported, so leave the element out");
  }
  return object;
}

void check_index(NSUInteger index, NSUInteger count, const char* call) {
  if (index >= count) {
    throw std::out_of_range(std::string(call) + ": index " + std::to_string(index) +
                            " beyond bounds; it must be less than the count, " + std::to_string(count));
  }
}

} // namespace

@interface NSArray () {
@protected
  std::vector<id> m_objects;
  unsigned long m_mutations;
}
@end

@implementation NSArray

- (instancetype)init {
  return [super init];
}

- (instancetype)initWithObjects:(const id[])objects count:(NSUInteger)count {
  if ((self = [super init])) {
    for (NSUInteger index = 0; index < count; ++index) {
      m_objects.push_back([not_nil(objects[index], "-[NSArray initWithObjects:count:]") retain]);
    }
  }
  return self;
}

- (void)dealloc {
  for (id object : m_objects) {
    [object release];
  }
  [super dealloc];
}

- (NSUInteger)count {
  return m_objects.size();
}

- (id)objectAtIndex:(NSUInteger)index {
  check_index(index, m_objects.size(), "-[NSArray objectAtIndex:]");
  return m_objects[index];
}

- (id)copyWithZone:(NSZone*)zone {
  if (object_getClass(self) == [NSArray class]) {
    return [self retain];
  }
  return [[NSArray alloc] initWithObjects:m_objects.data() count:m_objects.size()];
}

- (id)mutableCopyWithZone:(NSZone*)zone {
  return [[NSMutableArray alloc] initWithObjects:m_objects.data() count:m_objects.size()];
}

- (NSUInteger)countByEnumeratingWithState:(NSFastEnumerationState*)state
                                  objects:(id __unsafe_unretained _Nullable[])buffer
                                    count:(NSUInteger)length {
  if (state->state != 0) {
    return 0;
  }
  state->state = 1;
  state->itemsPtr = m_objects.data();
  state->mutationsPtr = &m_mutations;
  return m_objects.size();
}

- (BOOL)isEqual:(id)object {
  return object == self || ([object isKindOfClass:[NSArray class]] && [self isEqualToArray:object]);
}

- (NSUInteger)hash {
  return m_objects.size();
}

- (NSString*)description {
  std::string text = "(";
  for (size_t index = 0; index < m_objects.size(); ++index) {
    text += (index == 0 ? "\n    " : ",\n    ") + std::string(text_of([m_objects[index] description]));
  }
  return string_with(text + "\n)");
}

@end

@implementation NSArray (NSExtendedArray)

- (NSArray*)arrayByAddingObject:(id)object {
  NSMutableArray* array = [NSMutableArray arrayWithArray:self];
  [array addObject:object];
  return [[array copy] autorelease];
}

- (NSArray*)arrayByAddingObjectsFromArray:(NSArray*)other {
  NSMutableArray* array = [NSMutableArray arrayWithArray:self];
  [array addObjectsFromArray:other];
  return [[array copy] autorelease];
}

- (NSString*)componentsJoinedByString:(NSString*)separator {
  std::string text;
  for (size_t index = 0; index < m_objects.size(); ++index) {
    text += std::string(index == 0 ? "" : text_of(separator)) + std::string(text_of([m_objects[index] description]));
  }
  return string_with(text);
}

- (BOOL)containsObject:(id)object {
  return [self indexOfObject:object] != (NSUInteger)NSNotFound;
}

- (id)firstObject {
  return m_objects.empty() ? nil : m_objects.front();
}

- (id)lastObject {
  return m_objects.empty() ? nil : m_objects.back();
}

- (NSUInteger)indexOfObject:(id)object {
  for (size_t index = 0; index < m_objects.size(); ++index) {
    if ([m_objects[index] isEqual:object]) {
      return index;
    }
  }
  return NSNotFound;
}

- (BOOL)isEqualToArray:(NSArray*)other {
  return other != nil && std::equal(m_objects.begin(), m_objects.end(), other->m_objects.begin(),
                                    other->m_objects.end(), [](id left, id right) { return [left isEqual:right]; });
}

- (NSArray*)subarrayWithRange:(NSRange)range {
  check_range(range, m_objects.size(), "-[NSArray subarrayWithRange:]");
  return [NSArray arrayWithObjects:m_objects.data() + range.location count:range.length];
}

- (NSArray*)sortedArrayUsingSelector:(SEL)comparator {
  return [self sortedArrayUsingComparator:^(id left, id right) {
    using Compare = NSComparisonResult (*)(id, SEL, id);
    return reinterpret_cast<Compare>(objc_msgSend)(left, comparator, right);
  }];
}

- (NSArray*)sortedArrayUsingComparator:(NSComparator NS_NOESCAPE)comparator {
  std::vector<id> sorted = m_objects;
  std::stable_sort(sorted.begin(), sorted.end(),
                   [comparator](id left, id right) { return comparator(left, right) == NSOrderedAscending; });
  return [NSArray arrayWithObjects:sorted.data() count:sorted.size()];
}

- (id)objectAtIndexedSubscript:(NSUInteger)index {
  return [self objectAtIndex:index];
}

- (void)enumerateObjectsUsingBlock:(void(NS_NOESCAPE ^)(id object, NSUInteger index, BOOL* stop))block {
  BOOL stop = NO;
  for (NSUInteger index = 0; index < m_objects.size() && !stop; ++index) {
    block(m_objects[index], index, &stop);
  }
}

@end

namespace {

/// The arguments of a variadic method up to nil.
std::vector<id> until_nil(id first, va_list& arguments) {
  std::vector<id> objects;
  for (id object = first; object != nil; object = va_arg(arguments, id)) {
    objects.push_back(object);
  }
  return objects;
}

} // namespace

@implementation NSArray (NSArrayCreation)

+ (instancetype)array {
  return [[[self alloc] init] autorelease];
}

+ (instancetype)arrayWithObject:(id)object {
  return [self arrayWithObjects:&object count:1];
}

+ (instancetype)arrayWithObjects:(const id[])objects count:(NSUInteger)count {
  return [[[self alloc] initWithObjects:objects count:count] autorelease];
}

+ (instancetype)arrayWithObjects:(id)first, ... {
  va_list arguments;
  va_start(arguments, first);
  const std::vector<id> objects = until_nil(first, arguments);
  va_end(arguments);
  return [self arrayWithObjects:objects.data() count:objects.size()];
}

+ (instancetype)arrayWithArray:(NSArray*)array {
  return [[[self alloc] initWithArray:array] autorelease];
}

- (instancetype)initWithObjects:(id)first, ... {
  va_list arguments;
  va_start(arguments, first);
  const std::vector<id> objects = until_nil(first, arguments);
  va_end(arguments);
  return [self initWithObjects:objects.data() count:objects.size()];
}

- (instancetype)initWithArray:(NSArray*)array {
  return array == nil ? [self init] : [self initWithObjects:array->m_objects.data() count:array->m_objects.size()];
}

@end

@implementation NSMutableArray

- (void)addObject:(id)object {
  m_objects.push_back([not_nil(object, "-[NSMutableArray addObject:]") retain]);
  ++m_mutations;
}

- (void)insertObject:(id)object atIndex:(NSUInteger)index {
  check_index(index, m_objects.size() + 1, "-[NSMutableArray insertObject:atIndex:]");
  m_objects.insert(m_objects.begin() + (ptrdiff_t)index,
                   [not_nil(object, "-[NSMutableArray insertObject:atIndex:]") retain]);
  ++m_mutations;
}

- (void)removeLastObject {
  [self removeObjectAtIndex:m_objects.size() - 1];
}

- (void)removeObjectAtIndex:(NSUInteger)index {
  check_index(index, m_objects.size(), "-[NSMutableArray removeObjectAtIndex:]");
  id object = m_objects[index];
  m_objects.erase(m_objects.begin() + (ptrdiff_t)index);
  ++m_mutations;
  [object release];
}

- (void)replaceObjectAtIndex:(NSUInteger)index withObject:(id)object {
  check_index(index, m_objects.size(), "-[NSMutableArray replaceObjectAtIndex:withObject:]");
  id old = m_objects[index];
  m_objects[index] = [not_nil(object, "-[NSMutableArray replaceObjectAtIndex:withObject:]") retain];
  ++m_mutations;
  [old release];
}

@end

@implementation NSMutableArray (NSExtendedMutableArray)

- (void)addObjectsFromArray:(NSArray*)other {
  for (id object in [[other copy] autorelease]) {
    [self addObject:object];
  }
}

- (void)removeAllObjects {
  std::vector<id> objects;
  objects.swap(m_objects);
  ++m_mutations;
  for (id object : objects) {
    [object release];
  }
}

- (void)removeObject:(id)object {
  for (NSUInteger index = m_objects.size(); index > 0; --index) {
    if ([m_objects[index - 1] isEqual:object]) {
      [self removeObjectAtIndex:index - 1];
    }
  }
}

- (void)setObject:(id)object atIndexedSubscript:(NSUInteger)index {
  if (index == m_objects.size()) {
    [self addObject:object];
  } else {
    [self replaceObjectAtIndex:index withObject:object];
  }
}

- (instancetype)initWithCapacity:(NSUInteger)capacity {
  if ((self = [self init])) {
    m_objects.reserve(capacity);
  }
  return self;
}

+ (instancetype)arrayWithCapacity:(NSUInteger)capacity {
  return [[[self alloc] initWithCapacity:capacity] autorelease];
}

@end

// What clang refers to for @[].
extern "C" __attribute__((visibility("default"))) id __NSArray0__;
id __NSArray0__ = nil;

__attribute__((constructor(102))) static void make_empty_array() {
  __NSArray0__ = [[NSArray alloc] init];
}
