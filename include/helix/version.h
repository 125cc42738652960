#pragma once

namespace helix {

// The version of the linked library, for example "0.4.0".
const char* version() noexcept;

}  // namespace helix
