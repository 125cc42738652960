#include "long_work.h"

#include <chrono>
#include <condition_variable>
#include <exception>
#include <mutex>
#include <string>
#include <thread>

namespace nb = nanobind;

namespace helix::python {
namespace {

constexpr auto kBetweenLooks = std::chrono::milliseconds(50);

nb::str text(std::string_view value) {
  return nb::steal<nb::str>(
      PyUnicode_DecodeFSDefaultAndSize(value.data(), static_cast<Py_ssize_t>(value.size())));
}

Hooks hooks_for(const Callbacks& callbacks, const CancelToken& cancel) {
  Hooks hooks;
  hooks.cancel = &cancel;
  if (!callbacks.progress.is_none()) {
    hooks.progress = [&callbacks](const ProgressEvent& event) {
      const nb::gil_scoped_acquire interpreter;
      callbacks.progress(text(event.stage), text(event.item), event.done_bytes, event.total_bytes,
                         text(event.unit.empty() ? "B" : event.unit));
    };
  }
  if (!callbacks.log.is_none()) {
    hooks.log = [&callbacks](LogLevel level, std::string_view message) {
      const nb::gil_scoped_acquire interpreter;
      callbacks.log(level == LogLevel::kWarning ? "warning" : "info", text(message));
    };
  }
  return hooks;
}

// The Python error that a signal handler raised, if one came.
std::exception_ptr pending_signal() {
  const nb::gil_scoped_acquire interpreter;
  if (PyErr_CheckSignals() == 0) return nullptr;
  try {
    nb::raise_python_error();
  } catch (...) {
    return std::current_exception();
  }
}

// A thread that runs a function once.
class Worker {
 public:
  explicit Worker(std::function<void()> work)
      : thread_([this, work = std::move(work)] {
          try {
            work();
          } catch (...) {
            failure_ = std::current_exception();
          }
          const std::lock_guard lock(mutex_);
          done_ = true;
          finished_.notify_one();
        }) {}

  bool wait_for(std::chrono::milliseconds time) {
    std::unique_lock lock(mutex_);
    return finished_.wait_for(lock, time, [this] { return done_; });
  }

  // What the work threw, or null.
  std::exception_ptr join() {
    thread_.join();
    return failure_;
  }

 private:
  std::mutex mutex_;
  std::condition_variable finished_;
  bool done_ = false;
  std::exception_ptr failure_;
  std::thread thread_;  // last: it uses the others
};

}  // namespace

void run_interruptibly(const Callbacks& callbacks, const std::function<void(const Hooks&)>& work) {
  CancelToken cancel;
  const Hooks hooks = hooks_for(callbacks, cancel);
  std::exception_ptr failure;
  std::exception_ptr signal;
  {
    const nb::gil_scoped_release no_interpreter;
    Worker worker([&] { work(hooks); });
    while (!worker.wait_for(kBetweenLooks)) {
      if (signal) continue;
      signal = pending_signal();
      if (signal) cancel.cancel();
    }
    failure = worker.join();
  }
  if (signal) std::rethrow_exception(signal);
  if (failure) std::rethrow_exception(failure);
}

}  // namespace helix::python
