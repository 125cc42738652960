#pragma once

#include <cstddef>
#include <functional>
#include <memory>

namespace helix {

// The number of processors this process may use.
std::size_t hardware_threads() noexcept;

// A fixed set of worker threads, fewer than asked for where the system grants no more. The calling
// thread works too, so a pool of one starts no thread.
class ThreadPool {
 public:
  explicit ThreadPool(std::size_t thread_count);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  std::size_t thread_count() const noexcept;

  // Calls task(0) .. task(count - 1), handed out in ascending order, and returns when all are done.
  // After a task has thrown no further one starts, and the exception of the lowest index is
  // rethrown. One caller at a time; a task may not call run().
  void run(std::size_t count, const std::function<void(std::size_t)>& task);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace helix
