// Matrix products over TinyLlama's shapes on every instruction set this machine has, beside what
// the memory and the dot units can give. Usage: helix_kernels_bench [THREADS [REPEATS [ISA]]]
//
// The matrices of one shape take more memory together than the caches hold and are read one after
// the other, as in decoding. GB/s count bytes of indices; the best of REPEATS passes and, in
// brackets, the slowest.

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <functional>
#include <limits>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "base/thread_pool.h"
#include "helix/tensor.h"
#include "kernels/codebook_matmul.h"
#include "kernels/dense_matmul.h"
#include "kernels_peaks.h"

namespace helix::bench {
namespace {

constexpr std::size_t kWorkingSet = std::size_t{192} << 20;

struct Times {
  double best = std::numeric_limits<double>::infinity();
  double worst = 0.0;
};

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

Times measure(int repeats, const std::function<void()>& pass) {
  pass();
  Times times;
  for (int i = 0; i < repeats; ++i) {
    const double seconds = seconds_of(pass);
    times.best = std::min(times.best, seconds);
    times.worst = std::max(times.worst, seconds);
  }
  return times;
}

struct Shape {
  std::size_t rows;
  std::size_t columns;
};

struct Setup {
  int repeats;
  ThreadPool& pool;
  std::vector<std::byte> weights;  // indices, or BF16 numbers
  std::vector<float> codebook;
  double bandwidth = 0.0;  // bytes per second
  double dots = 0.0;       // operations per second of all threads
};

CompressedTensor slice(const Setup& setup, const Shape& shape, std::size_t number) {
  CompressedTensor tensor;
  tensor.rows = shape.rows;
  tensor.columns = shape.columns;
  tensor.codebook = setup.codebook;
  const std::size_t bytes = shape.rows * shape.columns;
  tensor.indices = std::span(setup.weights).subspan(number * bytes, bytes);
  return tensor;
}

template <typename Matrix>
void run(const Setup& setup, const std::string& name, const Shape& shape,
         const std::vector<Matrix>& matrices, std::size_t element_bytes, std::size_t batch) {
  const std::vector<float> x(batch * shape.columns, 0.25F);
  std::vector<float> y(batch * shape.rows);
  // Large batches wait for arithmetic, not for memory: a few matrices do.
  const double work = 2.0 * static_cast<double>(batch * shape.rows * shape.columns);
  const auto wanted = static_cast<std::size_t>(1.0 + 1e10 / work);
  const std::size_t count = std::min(matrices.size(), wanted);
  const Times times = measure(setup.repeats, [&] {
    for (std::size_t i = 0; i < count; ++i) matrices[i].multiply(x, batch, y, setup.pool);
  });
  const double bytes = static_cast<double>(count * shape.rows * shape.columns * element_bytes);
  const double operations = work * static_cast<double>(count);
  std::printf("%-26s %5zu x %-5zu %5zu  %7.2f (%6.2f)  %5.1f %%  %8.1f  %5.1f %%\n", name.c_str(),
              shape.rows, shape.columns, batch, bytes / times.best / 1e9, bytes / times.worst / 1e9,
              100.0 * bytes / times.best / setup.bandwidth, operations / times.best / 1e9,
              setup.dots > 0.0 ? 100.0 * operations / times.best / setup.dots : 0.0);
  std::fflush(stdout);
}

void run_codebooks(const Setup& setup, Isa isa, Precision precision, const Shape& shape) {
  std::vector<CodebookMatrix> matrices;
  const std::size_t bytes = shape.rows * shape.columns;
  for (std::size_t i = 0; (i + 1) * bytes <= setup.weights.size(); ++i) {
    matrices.emplace_back(slice(setup, shape, i), std::vector<float>{},
                          MatrixOptions{.precision = precision, .isa = isa});
  }
  const std::string name =
      std::string(isa_name(isa)) + (precision == Precision::kF32 ? " f32" : "");
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
  const Times times = measure(setup.repeats, [&] {
    for (std::size_t i = 0; i < count; ++i) {
      const auto* indices = reinterpret_cast<const std::uint8_t*>(setup.weights.data() + i * bytes);
      product(setup.codebook.data(), indices, shape.rows, shape.columns, x.data(), y.data());
    }
  });
  const double total = static_cast<double>(count * bytes);
  std::printf("%-26s %5zu x %-5zu %5d  %7.2f (%6.2f)  one thread\n", name, shape.rows,
              shape.columns, 1, total / times.best / 1e9, total / times.worst / 1e9);
}

void fill(Setup& setup) {
  std::mt19937_64 generator(7);
  for (std::size_t i = 0; i + 8 <= setup.weights.size(); i += 8) {
    const std::uint64_t bits = generator() & 0xbfffbfffbfffbfffULL;  // no NaN among BF16 numbers
    std::copy_n(reinterpret_cast<const std::byte*>(&bits), 8, setup.weights.data() + i);
  }
  std::normal_distribution<float> normal(0.0F, 0.02F);
  setup.codebook.resize(256);
  for (float& value : setup.codebook) value = normal(generator);
  std::sort(setup.codebook.begin(), setup.codebook.end());
}

double measure_bandwidth(const Setup& setup) {
  const std::size_t part = setup.weights.size() / 64;
  const Times times = measure(setup.repeats, [&] {
    setup.pool.run(64, [&](std::size_t i) { read_all(setup.weights.data() + i * part, part); });
  });
  return static_cast<double>(64 * part) / times.best;
}

double measure_dots(const Setup& setup) {
  if (!has_dot_unit()) return 0.0;
  const std::size_t threads = setup.pool.thread_count();
  const Times times = measure(
      setup.repeats, [&] { setup.pool.run(threads, [&](std::size_t) { run_dots(2'000'000); }); });
  return static_cast<double>(threads) * dot_operations(2'000'000) / times.best;
}

int main_with(int threads, int repeats, const std::string& only) {
  ThreadPool pool(static_cast<std::size_t>(threads));
  Setup setup{repeats, pool, std::vector<std::byte>(kWorkingSet), {}};
  fill(setup);
  setup.bandwidth = measure_bandwidth(setup);
  setup.dots = measure_dots(setup);
  std::printf("threads %d, read bandwidth %.2f GB/s, BF16 dot peak %.1f GFLOP/s\n\n", threads,
              setup.bandwidth / 1e9, setup.dots / 1e9);
  std::printf("%-26s %13s %5s  %16s  %7s  %8s  %7s\n", "product", "shape", "batch", "GB/s (worst)",
              "of read", "GFLOP/s", "of dots");
  const Shape shapes[] = {{2048, 2048}, {256, 2048}, {5632, 2048}, {2048, 5632}};
  for (const Isa isa : available_isas()) {
    if (!only.empty() && only != isa_name(isa)) continue;
    for (const Shape& shape : shapes) run_codebooks(setup, isa, Precision::kBf16, shape);
    run_codebooks(setup, isa, Precision::kF32, shapes[0]);
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
  const int threads = argc > 1 ? std::atoi(argv[1]) : static_cast<int>(helix::hardware_threads());
  const int repeats = argc > 2 ? std::atoi(argv[2]) : 5;
  return helix::bench::main_with(threads, repeats, argc > 3 ? argv[3] : "");
}
