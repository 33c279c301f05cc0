// Strings as paths of files.
#include "string_internal.h"

using namespace metalsim::foundation;

@implementation NSString (NSStringPathExtensions)

- (BOOL)isAbsolutePath {
  return self.metalsimText.starts_with('/');
}

- (NSString*)lastPathComponent {
  std::string_view path = self.metalsimText;
  while (path.size() > 1 && path.ends_with('/')) {
    path.remove_suffix(1);
  }
  const size_t slash = path.rfind('/');
  const bool is_root = path == "/";
  return string_with(std::string(slash == std::string_view::npos || is_root ? path : path.substr(slash + 1)));
}

- (NSString*)stringByDeletingLastPathComponent {
  std::string_view path = self.metalsimText;
  while (path.size() > 1 && path.ends_with('/')) {
    path.remove_suffix(1);
  }
  const size_t slash = path.rfind('/');
  return string_with(slash == std::string_view::npos ? "" : slash == 0 ? "/" : std::string(path.substr(0, slash)));
}

- (NSString*)stringByAppendingPathComponent:(NSString*)component {
  std::string path(self.metalsimText);
  if (!path.empty() && path.back() != '/') {
    path += '/';
  }
  std::string_view added = text_of(component);
  while (!path.empty() && added.starts_with('/')) {
    added.remove_prefix(1);
  }
  return string_with(path + std::string(added));
}

- (NSString*)pathExtension {
  NSString* name = self.lastPathComponent;
  const std::string_view text = name.metalsimText;
  const size_t point = text.rfind('.');
  return string_with(point == std::string_view::npos || point == 0 ? "" : std::string(text.substr(point + 1)));
}

- (NSString*)stringByDeletingPathExtension {
  const size_t extension = self.pathExtension.metalsimText.size();
  const std::string_view text = self.metalsimText;
  return string_with(std::string(extension == 0 ? text : text.substr(0, text.size() - extension - 1)));
}

- (NSString*)stringByAppendingPathExtension:(NSString*)extension {
  return [self stringByAppendingFormat:@".%@", extension];
}

- (const char*)fileSystemRepresentation {
  return self.UTF8String;
}

@end
