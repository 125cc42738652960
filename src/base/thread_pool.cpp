#include "base/thread_pool.h"

#include <sched.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <exception>
#include <mutex>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

namespace helix {

std::size_t hardware_threads() noexcept {
  cpu_set_t allowed;
  if (::sched_getaffinity(0, sizeof(allowed), &allowed) == 0) {
    return std::max<std::size_t>(1, static_cast<std::size_t>(CPU_COUNT(&allowed)));
  }
  return std::max(1U, std::thread::hardware_concurrency());
}

namespace {

// About 20 to 80 microseconds: longer than what lies between two products of one token, and short
// enough not to matter to others.
constexpr int kSpins = 2000;

void relax() noexcept {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  __asm__ volatile("yield");
#endif
}

}  // namespace

// A run is open from its start until its caller has found no index left. Workers enter an open run
// once, take indices until none is left and leave; the caller waits for those inside only, so a
// worker that does not get a processor in time delays nobody.
struct ThreadPool::State {
  static constexpr std::uint64_t kWorker = 1;  // workers inside: the low 16 bits
  static constexpr std::uint64_t kWorkerMask = 0xffff;
  static constexpr std::uint64_t kOpen = std::uint64_t{1} << 16;
  static constexpr std::uint64_t kRun = std::uint64_t{1} << 17;  // the number of the run

  alignas(64) std::atomic<std::uint64_t> gate{0};
  alignas(64) std::atomic<std::size_t> next{0};
  alignas(64) const std::function<void(std::size_t)>* task = nullptr;
  std::size_t count = 0;
  std::atomic<std::size_t> sleeping{0};
  std::atomic<bool> stopping{false};
  std::mutex mutex;  // sleeping workers, and the failure
  std::condition_variable wake;
  std::size_t failed_index = 0;
  std::exception_ptr failure;
  std::vector<std::thread> workers;

  void work() {
    for (;;) {
      const std::size_t index = next.fetch_add(1, std::memory_order_relaxed);
      if (index >= count) return;
      try {
        (*task)(index);
      } catch (...) {
        const std::lock_guard lock(mutex);
        if (!failure || index < failed_index) {
          failure = std::current_exception();
          failed_index = index;
        }
        next.store(count, std::memory_order_relaxed);
      }
    }
  }

  // Whether there is an open run other than `last_run`.
  bool has_work(std::uint64_t last_run) const {
    const std::uint64_t now = gate.load();
    return (now & kOpen) != 0 && now / kRun != last_run;
  }

  void wait_for_work(std::uint64_t last_run) {
    for (int i = 0; i < kSpins; ++i) {
      if (has_work(last_run) || stopping.load(std::memory_order_relaxed)) return;
      relax();
    }
    std::unique_lock lock(mutex);
    ++sleeping;
    wake.wait(lock, [&] { return stopping.load() || has_work(last_run); });
    --sleeping;
  }

  void serve() {
    std::uint64_t last_run = 0;
    while (!stopping.load()) {
      wait_for_work(last_run);
      std::uint64_t now = gate.load();
      if ((now & kOpen) == 0 || now / kRun == last_run) continue;
      if (!gate.compare_exchange_strong(now, now + kWorker)) continue;
      last_run = now / kRun;
      work();
      gate.fetch_sub(kWorker, std::memory_order_release);
    }
  }

  void close_and_wait() {
    gate.fetch_and(~kOpen);
    for (int i = 0; (gate.load(std::memory_order_acquire) & kWorkerMask) != 0; ++i) {
      if (i < kSpins) {
        relax();
      } else {
        std::this_thread::yield();
      }
    }
  }

  void wake_sleepers() {
    if (sleeping.load() == 0) return;
    const std::lock_guard lock(mutex);
    wake.notify_all();
  }
};

ThreadPool::ThreadPool(std::size_t thread_count) : state_(std::make_unique<State>()) {
  if (thread_count > 1) state_->workers.reserve(thread_count - 1);
  try {
    for (std::size_t i = 1; i < thread_count; ++i) {
      state_->workers.emplace_back([state = state_.get()] { state->serve(); });
    }
  } catch (const std::system_error&) {  // the threads that there are will do
  }
}

ThreadPool::~ThreadPool() {
  {
    const std::lock_guard lock(state_->mutex);
    state_->stopping = true;
  }
  state_->wake.notify_all();
  for (std::thread& worker : state_->workers) worker.join();
}

std::size_t ThreadPool::thread_count() const noexcept { return state_->workers.size() + 1; }

void ThreadPool::run(std::size_t count, const std::function<void(std::size_t)>& task) {
  State& state = *state_;
  state.task = &task;
  state.count = count;
  state.next.store(0, std::memory_order_relaxed);
  if (count > 1 && !state.workers.empty()) {
    const std::uint64_t run = state.gate.load() / State::kRun + 1;
    state.gate.store(run * State::kRun + State::kOpen);
    state.wake_sleepers();
    state.work();
    state.close_and_wait();
  } else {
    state.work();
  }
  if (state.failure) std::rethrow_exception(std::exchange(state.failure, nullptr));
}

}  // namespace helix
