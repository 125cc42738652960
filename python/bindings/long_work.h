#pragma once

#include <nanobind/nanobind.h>

#include <functional>

#include "helix/progress.h"

namespace helix::python {

// What long work calls in Python; each is None or a function.
struct Callbacks {
  nanobind::object progress;  // (stage, item, done, total, unit)
  nanobind::object log;       // (level: "info" or "warning", message)
};

// Runs work(hooks) on a thread of its own, without the interpreter, while the calling thread waits
// and looks for signals: after Ctrl-C the work is cancelled, its end awaited and KeyboardInterrupt
// raised. What `work` or a callback throws is thrown here. Call it with the interpreter held.
void run_interruptibly(const Callbacks& callbacks, const std::function<void(const Hooks&)>& work);

}  // namespace helix::python
