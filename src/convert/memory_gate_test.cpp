#include "convert/memory_gate.h"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>
#include <vector>

namespace helix {
namespace {

TEST(MemoryGate, NeverHoldsMoreThanTheBudget) {
  constexpr std::uint64_t kBudget = 100;
  MemoryGate gate(kBudget);
  std::atomic<std::uint64_t> used{0};
  std::atomic<std::uint64_t> most{0};
  std::atomic<int> passes{0};
  std::vector<std::thread> threads;
  for (std::uint64_t thread = 0; thread < 6; ++thread) {
    threads.emplace_back([&, thread] {
      for (std::uint64_t i = 0; i < 200; ++i) {
        const std::uint64_t bytes = 10 + (i * 13 + thread * 7) % 60;
        const MemoryGate::Pass pass(gate, bytes);
        const std::uint64_t now = used += bytes;
        for (std::uint64_t seen = most; now > seen && !most.compare_exchange_weak(seen, now);) {
        }
        std::this_thread::yield();
        used -= bytes;
        ++passes;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(passes, 1200);
  EXPECT_LE(most, kBudget);
  EXPECT_GT(most, 60U);  // more than one at a time
}

TEST(MemoryGate, LetsALargerOneThroughAlone) {
  MemoryGate gate(100);
  std::atomic<bool> inside{false};
  std::thread waiting;
  {
    const MemoryGate::Pass small(gate, 1);
    waiting = std::thread([&] {
      const MemoryGate::Pass large(gate, 1000);
      inside = true;
    });
    const MemoryGate::Pass other(gate, 99);
    EXPECT_FALSE(inside);
  }
  waiting.join();
  EXPECT_TRUE(inside);
}

}  // namespace
}  // namespace helix
