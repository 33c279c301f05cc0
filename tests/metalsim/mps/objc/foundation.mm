// Strings, numbers, collections, data, URLs, errors.
#include "check.h"

#include <sys/stat.h>
#include <unistd.h>

static void check_strings() {
  check([[NSString stringWithFormat:@"%@,%d,%lu,%.2f,%s,%c,%%,%x", @"x", -4, 5ul, 1.5, "c", 'z', 255u]
      isEqualToString:@"x,-4,5,1.50,c,z,%,ff"]);
  check(
      [[NSString stringWithFormat:@"%@|%5d|%-5d|%05.1f|%@", @"x", -4, 5, 1.5, @[]] hasPrefix:@"x|   -4|5    |001.5|("]);
  check([[NSString stringWithFormat:@"%zu %llu %hhd %*d %@", (size_t)7, 1ull << 63, (char)-1, 4, 2, (NSString*)nil]
      isEqualToString:@"7 9223372036854775808 -1    2 (null)"]);
  NSString* accents = @"naïve ⌘ 😀";
  check(accents.length == 10 && strlen(accents.UTF8String) == 15);
  check([accents characterAtIndex:2] == 0xef && [[accents substringFromIndex:8] isEqual:@"😀"]);
  check([[NSString stringWithUTF8String:"naïve ⌘ 😀"] isEqual:accents]);
  check([NSString stringWithUTF8String:(const char* _Nonnull)nullptr] == nil);
  check([[NSString alloc] initWithBytes:"\xff\xfe" length:2 encoding:NSUTF8StringEncoding] == nil);
  check([@"a/b.metal".lastPathComponent isEqual:@"b.metal"] && [@"a/b.metal".pathExtension isEqual:@"metal"]);
  check([[@"/a/" stringByAppendingPathComponent:@"b"] isEqual:@"/a/b"]);
  check([@"a,b,,c" componentsSeparatedByString:@","].count == 4);
  check([[@"aXbX" stringByReplacingOccurrencesOfString:@"X" withString:@"--"] isEqual:@"a--b--"]);
  check([@"kernel void f" rangeOfString:@"void"].location == 7);
  check([@"kernel" rangeOfString:@"q"].location == (NSUInteger)NSNotFound);
  check([@"12abc" intValue] == 12 && [@"1.5" doubleValue] == 1.5 && [@"YES" boolValue]);
  check([@"a" compare:@"b"] == NSOrderedAscending && [@"ABC".lowercaseString isEqual:@"abc"]);
  NSMutableString* text = [NSMutableString string];
  [text appendString:@"one"];
  [text appendFormat:@" %d", 2];
  NSString* copy = AUTORELEASED([text copy]);
  [text replaceCharactersInRange:NSMakeRange(0, 3) withString:@"three"];
  check([text isEqual:@"three 2"] && [copy isEqual:@"one 2"] && @"one 2".hash == copy.hash);
  check_throws("out of bounds", [copy] { [copy substringToIndex:99]; });
}

static void check_numbers() {
  check([@3 isEqual:@3.0] && [@YES boolValue] && [@(-1) unsignedIntegerValue] == NSUIntegerMax);
  check([@(UINT64_MAX) unsignedLongLongValue] == UINT64_MAX && [@(UINT64_MAX) compare:@(-1)] == NSOrderedDescending);
  check([[@0.1 stringValue] isEqual:@"0.1"] && [[@0.1f stringValue] isEqual:@"0.1"] &&
        [[@(1) stringValue] isEqual:@"1"]);
  check([@1.9 intValue] == 1 && [@(1e300) longLongValue] == -1);
  check([[NSValue valueWithPointer:"x"] pointerValue] != nullptr);
}

static void check_collections() {
  NSArray* array = @[ @3, @1, @2 ];
  NSArray* sorted = [array sortedArrayUsingSelector:@selector(compare:)];
  check([sorted isEqual:@[ @1, @2, @3 ]] && ![sorted isEqual:array]);
  check([[sorted componentsJoinedByString:@"x"] isEqual:@"1x2x3"]);
  check([array containsObject:@2] && [array indexOfObject:@9] == (NSUInteger)NSNotFound);
  check([array.firstObject isEqual:@3] && [@[] firstObject] == nil && @[].count == 0 && @{}.count == 0);
  check([[NSArray arrayWithObjects:@1, @2, nil] subarrayWithRange:NSMakeRange(1, 1)].count == 1);
  NSMutableDictionary<NSString*, NSNumber*>* squares = [NSMutableDictionary dictionary];
  for (int index = 0; index < 100; ++index) {
    squares[[NSString stringWithFormat:@"%d", index]] = @(index * index);
  }
  long sum = 0;
  NSUInteger keys = 0;
  for (NSString* key in squares) {
    sum += squares[key].longValue;
    ++keys;
  }
  check(keys == 100 && sum == 328350 && squares[@"nine"] == nil && squares.allValues.count == 100);
  check([@{@"a" : @1, @"b" : @[ @2 ]} isEqual:@{@"b" : @[ @2 ], @"a" : @1}]);
  __block int visited = 0;
  [array enumerateObjectsUsingBlock:^(id object, NSUInteger index, BOOL* stop) {
    ++visited;
    *stop = index == 1;
  }];
  check(visited == 2);
}

static BOOL fail(NSError** error) {
  if (error != nullptr) {
    *error = [NSError errorWithDomain:@"Domain" code:7 userInfo:@{NSLocalizedDescriptionKey : @"broken"}];
  }
  return NO;
}

static void check_files_and_errors() {
  NSError* error = nil;
  check(!fail(&error) && error.code == 7 && [error.localizedDescription isEqual:@"broken"]);
  check([error.description isEqual:@"Error Domain=Domain Code=7 \"broken\""]);
  check([NSString stringWithContentsOfFile:@"/no/such/file" encoding:NSUTF8StringEncoding error:&error] == nil);
  check(error.code == 260 && [error.domain isEqual:NSCocoaErrorDomain]);
  NSString* path = [NSString stringWithFormat:@"/tmp/metalsim foundation %d", getpid()];
  NSData* data = [@"kernel" dataUsingEncoding:NSUTF8StringEncoding];
  check([data writeToFile:path atomically:YES] && data.length == 6);
  NSURL* url = [NSURL fileURLWithPath:path];
  check(url.isFileURL && [url.path isEqual:path] && [url.absoluteString containsString:@"metalsim%20foundation"]);
  check([[NSURL URLWithString:url.absoluteString].path isEqual:path]);
  check([[NSString stringWithContentsOfURL:url encoding:NSUTF8StringEncoding error:nil] isEqual:@"kernel"]);
  check([[NSData dataWithContentsOfFile:path] isEqual:data] && !memcmp(data.bytes, "kernel", 6));
  unlink(path.fileSystemRepresentation);
  check([NSProcessInfo processInfo].physicalMemory > 0 && [NSProcessInfo processInfo].arguments.count == 1);
  check([NSBundle.mainBundle pathForResource:@"no such" ofType:@"metallib"] == nil);
  check([NSDate date].timeIntervalSince1970 > 1.6e9);
}

int main() {
  @autoreleasepool {
    check_strings();
    check_numbers();
    check_collections();
    check_files_and_errors();
  }
}
