// Apple has a header of this name; ../../metalsim.h stands for all of them.
#pragma once

#include "../metalsim_macros.h"
