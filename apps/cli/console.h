#pragma once

#include <chrono>
#include <string>

#include "helix/progress.h"

namespace helix::cli {

// What every command shares: --quiet, --json, --threads.
struct CommonOptions {
  bool quiet = false;
  bool json = false;
  std::size_t threads = 0;
};

// Standard error as a user sees it: a bar with rate and time left on a terminal, a line per stage
// elsewhere, warnings always. Also owns the cancellation that Ctrl-C asks for.
class Console {
 public:
  explicit Console(const CommonOptions& options);
  ~Console();
  Console(const Console&) = delete;
  Console& operator=(const Console&) = delete;

  // Valid as long as the console.
  Hooks hooks();

 private:
  void show(const ProgressEvent& event);
  void draw(const ProgressEvent& event, double seconds);
  void clear_line();
  void warn(LogLevel level, std::string_view message);

  const bool quiet_;
  const bool terminal_;
  std::string stage_;
  std::chrono::steady_clock::time_point stage_start_;
  std::chrono::steady_clock::time_point last_drawn_;
  bool line_open_ = false;
};

// Opens /dev/null, the wrong way round so that its use is an error, where the caller has closed one
// of the three standard descriptors: no file that is opened later may take its place.
void occupy_standard_descriptors();

// Ctrl-C and SIGTERM set the token that hooks() hands out; a second Ctrl-C ends the process at
// once.
void install_signal_handlers();

// Waits until the descriptor has something to read or ends; throws Error(kCancelled) after Ctrl-C,
// also one that came before.
void wait_for_input(int descriptor);

}  // namespace helix::cli
