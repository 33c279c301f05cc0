// NSDictionary and NSMutableDictionary.
#include "text.h"

#include <objc/runtime.h>
#include <stdexcept>
#include <unordered_map>
#include <vector>

using namespace metalsim::foundation;

namespace {

struct HashOfObject {
  size_t operator()(id object) const { return [object hash]; }
};

struct EqualObjects {
  bool operator()(id left, id right) const { return [left isEqual:right]; }
};

using Map = std::unordered_map<id, id, HashOfObject, EqualObjects>;

void check_not_nil(id key, id object, const char* call) {
  if (key == nil || object == nil) {
    throw std::invalid_argument(std::string(call) + ": got nil as " + (key == nil ? "a key" : "an object") +
                                "; it must be an object, leave the entry out instead");
  }
}

/// The keys are copied and the objects retained. Of equal keys the first one counts.
void add(Map& map, id key, id object) {
  if (map.find(key) == map.end()) {
    map.emplace([key copy], [object retain]);
  }
}

} // namespace

@interface NSDictionary () {
@protected
  Map m_entries;
  unsigned long m_mutations;
}
@end

@implementation NSDictionary

- (instancetype)init {
  return [super init];
}

- (instancetype)initWithObjects:(const id[])objects forKeys:(const id<NSCopying>[])keys count:(NSUInteger)count {
  if ((self = [super init])) {
    for (NSUInteger index = 0; index < count; ++index) {
      check_not_nil(keys[index], objects[index], "-[NSDictionary initWithObjects:forKeys:count:]");
      add(m_entries, keys[index], objects[index]);
    }
  }
  return self;
}

- (void)dealloc {
  for (const auto& [key, object] : m_entries) {
    [key release];
    [object release];
  }
  [super dealloc];
}

- (NSUInteger)count {
  return m_entries.size();
}

- (id)objectForKey:(id)key {
  const auto found = key == nil ? m_entries.end() : m_entries.find(key);
  return found == m_entries.end() ? nil : found->second;
}

- (id)copyWithZone:(NSZone*)zone {
  if (object_getClass(self) == [NSDictionary class]) {
    return [self retain];
  }
  return [[NSDictionary alloc] initWithDictionary:self];
}

- (id)mutableCopyWithZone:(NSZone*)zone {
  return [[NSMutableDictionary alloc] initWithDictionary:self];
}

// Hands the keys out in the caller's buffer, from the bucket that it left off at: state - 1.
- (NSUInteger)countByEnumeratingWithState:(NSFastEnumerationState*)state
                                  objects:(id __unsafe_unretained _Nullable[])buffer
                                    count:(NSUInteger)length {
  NSUInteger skip = state->state;
  NSUInteger given = 0;
  for (auto entry = m_entries.begin(); entry != m_entries.end() && given < length; ++entry) {
    if (skip > 0) {
      --skip;
    } else {
      buffer[given++] = entry->first;
    }
  }
  state->state += given;
  state->itemsPtr = buffer;
  state->mutationsPtr = &m_mutations;
  return given;
}

- (BOOL)isEqual:(id)object {
  return object == self || ([object isKindOfClass:[NSDictionary class]] && [self isEqualToDictionary:object]);
}

- (NSUInteger)hash {
  return m_entries.size();
}

- (NSString*)description {
  std::string text = "{";
  for (const auto& [key, object] : m_entries) {
    text +=
        "\n    " + std::string(text_of([key description])) + " = " + std::string(text_of([object description])) + ";";
  }
  return string_with(text + "\n}");
}

@end

@implementation NSDictionary (NSExtendedDictionary)

- (NSArray*)allKeys {
  NSMutableArray* keys = [NSMutableArray array];
  for (const auto& entry : m_entries) {
    [keys addObject:entry.first];
  }
  return keys;
}

- (NSArray*)allValues {
  NSMutableArray* objects = [NSMutableArray array];
  for (const auto& entry : m_entries) {
    [objects addObject:entry.second];
  }
  return objects;
}

- (BOOL)isEqualToDictionary:(NSDictionary*)other {
  if (other == nil || other->m_entries.size() != m_entries.size()) {
    return NO;
  }
  for (const auto& [key, object] : m_entries) {
    if (![object isEqual:[other objectForKey:key]]) {
      return NO;
    }
  }
  return YES;
}

- (id)objectForKeyedSubscript:(id)key {
  return [self objectForKey:key];
}

