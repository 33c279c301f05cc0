// The compute half of Metal.
#pragma once

#include <Metal/MTLDefines.h>
#include <Metal/MTLTypes.h>

#include <Metal/MTLAllocation.h>
#include <Metal/MTLArgument.h>
#include <Metal/MTLArgumentEncoder.h>
#include <Metal/MTLBlitCommandEncoder.h>
#include <Metal/MTLBuffer.h>
#include <Metal/MTLCaptureManager.h>
#include <Metal/MTLCaptureScope.h>
#include <Metal/MTLCommandBuffer.h>
#include <Metal/MTLCommandEncoder.h>
#include <Metal/MTLCommandQueue.h>
#include <Metal/MTLComputeCommandEncoder.h>
#include <Metal/MTLComputePass.h>
#include <Metal/MTLComputePipeline.h>
#include <Metal/MTLDevice.h>
#include <Metal/MTLEvent.h>
#include <Metal/MTLFence.h>
#include <Metal/MTLFunctionConstantValues.h>
#include <Metal/MTLHeap.h>
#include <Metal/MTLLibrary.h>
#include <Metal/MTLPipeline.h>
#include <Metal/MTLResource.h>
