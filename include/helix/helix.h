#pragma once

// The whole public API.

#include "helix/codec.h"              // IWYU pragma: export
#include "helix/compressed_tensor.h"  // IWYU pragma: export
#include "helix/convert.h"            // IWYU pragma: export
#include "helix/error.h"              // IWYU pragma: export
#include "helix/inspect.h"            // IWYU pragma: export
#include "helix/progress.h"           // IWYU pragma: export
#include "helix/tensor.h"             // IWYU pragma: export
#include "helix/version.h"            // IWYU pragma: export