- (void)enumerateKeysAndObjectsUsingBlock:(void(NS_NOESCAPE ^)(id key, id object, BOOL* stop))block {
  BOOL stop = NO;
  for (const auto& [key, object] : m_entries) {
    block(key, object, &stop);
    if (stop) {
      break;
    }
  }
}

@end

@implementation NSDictionary (NSDictionaryCreation)

+ (instancetype)dictionary {
  return [[[self alloc] init] autorelease];
}

+ (instancetype)dictionaryWithObject:(id)object forKey:(id)key {
  return [self dictionaryWithObjects:&object forKeys:(const id<NSCopying>*)&key count:1];
}

+ (instancetype)dictionaryWithObjects:(const id[])objects forKeys:(const id<NSCopying>[])keys count:(NSUInteger)count {
  return [[[self alloc] initWithObjects:objects forKeys:keys count:count] autorelease];
}

+ (instancetype)dictionaryWithObjects:(NSArray*)objects forKeys:(NSArray*)keys {
  if (objects.count != keys.count) {
    throw std::invalid_argument("+[NSDictionary dictionaryWithObjects:forKeys:]: got " + std::to_string(objects.count) +
                                " objects and " + std::to_string(keys.count) + " keys; there must be as many");
  }
  NSDictionary* dictionary = [[[self alloc] init] autorelease];
  for (NSUInteger index = 0; index < keys.count; ++index) {
    add(dictionary->m_entries, keys[index], objects[index]);
  }
  return dictionary;
}

+ (instancetype)dictionaryWithObjectsAndKeys:(id)first, ... {
  NSDictionary* dictionary = [[[self alloc] init] autorelease];
  va_list arguments;
  va_start(arguments, first);
  for (id object = first; object != nil; object = va_arg(arguments, id)) {
    id key = va_arg(arguments, id);
    check_not_nil(key, object, "+[NSDictionary dictionaryWithObjectsAndKeys:]");
    add(dictionary->m_entries, key, object);
  }
  va_end(arguments);
  return dictionary;
}

+ (instancetype)dictionaryWithDictionary:(NSDictionary*)dictionary {
  return [[[self alloc] initWithDictionary:dictionary] autorelease];
}

- (instancetype)initWithDictionary:(NSDictionary*)dictionary {
  if ((self = [self init]) && dictionary != nil) {
    for (const auto& [key, object] : dictionary->m_entries) {
      add(m_entries, key, object);
    }
  }
  return self;
}

@end

@implementation NSMutableDictionary

- (void)setObject:(id)object forKey:(id)key {
  check_not_nil(key, object, "-[NSMutableDictionary setObject:forKey:]");
  const auto found = m_entries.find(key);
  if (found == m_entries.end()) {
    add(m_entries, key, object);
    ++m_mutations;
    return;
  }
  id old = found->second;
  found->second = [object retain];
  [old release];
}

- (void)removeObjectForKey:(id)key {
  const auto found = key == nil ? m_entries.end() : m_entries.find(key);
  if (found == m_entries.end()) {
    return;
  }
  const auto [old_key, old_object] = *found;
  m_entries.erase(found);
  ++m_mutations;
  [old_key release];
  [old_object release];
}

@end

@implementation NSMutableDictionary (NSExtendedMutableDictionary)

- (void)addEntriesFromDictionary:(NSDictionary*)other {
  for (id key in [[other copy] autorelease]) {
    [self setObject:other[key] forKey:key];
  }
}

- (void)removeAllObjects {
  Map entries;
  entries.swap(m_entries);
  ++m_mutations;
  for (const auto& [key, object] : entries) {
    [key release];
    [object release];
  }
}

- (void)setObject:(id)object forKeyedSubscript:(id)key {
  if (object == nil) {
    [self removeObjectForKey:key];
  } else {
    [self setObject:object forKey:key];
  }
}

- (instancetype)initWithCapacity:(NSUInteger)capacity {
  return [self init];
}

+ (instancetype)dictionaryWithCapacity:(NSUInteger)capacity {
  return [self dictionary];
}

@end

// What clang refers to for @{}.
extern "C" __attribute__((visibility("default"))) id __NSDictionary0__;
id __NSDictionary0__ = nil;

__attribute__((constructor(102))) static void make_empty_dictionary() {
  __NSDictionary0__ = [[NSDictionary alloc] init];
}
