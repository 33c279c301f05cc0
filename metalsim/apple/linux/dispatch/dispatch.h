// Grand Central Dispatch.
#pragma once

#include <dispatch/base.h>
#include <dispatch/data.h>
#include <dispatch/group.h>
#include <dispatch/object.h>
#include <dispatch/once.h>
#include <dispatch/queue.h>
#include <dispatch/semaphore.h>
#include <dispatch/time.h>
