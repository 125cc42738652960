#pragma once

#include <cstddef>
#include <functional>

#include "base/thread_pool.h"

namespace helix {

// Calls work(pool) with a pool of `thread_count` threads (0: one per processor) for callers that
// have none of their own. The process keeps one pool. Callers may come from any number of threads
// at once: one gets the pool, the others meanwhile a pool of their own thread alone, so that nobody
// waits and the processors are not oversubscribed. Kernels give the same result on either. A
// nested call counts as one at once. A child made by fork() starts a pool of its own.
void with_shared_threads(std::size_t thread_count, const std::function<void(ThreadPool&)>& work);

}  // namespace helix
