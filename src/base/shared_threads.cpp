#include "base/shared_threads.h"

#include <pthread.h>

#include <atomic>
#include <memory>

namespace helix {
namespace {

struct SharedPool {
  std::atomic_flag taken;
  std::size_t asked = 0;  // the system may grant fewer
  std::unique_ptr<ThreadPool> pool;
};

// Never destroyed: when a process ends, other threads may still be at work. After a fork the child
// leaves the parent's pool where it lies, because its threads do not exist there.
std::atomic<SharedPool*>& shared() {
  static std::atomic<SharedPool*> pool = [] {
    ::pthread_atfork(nullptr, nullptr, [] { shared() = new SharedPool; });
    return new SharedPool;
  }();
  return pool;
}

struct Return {
  SharedPool& shared;
  ~Return() { shared.taken.clear(std::memory_order_release); }
};

void run_alone(const std::function<void(ThreadPool&)>& work) {
  ThreadPool alone(1);
  work(alone);
}

}  // namespace

void with_shared_threads(std::size_t thread_count, const std::function<void(ThreadPool&)>& work) {
  const std::size_t count = thread_count == 0 ? hardware_threads() : thread_count;
  SharedPool& pool = *shared().load();
  if (count == 1 || pool.taken.test_and_set(std::memory_order_acquire)) return run_alone(work);
  const Return give_back{pool};
  if (pool.asked != count) {
    pool.asked = 0;
    pool.pool.reset();
    pool.pool = std::make_unique<ThreadPool>(count);
    pool.asked = count;
  }
  work(*pool.pool);
}

}  // namespace helix
