#pragma once

#include <vector>

#include "checkpoint/checkpoint.h"
#include "helix/convert.h"

namespace helix {

// The plan of a whole dense checkpoint, one entry per tensor of its store, in the same order. Does
// not read weights except to compare a tied head with its embedding. Throws Error(kInvalidArgument
// | kUnsupported).
std::vector<PlanEntry> make_plan(const Checkpoint& source, const CompressOptions& options);

// "a.b.weight" -> "a.b"
std::string module_name(const std::string& key);

// The most bytes that the compressed form of `entry` can take.
std::uint64_t compressed_bytes_bound(const PlanEntry& entry);

}  // namespace helix
