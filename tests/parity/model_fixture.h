#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "models/causal_model.h"
#include "models/load_model.h"

namespace helix::parity {

// What PyTorch computed for a folder.
struct Expected {
  std::vector<std::int32_t> tokens;
  std::vector<float> logits;  // (tokens, vocabulary)
  std::vector<float>
      cached_logits;  // the same, of a prompt and then one by one, where that differs
};

// input_ids and logits of a safetensors file.
Expected read_expected(const std::filesystem::path& file);

// The model folders beside this test, by name.
std::vector<std::string> case_names();
std::filesystem::path case_folder(const std::string& name);

// ../shared/data beside the project, or $HELIX_TEST_DATA; empty where there is none.
std::filesystem::path shared_data();

std::unique_ptr<CausalModel> open_model(const std::filesystem::path& folder, Precision precision);

// Logits of all tokens, run in chunks of `chunk` (0: in a piece).
std::vector<float> run_logits(const CausalModel& model, const std::vector<std::int32_t>& tokens,
                              std::size_t chunk = 0, std::size_t threads = 2);

// As run_logits, of the first `prompt` tokens in a piece and then one by one, the length of the
// text unknown until it is there.
std::vector<float> decode_logits(const CausalModel& model, const std::vector<std::int32_t>& tokens,
                                 std::size_t prompt);

// Largest difference over largest magnitude of `expected`.
double relative_difference(const std::vector<float>& found, const std::vector<float>& expected);
double absolute_difference(const std::vector<float>& found, const std::vector<float>& expected);

}  // namespace helix::parity
