#pragma once

#include <filesystem>
#include <memory>

#include "helix/precision.h"
#include "helix/progress.h"
#include "models/causal_model.h"

namespace helix {

struct LoadOptions {
  Precision precision = Precision::kBf16;  // kF32 keeps keys and values in F32 too, else F16
  Hooks hooks = {};
  std::size_t thread_count = 0;  // that load; 0: one per processor
};

// The model of a Hugging Face folder, dense or HXQ. Its weights stay in the mapped files. Throws
// Error: kNotFound (a file or tensor), kCorruptData (a shape against the config, a number that is
// not finite among norms and biases), kUnsupported (an architecture, quantisation or type that is
// not known, by name).
std::unique_ptr<CausalModel> load_model(const std::filesystem::path& folder,
                                        const LoadOptions& options = {});

struct RandomModelOptions {
  LoadOptions load;
  bool compressed_embeddings = false;  // codes for embedding and output head too, else BF16
  bool dense = false;                  // no codes at all: BF16 matrices
  std::uint64_t seed = 1;
};

// A model of the shape that a config.json states (a file, or the folder that holds one) with random
// weights in memory: what `helix compress` would make of such a model, to time it.
std::unique_ptr<CausalModel> random_model(const std::filesystem::path& config,
                                          const RandomModelOptions& options = {});

}  // namespace helix
