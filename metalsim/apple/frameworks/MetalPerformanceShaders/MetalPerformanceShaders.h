// The names of MetalPerformanceShaders that torch's headers and host code beside torch use.
#pragma once

#include <Metal/Metal.h>
#include <MetalPerformanceShaders/MPSCommandBuffer.h>
#include <MetalPerformanceShaders/MPSCoreTypes.h>
#include <MetalPerformanceShaders/MPSKernel.h>
#include <MetalPerformanceShaders/MPSNDArray.h>
