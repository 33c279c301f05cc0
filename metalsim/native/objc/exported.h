// How the runtime exports what compilers and other libraries call.
#pragma once

#define METALSIM_EXPORT extern "C" __attribute__((visibility("default")))
