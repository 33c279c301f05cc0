#include "files.h"

#include "text.h"

#include <cerrno>
#include <fstream>
#include <sstream>

namespace metalsim::foundation {

NSError* file_error(NSString* path, NSInteger code, const char* problem) {
  NSString* description = [NSString stringWithFormat:@"The file “%@” %s.", path, problem];
  return [NSError errorWithDomain:NSCocoaErrorDomain
                             code:code
                         userInfo:@{NSLocalizedDescriptionKey : description, NSFilePathErrorKey : path ? path : @""}];
}

std::optional<std::string> contents_of_file(NSString* path, NSError** error) {
  std::ifstream stream(std::string(text_of(path)), std::ios::binary);
  std::ostringstream bytes;
  if (stream) {
    bytes << stream.rdbuf();
  }
  if (stream && !stream.bad()) {
    return bytes.str();
  }
  if (error != nullptr) {
    *error = errno == ENOENT ? file_error(path, kFileReadNoSuchFile, "couldn’t be opened because there is no such file")
                             : file_error(path, kFileReadUnknown, "couldn’t be opened");
  }
  return std::nullopt;
}

} // namespace metalsim::foundation
