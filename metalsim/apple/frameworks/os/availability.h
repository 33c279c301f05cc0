// Since when a declaration exists: API_AVAILABLE(macos(15.0), ios(18.0)).
#pragma once

#ifndef API_AVAILABLE

#define METALSIM_INTRODUCED_macos(version) macos, introduced = version
#define METALSIM_INTRODUCED_macosx(version) macos, introduced = version
#define METALSIM_INTRODUCED_ios(version) ios, introduced = version
#define METALSIM_INTRODUCED_macCatalyst(version) maccatalyst, introduced = version
#define METALSIM_INTRODUCED_macCatalystVersion(version) maccatalyst, introduced = version
#define METALSIM_INTRODUCED_tvos(version) tvos, introduced = version
#define METALSIM_INTRODUCED_watchos(version) watchos, introduced = version
#define METALSIM_INTRODUCED_visionos(version) visionos, introduced = version

#define METALSIM_DEPRECATED_macos(since, until) macos, introduced = since, deprecated = until
#define METALSIM_DEPRECATED_macosx(since, until) macos, introduced = since, deprecated = until
#define METALSIM_DEPRECATED_ios(since, until) ios, introduced = since, deprecated = until
#define METALSIM_DEPRECATED_macCatalyst(since, until) maccatalyst, introduced = since, deprecated = until
#define METALSIM_DEPRECATED_tvos(since, until) tvos, introduced = since, deprecated = until
#define METALSIM_DEPRECATED_watchos(since, until) watchos, introduced = since, deprecated = until
#define METALSIM_DEPRECATED_visionos(since, until) visionos, introduced = since, deprecated = until

#define METALSIM_UNAVAILABLE_macos macos, unavailable
#define METALSIM_UNAVAILABLE_macosx macos, unavailable
#define METALSIM_UNAVAILABLE_ios ios, unavailable
#define METALSIM_UNAVAILABLE_macCatalyst maccatalyst, unavailable
#define METALSIM_UNAVAILABLE_tvos tvos, unavailable
#define METALSIM_UNAVAILABLE_watchos watchos, unavailable
#define METALSIM_UNAVAILABLE_visionos visionos, unavailable

// One attribute for each platform of the list.
#define METALSIM_AVAILABILITY(...) __attribute__((availability(__VA_ARGS__)))
#define METALSIM_1(kind, a) METALSIM_AVAILABILITY(kind##a)
#define METALSIM_2(kind, a, b) METALSIM_1(kind, a) METALSIM_1(kind, b)
#define METALSIM_3(kind, a, b, c) METALSIM_2(kind, a, b) METALSIM_1(kind, c)
#define METALSIM_4(kind, a, b, c, d) METALSIM_3(kind, a, b, c) METALSIM_1(kind, d)
#define METALSIM_5(kind, a, b, c, d, e) METALSIM_4(kind, a, b, c, d) METALSIM_1(kind, e)
#define METALSIM_6(kind, a, b, c, d, e, f) METALSIM_5(kind, a, b, c, d, e) METALSIM_1(kind, f)
#define METALSIM_CHOOSE(one, two, three, four, five, six, name, ...) name

#define API_AVAILABLE(...)                                                                                             \
  METALSIM_CHOOSE(__VA_ARGS__, METALSIM_6, METALSIM_5, METALSIM_4, METALSIM_3, METALSIM_2, METALSIM_1, 0)              \
  (METALSIM_INTRODUCED_, __VA_ARGS__)
#define API_DEPRECATED(message, ...)                                                                                   \
  METALSIM_CHOOSE(__VA_ARGS__, METALSIM_6, METALSIM_5, METALSIM_4, METALSIM_3, METALSIM_2, METALSIM_1, 0)              \
  (METALSIM_DEPRECATED_, __VA_ARGS__)
#define API_DEPRECATED_WITH_REPLACEMENT(replacement, ...) API_DEPRECATED(replacement, __VA_ARGS__)
#define API_UNAVAILABLE(...)                                                                                           \
  METALSIM_CHOOSE(__VA_ARGS__, METALSIM_6, METALSIM_5, METALSIM_4, METALSIM_3, METALSIM_2, METALSIM_1, 0)              \
  (METALSIM_UNAVAILABLE_, __VA_ARGS__)

#endif
