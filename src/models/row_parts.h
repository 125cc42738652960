#pragma once

#include <algorithm>
#include <cstddef>
#include <functional>

#include "base/thread_pool.h"

namespace helix {

// Calls task(begin, end) for parts of [0, rows), on several threads where there are many rows.
inline void split_rows(std::size_t rows, ThreadPool& pool,
                       const std::function<void(std::size_t, std::size_t)>& task) {
  constexpr std::size_t kAtOnce = 8;
  if (rows <= kAtOnce) return task(0, rows);
  pool.run((rows + kAtOnce - 1) / kAtOnce,
           [&](std::size_t part) { task(part * kAtOnce, std::min(rows, (part + 1) * kAtOnce)); });
}

}  // namespace helix
