#include "kernels_peaks.h"

#include <cstring>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace helix::bench {
namespace {

constexpr std::size_t kAhead = 2048;

}  // namespace

std::uint64_t read_all(const std::byte* data, std::size_t bytes, Reading reading) {
  std::uint64_t sums[32] = {};
  constexpr std::size_t kStep = sizeof(sums);
  const std::size_t places = reading == Reading::kFourPlaces ? 4 : 1;
  const std::size_t apart = bytes / places;
  for (std::size_t i = 0; i + kStep <= apart; i += kStep) {
    for (std::size_t place = 0; place < places; ++place) {
      const std::byte* from = data + place * apart + i;
      for (std::size_t line = 0; reading == Reading::kAskingAhead && line < kStep; line += 64) {
        __builtin_prefetch(from + 1024 + line);
      }
      std::uint64_t words[32];
      std::memcpy(words, from, sizeof(words));
      for (int j = 0; j < 32; ++j) sums[j] ^= words[j];
    }
  }
  std::uint64_t all = 0;
  for (const std::uint64_t sum : sums) all ^= sum;
  volatile std::uint64_t keep = all;
  return keep;
}

void scalar_product(const float* codebook, const std::uint8_t* indices, std::size_t rows,
                    std::size_t columns, const float* x, float* y) {
  for (std::size_t row = 0; row < rows; ++row) {
    const std::uint8_t* from = indices + row * columns;
    float sums[4] = {};
    for (std::size_t i = 0; i + 4 <= columns; i += 4) {
      if (i % 64 == 0) __builtin_prefetch(from + i + kAhead);
      for (std::size_t j = 0; j < 4; ++j) sums[j] += codebook[from[i + j]] * x[i + j];
    }
    y[row] = (sums[0] + sums[1]) + (sums[2] + sums[3]);
  }
}

#if defined(__x86_64__)

bool has_dot_unit() { return __builtin_cpu_supports("avx512bf16"); }
bool has_gather() { return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"); }

void run_dots(std::size_t steps) {
  for (std::size_t i = 0; i < steps; ++i) {
    __asm__ volatile(
        "vdpbf16ps %%zmm15, %%zmm15, %%zmm0\n vdpbf16ps %%zmm15, %%zmm15, %%zmm1\n"
        "vdpbf16ps %%zmm15, %%zmm15, %%zmm2\n vdpbf16ps %%zmm15, %%zmm15, %%zmm3\n"
        "vdpbf16ps %%zmm15, %%zmm15, %%zmm4\n vdpbf16ps %%zmm15, %%zmm15, %%zmm5\n"
        "vdpbf16ps %%zmm15, %%zmm15, %%zmm6\n vdpbf16ps %%zmm15, %%zmm15, %%zmm7\n"
        "vdpbf16ps %%zmm15, %%zmm15, %%zmm8\n vdpbf16ps %%zmm15, %%zmm15, %%zmm9\n"
        "vdpbf16ps %%zmm15, %%zmm15, %%zmm10\n vdpbf16ps %%zmm15, %%zmm15, %%zmm11\n"
        :
        :
        : "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10",
          "xmm11");
  }
}

__attribute__((target("avx2,fma"))) void gather_product(const float* codebook,
                                                        const std::uint8_t* indices,
                                                        std::size_t rows, std::size_t columns,
                                                        const float* x, float* y) {
  for (std::size_t row = 0; row < rows; ++row) {
    const std::uint8_t* from = indices + row * columns;
    __m256 sums[2] = {_mm256_setzero_ps(), _mm256_setzero_ps()};
    for (std::size_t i = 0; i + 16 <= columns; i += 16) {
      if (i % 64 == 0) __builtin_prefetch(from + i + kAhead);
      for (std::size_t j = 0; j < 2; ++j) {
        const __m128i bytes = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(from + i + 8 * j));
        const __m256 w = _mm256_i32gather_ps(codebook, _mm256_cvtepu8_epi32(bytes), 4);
        sums[j] = _mm256_fmadd_ps(w, _mm256_loadu_ps(x + i + 8 * j), sums[j]);
      }
    }
    float lanes[8];
    _mm256_storeu_ps(lanes, _mm256_add_ps(sums[0], sums[1]));
    y[row] = ((lanes[0] + lanes[1]) + (lanes[2] + lanes[3])) +
             ((lanes[4] + lanes[5]) + (lanes[6] + lanes[7]));
  }
}

#else

bool has_dot_unit() { return false; }
bool has_gather() { return false; }
void run_dots(std::size_t) {}
void gather_product(const float*, const std::uint8_t*, std::size_t, std::size_t, const float*,
                    float*) {}

#endif

}  // namespace helix::bench
