// Matrix products over TinyLlama's shapes on every instruction set this machine has, beside what
// the memory and the dot units can give. Usage: helix_kernels_bench [THREADS [REPEATS [ISA]]]
//
// The matrices of one shape take more memory together than the caches hold and are read one after
// the other, as in decoding. Before every product the same number of bytes is read plainly and the
// dot units run for a moment, so that all three meet the same neighbours; medians over REPEATS
// passes, in brackets the best. GB/s count bytes of indices.

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <functional>
#include <memory>
#include <random>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "base/large_memory.h"
#include "base/thread_pool.h"
#include "helix/codec.h"
#include "helix/tensor.h"
#include "kernels/codebook_matmul.h"
#include "kernels/dense_matmul.h"
#include "kernels_peaks.h"

namespace helix::bench {
namespace {

constexpr std::size_t kWorkingSet = std::size_t{192} << 20;

// Wall time; or, where HELIX_BENCH_CPU_TIME is set, the calling thread's processor time, which says
// something about one thread even on a machine that others use.
double now() {
  static const bool processor = std::getenv("HELIX_BENCH_CPU_TIME") != nullptr;
  timespec time = {};
  clock_gettime(processor ? CLOCK_THREAD_CPUTIME_ID : CLOCK_MONOTONIC, &time);
  return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
}

double seconds_of(const std::function<void()>& pass) {
  const double start = now();
  pass();
  return now() - start;
}

// What was seen of one rate.
class Rates {
 public:
  void add(double amount, double seconds) { seen_.push_back(amount / seconds); }
  double median() {
    if (seen_.empty()) return 0.0;
    std::sort(seen_.begin(), seen_.end());
    return seen_[seen_.size() / 2];
  }
  double best() { return seen_.empty() ? 0.0 : *std::max_element(seen_.begin(), seen_.end()); }

