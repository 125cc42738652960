#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "models/embedding_table.h"
#include "models/linear.h"

namespace helix {

// Where a model's weights come from, by the names of the Hugging Face checkpoint. Shapes are what
// the config asks for; another shape in the files is Error(kCorruptData) naming the tensor, what
// was expected and what was found, an absent one Error(kNotFound). What is returned borrows from
// the source, which outlives it. Whether several threads may ask at once is the source's to say.
class WeightSource {
 public:
  virtual ~WeightSource() = default;

  // "model.layers.0.self_attn.q_proj": weight (rows, columns) and, where the model `has_bias`, bias
  // (rows).
  virtual Linear linear(const std::string& module, std::size_t rows, std::size_t columns,
                        bool has_bias) = 0;
  // "model.embed_tokens". linear() of the same name is the same weights: a tied output head.
  virtual EmbeddingTable embedding(const std::string& module, std::size_t rows,
                                   std::size_t columns) = 0;
  // "model.norm.weight": finite numbers.
  virtual std::vector<float> vector(const std::string& tensor, std::size_t size) = 0;
};

}  // namespace helix
