#include "base/thread_pool.h"

#include <sched.h>

#include <algorithm>
#include <condition_variable>
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

struct ThreadPool::State {
  std::mutex mutex;
  std::condition_variable wake;
  std::condition_variable idle;
  const std::function<void(std::size_t)>* task = nullptr;
  std::size_t next = 0;
  std::size_t count = 0;
  std::size_t active = 0;
  std::size_t failed_index = 0;
  std::exception_ptr failure;
  bool stopping = false;
  std::vector<std::thread> workers;

  // Takes indices until none is left. Called and returns with the lock held.
  void work(std::unique_lock<std::mutex>& lock) {
    while (next < count) {
      const std::size_t index = next++;
      ++active;
      lock.unlock();
      std::exception_ptr fault;
      try {
        (*task)(index);
      } catch (...) {
        fault = std::current_exception();
      }
      lock.lock();
      --active;
      if (fault) {
        if (!failure || index < failed_index) {
          failure = fault;
          failed_index = index;
        }
        next = count;
      }
    }
    if (active == 0) idle.notify_all();
  }

  // A worker's life.
  void serve() {
    std::unique_lock lock(mutex);
    for (;;) {
      wake.wait(lock, [&] { return stopping || next < count; });
      if (stopping) return;
      work(lock);
    }
  }
};

ThreadPool::ThreadPool(std::size_t thread_count) : state_(std::make_unique<State>()) {
  state_->workers.reserve(thread_count);
  for (std::size_t i = 1; i < thread_count; ++i) {
    try {
      state_->workers.emplace_back([state = state_.get()] { state->serve(); });
    } catch (const std::system_error&) {
      return;  // the system grants no more threads: those there are do the work
    }
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
  std::unique_lock lock(state_->mutex);
  state_->task = &task;
  state_->next = 0;
  state_->count = count;
  state_->failure = nullptr;
  state_->wake.notify_all();
  state_->work(lock);
  state_->idle.wait(lock, [&] { return state_->active == 0; });
  state_->count = 0;
  state_->next = 0;
  if (state_->failure) std::rethrow_exception(std::exchange(state_->failure, nullptr));
}

}  // namespace helix