 private:
  std::vector<double> seen_;
};

struct Shape {
  std::size_t rows;
  std::size_t columns;
};

struct Setup {
  int repeats;
  ThreadPool& pool;
  LargeVector<std::byte> weights;  // indices, or BF16 numbers
  std::vector<float> codebook;     // of Gaussian weights
  std::vector<float> jagged;       // 256 random numbers in order
  Reading reading = Reading::kInOrder;
};

constexpr std::size_t kDotSteps = 20'000;

void read_plainly(const Setup& setup, std::size_t begin, std::size_t bytes) {
  const std::size_t parts = setup.pool.thread_count();
  const std::size_t part = bytes / parts;
  setup.pool.run(parts, [&](std::size_t i) {
    read_all(setup.weights.data() + begin + i * part, part, setup.reading);
  });
}

// What reads fastest here.
Reading fastest_reading(Setup& setup) {
  double best[kReadings];
  std::fill_n(best, kReadings, 1e9);
  for (int pass = 0; pass < 3 * kReadings; ++pass) {
    setup.reading = static_cast<Reading>(pass % kReadings);
    const double seconds = seconds_of([&] { read_plainly(setup, 0, setup.weights.size()); });
    best[pass % kReadings] = std::min(best[pass % kReadings], seconds);
  }
  return static_cast<Reading>(std::min_element(best, best + kReadings) - best);
}

void run_all_dots(const Setup& setup) {
  setup.pool.run(setup.pool.thread_count(), [](std::size_t) { run_dots(kDotSteps); });
}

double all_dot_operations(const Setup& setup) {
  return static_cast<double>(setup.pool.thread_count()) * dot_operations(kDotSteps);
}

CompressedTensor slice(const Setup& setup, const std::vector<float>& codebook, const Shape& shape,
                       std::size_t number) {
  CompressedTensor tensor;
  tensor.rows = shape.rows;
  tensor.columns = shape.columns;
  tensor.codebook = codebook;
  const std::size_t bytes = shape.rows * shape.columns;
  tensor.indices = std::span(setup.weights).subspan(number * bytes, bytes);
  return tensor;
}

template <typename Matrix>
void run(const Setup& setup, const std::string& name, const Shape& shape,
         const std::vector<Matrix>& matrices, std::size_t element_bytes, std::size_t batch) {
  const std::vector<float> x(batch * shape.columns, 0.25F);
  LargeVector<float> y(batch * shape.rows);
  // Large batches wait for arithmetic, not for memory: a few matrices do.
  const double work = 2.0 * static_cast<double>(batch * shape.rows * shape.columns);
  const auto wanted = static_cast<std::size_t>(1.0 + 1e10 / work);
  const std::size_t count = std::min(matrices.size(), wanted);
  const std::size_t bytes = shape.rows * shape.columns * element_bytes;
  Rates products;
  Rates reads;
  Rates dots;
  for (int pass = 0; pass <= setup.repeats; ++pass) {
    for (std::size_t i = 0; i < count; ++i) {
      const std::size_t other = (i + matrices.size() / 2) % matrices.size();
      const double read = seconds_of([&] { read_plainly(setup, other * bytes, bytes); });
      const double dot = has_dot_unit() ? seconds_of([&] { run_all_dots(setup); }) : 0.0;
      const double product = seconds_of([&] { matrices[i].multiply(x, batch, y, setup.pool); });
      if (pass == 0) continue;
      reads.add(static_cast<double>(bytes), read);
      if (dot > 0.0) dots.add(all_dot_operations(setup), dot);
      products.add(static_cast<double>(bytes), product);
    }
  }
  const double operations = work / static_cast<double>(bytes);
  std::printf("%-26s %5zu x %-5zu %5zu  %7.2f (%6.2f)  %7.2f  %5.1f %%  %8.1f  %8.1f  %5.1f %%\n",
              name.c_str(), shape.rows, shape.columns, batch, products.median() / 1e9,
              products.best() / 1e9, reads.median() / 1e9,
              100.0 * products.median() / reads.median(), products.median() * operations / 1e9,
              dots.median() / 1e9,
              dots.median() > 0.0 ? 100.0 * products.median() * operations / dots.median() : 0.0);
  std::fflush(stdout);
}

void run_codebooks(const Setup& setup, const std::string& name, const std::vector<float>& codebook,
                   const MatrixOptions& options, const Shape& shape) {
  std::vector<CodebookMatrix> matrices;
  const std::size_t bytes = shape.rows * shape.columns;
  for (std::size_t i = 0; (i + 1) * bytes <= setup.weights.size(); ++i) {
    matrices.emplace_back(slice(setup, codebook, shape, i), std::vector<float>{}, options);
  }
  for (const std::size_t batch : {1, 2, 4, 8, 9, 16, 64, 512}) {
    run(setup, name, shape, matrices, 1, batch);
  }
}

void run_dense(const Setup& setup, Isa isa, DType dtype, const Shape& shape) {
  const std::size_t element_bytes = dtype_bytes(dtype);
  const std::size_t bytes = shape.rows * shape.columns * element_bytes;
  std::vector<DenseMatrix> matrices;
  for (std::size_t i = 0; (i + 1) * bytes <= setup.weights.size(); ++i) {
    const TensorView view{
        dtype, {shape.rows, shape.columns}, std::span(setup.weights).subspan(i * bytes, bytes)};
    matrices.emplace_back(view, std::vector<float>{}, MatrixOptions{.isa = isa});
  }
  const std::string name = std::string(isa_name(isa)) + " dense " + std::string(dtype_name(dtype));
  for (const std::size_t batch : {1, 8, 64, 512}) {
    run(setup, name, shape, matrices, element_bytes, batch);
  }
}

void run_plain(const Setup& setup, const char* name, const Shape& shape, PlainProduct product) {
  const std::size_t bytes = shape.rows * shape.columns;
  const std::vector<float> x(shape.columns, 0.25F);
  std::vector<float> y(shape.rows);
  const std::size_t count = setup.weights.size() / bytes;
  Rates rates;
  for (int pass = 0; pass <= setup.repeats; ++pass) {
    for (std::size_t i = 0; i < count; ++i) {
      const auto* indices = reinterpret_cast<const std::uint8_t*>(setup.weights.data() + i * bytes);
      const double seconds = seconds_of([&] {
        product(setup.codebook.data(), indices, shape.rows, shape.columns, x.data(), y.data());
      });
      if (pass > 0) rates.add(static_cast<double>(bytes), seconds);
    }
  }
  std::printf("%-26s %5zu x %-5zu %5d  %7.2f (%6.2f)  one thread\n", name, shape.rows,
              shape.columns, 1, rates.median() / 1e9, rates.best() / 1e9);
}

// The codebook and, over and over, the indices of a Gaussian matrix.
void fill(Setup& setup) {
  std::mt19937 generator(7);
  std::normal_distribution<float> normal(0.0F, 0.02F);
  const auto draw = [&](std::size_t count) {
    std::vector<float> values(count);
    for (float& value : values) value = normal(generator);
    return values;
  };
  setup.jagged = draw(256);
  std::sort(setup.jagged.begin(), setup.jagged.end());
  const auto matrix = draw(std::size_t{2048} * 2048);
  const TensorView view{DType::kF32, {2048, 2048}, std::as_bytes(std::span(matrix))};
  CompressedTensor codes = encode(view, {});
  setup.codebook = std::move(codes.codebook);
  for (std::size_t i = 0; i < setup.weights.size(); i += codes.indices.size()) {
    std::copy(codes.indices.begin(), codes.indices.end(), setup.weights.begin() + i);
  }
}

int main_with(int threads, int repeats, const std::string& only) {
  ThreadPool pool(static_cast<std::size_t>(threads));
  Setup setup{repeats, pool, LargeVector<std::byte>(kWorkingSet), {}, {}};
  fill(setup);
  setup.reading = fastest_reading(setup);
  std::printf("%-26s %13s %5s  %16s  %7s  %7s  %8s  %8s  %7s\n", "product", "shape", "batch",
              "GB/s (best)", "reading", "of it", "GFLOP/s", "dots", "of them");
  const Shape shapes[] = {{2048, 2048}, {256, 2048}, {5632, 2048}, {2048, 5632}};
  for (const Isa isa : available_isas()) {
    if (!only.empty() && only != isa_name(isa)) continue;
    const std::string name(isa_name(isa));
    for (const Shape& shape : shapes) {
      run_codebooks(setup, name, setup.codebook, {.isa = isa}, shape);
    }
    run_codebooks(setup, name + " jagged", setup.jagged, {.isa = isa}, shapes[0]);
    run_codebooks(setup, name + " f32", setup.codebook, {.precision = Precision::kF32, .isa = isa},
                  shapes[0]);
    for (const DType dtype : {DType::kBF16, DType::kF16, DType::kF32}) {
      run_dense(setup, isa, dtype, shapes[0]);
    }
  }
  run_plain(setup, "plain loop", shapes[0], scalar_product);
  if (has_gather()) run_plain(setup, "AVX2 gather", shapes[0], gather_product);
  return 0;
}

}  // namespace
}  // namespace helix::bench

int main(int argc, char** argv) {
  const int threads = argc > 1 ? std::stoi(argv[1]) : static_cast<int>(helix::hardware_threads());
  const int repeats = argc > 2 ? std::stoi(argv[2]) : 5;
  return helix::bench::main_with(threads, repeats, argc > 3 ? argv[3] : "");
}
