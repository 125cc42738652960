#include "console.h"

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdio>

#include "text.h"

namespace helix::cli {
namespace {

CancelToken cancel_token;
int wake_pipe[2] = {-1, -1};  // what the handler writes ends a wait for input

extern "C" void handle_signal(int signal) {
  const int fault = errno;
  if (cancel_token.cancelled()) {
    std::signal(signal, SIG_DFL);
    std::raise(signal);
  }
  cancel_token.cancel();
  [[maybe_unused]] const ssize_t written = ::write(wake_pipe[1], "", 1);
  errno = fault;
}

// "1.5 GB", "1200 tokens"
std::string amount_text(double amount, std::string_view unit) {
  const auto whole = static_cast<std::uint64_t>(amount);
  return unit.empty() ? bytes_text(whole) : std::to_string(whole) + " " + std::string(unit);
}

std::string amount_text(std::uint64_t amount, std::string_view unit) {
  return amount_text(static_cast<double>(amount), unit);
}

}  // namespace

void occupy_standard_descriptors() {
  for (int descriptor = 0; descriptor < 3; ++descriptor) {
    if (::fcntl(descriptor, F_GETFD) >= 0) continue;
    // The lowest free number is the closed one.
    if (::open("/dev/null", descriptor == STDIN_FILENO ? O_WRONLY : O_RDONLY) < 0) return;
  }
}

void wait_for_input(int descriptor) {
  pollfd sources[] = {{.fd = descriptor, .events = POLLIN, .revents = 0},
                      {.fd = wake_pipe[0], .events = POLLIN, .revents = 0}};
  while (::poll(sources, 2, -1) < 0 && errno == EINTR) {
  }
  Hooks hooks;
  hooks.cancel = &cancel_token;
  hooks.check_cancelled();
}

void install_signal_handlers() {
  if (::pipe2(wake_pipe, O_CLOEXEC | O_NONBLOCK) != 0) wake_pipe[0] = wake_pipe[1] = -1;
  struct sigaction action {};
  action.sa_handler = handle_signal;
  ::sigaction(SIGINT, &action, nullptr);
  ::sigaction(SIGTERM, &action, nullptr);
  std::signal(SIGPIPE, SIG_IGN);
  std::signal(SIGXFSZ, SIG_IGN);
}

Console::Console(const CommonOptions& options)
    : quiet_(options.quiet), terminal_(::isatty(STDERR_FILENO) == 1) {}

Console::~Console() { clear_line(); }

Hooks Console::hooks() {
  Hooks hooks;
  if (!quiet_) hooks.progress = [this](const ProgressEvent& event) { show(event); };
  hooks.log = [this](LogLevel level, std::string_view message) { warn(level, message); };
  hooks.cancel = &cancel_token;
  return hooks;
}

void Console::show(const ProgressEvent& event) {
  using namespace std::chrono_literals;
  const auto now = std::chrono::steady_clock::now();
  if (stage_ != event.stage) {
    stage_ = event.stage;
    stage_start_ = now;
    last_drawn_ = now - 1s;
  }
  const double seconds = std::chrono::duration<double>(now - stage_start_).count();
  const bool finished = event.done_bytes >= event.total_bytes;
  if (terminal_) {
    if (finished || now - last_drawn_ >= 100ms) {
      draw(event, seconds);
      last_drawn_ = now;
    }
    if (finished) clear_line();  // what is printed next begins on a clean line
  } else if (finished || now - last_drawn_ >= 11s) {
    std::fprintf(stderr, "%s: %s of %s in %s\n", stage_.c_str(),
                 amount_text(event.done_bytes, event.unit).c_str(),
                 amount_text(event.total_bytes, event.unit).c_str(),
                 duration_text(seconds).c_str());
    last_drawn_ = now;
  }
}

void Console::draw(const ProgressEvent& event, double seconds) {
  constexpr std::size_t kWidth = 30;
  const double share = event.total_bytes == 0 ? 1.0
                                              : static_cast<double>(event.done_bytes) /
                                                    static_cast<double>(event.total_bytes);
  const auto filled = static_cast<std::size_t>(share * kWidth);
  const double rate = seconds > 0.0 ? static_cast<double>(event.done_bytes) / seconds : 0.0;
  const double left =
      rate > 0.0 ? static_cast<double>(event.total_bytes - event.done_bytes) / rate : 0.0;
  std::fprintf(stderr, "\r\x1b[K%-10s [%s%s] %3.0f %%  %s/s  %s left", stage_.c_str(),
               std::string(filled, '#').c_str(), std::string(kWidth - filled, ' ').c_str(),
               share * 100.0, amount_text(rate, event.unit).c_str(), duration_text(left).c_str());
  std::fflush(stderr);
  line_open_ = true;
}

void Console::clear_line() {
  if (line_open_) {
    std::fputs("\r\x1b[K", stderr);
    std::fflush(stderr);
  }
  line_open_ = false;
}

void Console::warn(LogLevel level, std::string_view message) {
  if (level == LogLevel::kInfo && quiet_) return;
  clear_line();
  std::fprintf(stderr, "%s%.*s\n", level == LogLevel::kWarning ? "warning: " : "",
               static_cast<int>(message.size()), message.data());
}

}  // namespace helix::cli
