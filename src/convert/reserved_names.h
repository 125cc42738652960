#pragma once

#include "safetensors/tensor_store.h"

namespace helix {

// Some names mean something in an HXQ file that they do not mean in a dense one: those of a
// module's parts, of buffers that readers ignore, and one name that is another with every `_`
// turned into `.` (docs/format.md). Throws Error(kUnsupported) where the dense checkpoint has such
// a name: written as it is, readers would refuse the file or lose the tensor.
void refuse_reserved_names(const TensorStore& dense);

// True where "{module}.weight" cannot be compressed, because readers would take the module for the
// bare parameter `module`.
bool reads_as_bare_parameter(const TensorStore& dense, std::string_view module);

}  // namespace helix
