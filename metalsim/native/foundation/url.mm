// NSURL: files' paths, and other locations as text only.
#include "text.h"

#include <climits>
#include <cstdlib>
#include <unistd.h>

using namespace metalsim::foundation;

namespace {

std::string absolute(std::string path) {
  if (path.starts_with('/')) {
    return path;
  }
  char folder[PATH_MAX];
  return getcwd(folder, sizeof folder) == nullptr ? path : std::string(folder) + "/" + path;
}

/// Spaces and the like as %20.
std::string percent_encoded(std::string_view path) {
  std::string text;
  for (const char letter : path) {
    if (isalnum((unsigned char)letter) || strchr("/-._~!$&'()*+,;=:@", letter) != nullptr) {
      text += letter;
    } else {
      char code[8];
      snprintf(code, sizeof code, "%%%02X", (unsigned)(unsigned char)letter);
      text += code;
    }
  }
  return text;
}

std::string percent_decoded(std::string_view text) {
  std::string path;
  for (size_t index = 0; index < text.size(); ++index) {
    if (text[index] == '%' && index + 2 < text.size() && isxdigit((unsigned char)text[index + 1]) &&
        isxdigit((unsigned char)text[index + 2])) {
      path += static_cast<char>(strtol(std::string(text.substr(index + 1, 2)).c_str(), nullptr, 16));
      index += 2;
    } else {
      path += text[index];
    }
  }
  return path;
}

} // namespace

@implementation NSURL {
  std::string m_scheme;
  std::string m_host;
  std::string m_path; ///< decoded
}

- (instancetype)initFileURLWithPath:(NSString*)path {
  m_scheme = "file";
  m_path = absolute(std::string(text_of(path)));
  return self;
}

+ (NSURL*)fileURLWithPath:(NSString*)path {
  return [[[self alloc] initFileURLWithPath:path] autorelease];
}

+ (NSURL*)fileURLWithPath:(NSString*)path isDirectory:(BOOL)isDirectory {
  return [self fileURLWithPath:path];
}

- (instancetype)initWithString:(NSString*)string {
  const std::string text(text_of(string));
  const size_t colon = text.find("://");
  const size_t slash = colon == std::string::npos ? 0 : text.find('/', colon + 3);
  if (colon != std::string::npos) {
    m_scheme = text.substr(0, colon);
    m_host = text.substr(colon + 3, slash == std::string::npos ? slash : slash - colon - 3);
  }
  m_path = slash == std::string::npos ? "" : percent_decoded(std::string_view(text).substr(slash));
  return self;
}

+ (instancetype)URLWithString:(NSString*)text {
  return text == nil ? nil : [[[self alloc] initWithString:text] autorelease];
}

- (NSString*)absoluteString {
  return string_with((m_scheme.empty() ? "" : m_scheme + "://" + m_host) + percent_encoded(m_path));
}

- (NSString*)scheme {
  return m_scheme.empty() ? nil : string_with(m_scheme);
}

- (NSString*)path {
  return string_with(m_path);
}

- (NSString*)lastPathComponent {
  return self.path.lastPathComponent;
}

- (NSString*)pathExtension {
  return self.path.pathExtension;
}

- (NSURL*)URLByDeletingLastPathComponent {
  return [NSURL fileURLWithPath:self.path.stringByDeletingLastPathComponent];
}

- (NSURL*)URLByAppendingPathComponent:(NSString*)component {
  return [NSURL fileURLWithPath:[self.path stringByAppendingPathComponent:component]];
}

- (BOOL)isFileURL {
  return m_scheme == "file";
}

- (const char*)fileSystemRepresentation {
  return m_path.c_str();
}

- (id)copyWithZone:(NSZone*)zone {
  return [self retain];
}

- (BOOL)isEqual:(id)object {
  return object == self ||
         ([object isKindOfClass:[NSURL class]] && [self.absoluteString isEqual:[(NSURL*)object absoluteString]]);
}

- (NSUInteger)hash {
  return self.absoluteString.hash;
}

- (NSString*)description {
  return self.absoluteString;
}

@end
