#include <helix/helix.h>

#include <cstdio>
#include <vector>

int main() {
  const std::vector<float> weights = {0.5F, -1.0F, 0.5F, 2.0F};
  const helix::TensorView matrix{
      .dtype = helix::DType::kF32, .shape = {2, 2}, .data = std::as_bytes(std::span(weights))};
  const helix::CompressedTensor tensor = helix::encode(matrix, {.codebook_size = 16});
  // Naming one option must not warn of the others.
  const helix::CompressOptions compress = {.embeddings = true};
  const helix::DecompressOptions decompress = {.force = true};
  const helix::VerifyOptions verify = {.thread_count = 1};
  const helix::ModelOptions model = {.thread_count = 1};
  const helix::GenerateOptions generate = {.max_tokens = 8};
  const helix::EvaluateOptions evaluate = {.window = 512};
  const helix::BenchmarkOptions benchmark = {.repetitions = 1};
  const helix::ProductOptions product = {.thread_count = 1};
  const bool options = compress.embeddings && decompress.force && verify.thread_count == 1 &&
                       model.thread_count == 1 && generate.max_tokens == 8 &&
                       evaluate.window == 512 && benchmark.repetitions == 1 &&
                       product.thread_count == 1;
  const bool ok = options && helix::decode(tensor) == weights;
  std::printf("helix %s: %s\n", helix::version(), ok ? "ok" : "wrong");
  return ok ? 0 : 1;
}
