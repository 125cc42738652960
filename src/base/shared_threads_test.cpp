#include "base/shared_threads.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <numeric>
#include <stdexcept>
#include <thread>
#include <vector>

namespace helix {
namespace {

std::size_t sum_with(std::size_t threads, std::size_t count) {
  std::vector<std::size_t> values(count);
  with_shared_threads(
      threads, [&](ThreadPool& pool) { pool.run(count, [&](std::size_t i) { values[i] = i; }); });
  return std::accumulate(values.begin(), values.end(), std::size_t{0});
}

TEST(SharedThreads, AnyNumberOfThreads) {
  for (const std::size_t threads : {0, 1, 2, 5, 3}) EXPECT_EQ(sum_with(threads, 100), 4950U);
}

TEST(SharedThreads, CallersAtOnce) {
  std::atomic<int> wrong = 0;
  std::vector<std::thread> callers;
  for (int i = 0; i < 8; ++i) {
    callers.emplace_back([&wrong, i] {
      for (int j = 0; j < 200; ++j) {
        wrong += sum_with(static_cast<std::size_t>(2 + i % 2), 50) == 1225 ? 0 : 1;
      }
    });
  }
  for (auto& caller : callers) caller.join();
  EXPECT_EQ(wrong, 0);
}

TEST(SharedThreads, NestedCallsGetTheirOwnThread) {
  with_shared_threads(3, [](ThreadPool& outer) {
    EXPECT_EQ(outer.thread_count(), 3U);
    with_shared_threads(3, [](ThreadPool& inner) { EXPECT_EQ(inner.thread_count(), 1U); });
  });
}

TEST(SharedThreads, AnExceptionGivesThePoolBack) {
  EXPECT_THROW(with_shared_threads(2, [](ThreadPool&) { throw std::runtime_error("fault"); }),
               std::runtime_error);
  with_shared_threads(2, [](ThreadPool& pool) { EXPECT_EQ(pool.thread_count(), 2U); });
}

TEST(SharedThreads, AForkedChildHasThreadsOfItsOwn) {
#if defined(__SANITIZE_THREAD__)
  GTEST_SKIP() << "ThreadSanitizer allows no new threads after a fork";
#endif
  EXPECT_EQ(sum_with(3, 100), 4950U);
  const pid_t child = ::fork();
  if (child == 0) ::_exit(sum_with(3, 100) == 4950 ? 0 : 1);
  int status = -1;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
}

}  // namespace
}  // namespace helix
