#include "model_fixture.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <limits>

#include "safetensors/safetensors_file.h"

namespace helix::parity {

namespace fs = std::filesystem;

Expected read_expected(const fs::path& path) {
  const SafetensorsFile file(path);
  Expected expected;
  for (const TensorEntry& entry : file.header().tensors) {
    const TensorView view = file.view(entry);
    const std::uint64_t count = element_count(view.shape);
    if (entry.name == "input_ids") {
      for (std::uint64_t i = 0; i < count; ++i) {
        std::int64_t id = 0;
        std::memcpy(&id, view.data.data() + i * sizeof(id), sizeof(id));
        expected.tokens.push_back(static_cast<std::int32_t>(id));
      }
    } else if (entry.name == "logits") {
      expected.logits.resize(count);
      read_floats(view, 0, expected.logits);
    } else if (entry.name == "cached_logits") {
      expected.cached_logits.resize(count);
      read_floats(view, 0, expected.cached_logits);
    }
  }
  return expected;
}

fs::path case_folder(const std::string& name) {
  return fs::path(HELIX_SOURCE_DIR) / "tests" / "parity" / name;
}

std::vector<std::string> case_names() {
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(case_folder(""))) {
    if (entry.is_directory()) names.push_back(entry.path().filename().string());
  }
  std::sort(names.begin(), names.end());
  return names;
}

fs::path shared_data() {
  const char* set = std::getenv("HELIX_TEST_DATA");
  const fs::path path =
      set != nullptr ? fs::path(set) : fs::path(HELIX_SOURCE_DIR) / ".." / "shared" / "data";
  return fs::is_directory(path) ? path : fs::path();
}

std::unique_ptr<CausalModel> open_model(const fs::path& folder, Precision precision) {
  return load_model(folder, {.precision = precision});
}

std::vector<float> decode_logits(const CausalModel& model, const std::vector<std::int32_t>& tokens,
                                 std::size_t prompt) {
  ThreadPool pool(1);
  const ModelInfo& info = model.info();
  const auto state = model.new_state(tokens.size());
  std::vector<float> hidden(tokens.size() * info.hidden_size);
  for (std::size_t begin = 0, count = prompt; begin < tokens.size(); begin += count, count = 1) {
    const SequenceStep step = {.state = state.get(),
                               .tokens = std::span(tokens).subspan(begin, count)};
    model.forward(std::span(&step, 1),
                  std::span(hidden).subspan(begin * info.hidden_size, count * info.hidden_size),
                  pool, {});
  }
  std::vector<float> logits(tokens.size() * info.vocabulary_size);
  model.logits(hidden, tokens.size(), logits, pool);
  return logits;
}

std::vector<float> run_logits(const CausalModel& model, const std::vector<std::int32_t>& tokens,
                              std::size_t chunk, std::size_t threads) {
  ThreadPool pool(threads);
  const ModelInfo& info = model.info();
  const auto state = model.new_state(tokens.size());
  std::vector<float> hidden(tokens.size() * info.hidden_size);
  if (chunk == 0) chunk = tokens.size();
  for (std::size_t begin = 0; begin < tokens.size(); begin += chunk) {
    const std::size_t count = std::min(chunk, tokens.size() - begin);
    const SequenceStep step = {.state = state.get(),
                               .tokens = std::span(tokens).subspan(begin, count),
                               .final_length = tokens.size()};
    model.forward(std::span(&step, 1),
                  std::span(hidden).subspan(begin * info.hidden_size, count * info.hidden_size),
                  pool, {});
  }
  std::vector<float> logits(tokens.size() * info.vocabulary_size);
  model.logits(hidden, tokens.size(), logits, pool);
  return logits;
}

double absolute_difference(const std::vector<float>& found, const std::vector<float>& expected) {
  if (found.size() != expected.size()) return std::numeric_limits<double>::infinity();
  double largest = 0.0;
  for (std::size_t i = 0; i < found.size(); ++i) {
    const double difference = std::abs(static_cast<double>(found[i]) - expected[i]);
    if (!(difference <= largest)) largest = difference;
  }
  return largest;
}

double relative_difference(const std::vector<float>& found, const std::vector<float>& expected) {
  double magnitude = 0.0;
  for (const float value : expected) {
    magnitude = std::max(magnitude, std::abs(static_cast<double>(value)));
  }
  return absolute_difference(found, expected) / magnitude;
}

}  // namespace helix::parity
