#pragma once

#include "helix/precision.h"
