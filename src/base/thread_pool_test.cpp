#include "base/thread_pool.h"

#include <gtest/gtest.h>
#include <sys/resource.h>

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <memory>
#include <mutex>
#include <set>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

namespace helix {
namespace {

class ThreadPoolOf : public ::testing::TestWithParam<std::size_t> {};
INSTANTIATE_TEST_SUITE_P(Sizes, ThreadPoolOf, ::testing::Values(1, 2, 7));

TEST_P(ThreadPoolOf, runs_every_task_once) {
  ThreadPool pool(GetParam());
  EXPECT_EQ(pool.thread_count(), GetParam());
  for (const std::size_t count : {0U, 1U, 5U, 1000U}) {
    const auto runs = std::make_unique<std::atomic<int>[]>(count + 1);
    pool.run(count, [&](std::size_t index) { ++runs[index]; });
    for (std::size_t i = 0; i < count; ++i) EXPECT_EQ(runs[i], 1) << "task " << i;
    EXPECT_EQ(runs[count], 0);
  }
}

TEST_P(ThreadPoolOf, hands_out_indices_in_ascending_order) {
  ThreadPool pool(GetParam());
  std::mutex mutex;
  std::set<std::thread::id> threads;
  bool ascending = true;
  pool.run(500, [&](std::size_t index) {
    thread_local std::size_t previous = 0;
    const std::lock_guard lock(mutex);
    if (threads.insert(std::this_thread::get_id()).second) previous = index;
    ascending = ascending && index >= previous;
    previous = index;
  });
  EXPECT_TRUE(ascending);
  EXPECT_LE(threads.size(), GetParam());
}

TEST_P(ThreadPoolOf, rethrows_the_failure_of_the_lowest_index_and_goes_on_working) {
  ThreadPool pool(GetParam());
  for (int round = 0; round < 50; ++round) {
    std::atomic<std::size_t> after{0};
    try {
      pool.run(1000, [&](std::size_t index) {
        if (index > 20) ++after;
        if (index >= 10) throw std::runtime_error(std::to_string(index));
      });
      ADD_FAILURE() << "nothing was thrown";
    } catch (const std::runtime_error& error) {
      EXPECT_STREQ(error.what(), "10");
    }
    EXPECT_LE(after, GetParam());  // no task starts after one has failed
  }
  std::atomic<int> count{0};
  pool.run(100, [&](std::size_t) { ++count; });
  EXPECT_EQ(count, 100);
}

// Workers watch for the next run for a while and then sleep: both must see it.
TEST_P(ThreadPoolOf, serves_runs_in_quick_succession_and_after_a_pause) {
  ThreadPool pool(GetParam());
  std::atomic<std::size_t> sum{0};
  std::size_t expected = 0;
  for (std::size_t round = 0; round < 2000; ++round) {
    const std::size_t count = round % 7;
    pool.run(count, [&](std::size_t index) { sum += index + round; });
    for (std::size_t i = 0; i < count; ++i) expected += i + round;
    if (round % 500 == 499) std::this_thread::sleep_for(std::chrono::milliseconds(30));
    ASSERT_EQ(sum, expected) << "round " << round;
  }
}

// What a task wrote is seen by the caller, and the other way round, without further care.
TEST_P(ThreadPoolOf, orders_memory_between_caller_and_tasks) {
  ThreadPool pool(GetParam());
  std::vector<std::size_t> values(64);
  for (std::size_t round = 0; round < 500; ++round) {
    pool.run(values.size(), [&](std::size_t index) { values[index] += index; });
    for (std::size_t i = 0; i < values.size(); ++i) ASSERT_EQ(values[i], i * (round + 1));
  }
}

TEST(ThreadPool, of_zero_is_a_pool_of_one) {
  ThreadPool pool(0);
  EXPECT_EQ(pool.thread_count(), 1U);
  std::size_t sum = 0;
  pool.run(5, [&](std::size_t index) { sum += index; });
  EXPECT_EQ(sum, 10U);
}

TEST(ThreadPool, of_one_works_on_the_calling_thread) {
  ThreadPool pool(1);
  const auto self = std::this_thread::get_id();
  pool.run(3, [&](std::size_t) { EXPECT_EQ(std::this_thread::get_id(), self); });
}

TEST(HardwareThreads, is_at_least_one) { EXPECT_GE(hardware_threads(), 1U); }

TEST(ThreadPool, takes_the_threads_that_the_system_grants) {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  GTEST_SKIP() << "a sanitizer needs the address space";
#endif
  const auto run_in_little_space = [] {
    const rlimit limit = {512U << 20, 512U << 20};  // a thread takes 8 MB of stack
    if (::setrlimit(RLIMIT_AS, &limit) != 0) std::_Exit(2);
    ThreadPool pool(1000);
    std::atomic<int> runs = 0;
    pool.run(100, [&](std::size_t) { ++runs; });
    std::_Exit(pool.thread_count() < 1000 && runs == 100 ? 0 : 1);
  };
  EXPECT_EXIT(run_in_little_space(), ::testing::ExitedWithCode(0), "");
}

}  // namespace
}  // namespace helix
