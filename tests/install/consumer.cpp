#include <helix/codec.h>
#include <helix/version.h>

#include <cstdio>
#include <vector>

int main() {
  const std::vector<float> weights = {0.5F, -1.0F, 0.5F, 2.0F};
  const helix::TensorView matrix{
      .dtype = helix::DType::kF32, .shape = {2, 2}, .data = std::as_bytes(std::span(weights))};
  const helix::CompressedTensor tensor = helix::encode(matrix, {});
  std::printf("helix %s: %s\n", helix::version(),
              helix::decode(tensor) == weights ? "ok" : "wrong");
  return helix::decode(tensor) == weights ? 0 : 1;
}
