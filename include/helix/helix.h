#pragma once

// Everything.

#include "helix/codec.h"
#include "helix/compressed_tensor.h"
#include "helix/convert.h"
#include "helix/error.h"
#include "helix/evaluation.h"
#include "helix/generation.h"
#include "helix/inspect.h"
#include "helix/matrix.h"
#include "helix/model.h"
#include "helix/precision.h"
#include "helix/progress.h"
#include "helix/tensor.h"
#include "helix/version.h"
