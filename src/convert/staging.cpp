#include "convert/staging.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "base/file.h"
#include "base/message.h"
#include "convert/journal.h"

namespace helix {
namespace {

namespace fs = std::filesystem;

fs::path with_suffix(const fs::path& path, const char* suffix) {
  return path.parent_path() / (path.filename().string() + suffix);
}

bool is_inside(const fs::path& inner, const fs::path& outer) {
  const fs::path relative = inner.lexically_relative(outer);
  return !relative.empty() && *relative.begin() != "..";
}

bool overlap(const fs::path& a, const fs::path& b) {
  const fs::path first = fs::weakly_canonical(a);
  const fs::path second = fs::weakly_canonical(b);
  return is_inside(first, second) || is_inside(second, first);
}

bool is_occupied(const fs::path& path) {
  return fs::exists(fs::symlink_status(path)) && !(fs::is_directory(path) && fs::is_empty(path));
}

// A link goes without what it points to. What else is no model folder may be anything, a home say.
bool may_be_replaced(const fs::path& path) {
  return fs::is_symlink(path) || fs::exists(path / "config.json");
}

void move(const fs::path& from, const fs::path& to) {
  std::error_code fault;
  fs::rename(from, to, fault);
  if (fault) {
    throw_error(ErrorCode::kIoError, from.string(), ": cannot rename to ", to.string(), ": ",
                fault.message());
  }
}

// A journal that was removed after it was opened: a lock on it keeps nobody out.
bool is_removed(int descriptor, const fs::path& path) {
  struct stat opened {};
  struct stat named {};
  return ::fstat(descriptor, &opened) != 0 || ::stat(path.c_str(), &named) != 0 ||
         opened.st_ino != named.st_ino || opened.st_dev != named.st_dev;
}

}  // namespace

Staging::Staging(const fs::path& source, const fs::path& destination, const Options& options)
    : options_(options) {
  destination_ = fs::absolute(destination).lexically_normal();
  if (!destination_.has_filename()) destination_ = destination_.parent_path();
  folder_ = with_suffix(destination_, ".hxq-partial");
  journal_ = with_suffix(destination_, ".hxq-journal");
  replaced_ = with_suffix(destination_, ".hxq-replaced");
  check_siblings(source);
  const bool interrupted = fs::exists(journal_);
  if (!interrupted && fs::exists(folder_)) {
    throw_error(ErrorCode::kInvalidArgument, folder_.string(),
                ": is in the way, and no journal says whose it is");
  }
  // An empty journal belongs to a run that had nothing finished, or that cannot be resumed.
  const bool has_finished = interrupted && !fs::is_empty(journal_);
  already_published_ = options.resume && has_finished && !fs::exists(folder_) &&
                       fs::exists(destination_ / "config.json");
  if (has_finished && !fs::exists(folder_) && !is_journal(journal_)) {
    throw_error(ErrorCode::kInvalidArgument, journal_.string(),
                ": is in the way, and no journal of a run");
  }
  check_destination();
  if (interrupted && !options.resume && !options.force && (options.resumable || has_finished)) {
    throw_error(ErrorCode::kInvalidArgument, folder_.string(), ": an interrupted run left this; ",
                options.resumable ? "--resume continues it, --force starts again"
                                  : "helix compress --resume continues it, --force gives it up");
  }
  keep_ = options.resume && interrupted;
  std::error_code fault;
  fs::create_directories(destination_.parent_path(), fault);
  if (fault) {
    throw_error(ErrorCode::kIoError, destination_.parent_path().string(),
                ": cannot create: ", fault.message());
  }
  lock();
  try {
    prepare();
  } catch (...) {
    release();
    throw;
  }
}

Staging::~Staging() { release(); }

void Staging::check_siblings(const fs::path& source) const {
  for (const fs::path& ours : {destination_, folder_, replaced_}) {
    if (!overlap(source, ours)) continue;
    throw_error(ErrorCode::kInvalidArgument, "source ", source.string(), " and destination ",
                ours.string(), " overlap");
  }
}

void Staging::check_destination() {
  if (already_published_ || !is_occupied(destination_)) return;
  const bool replaceable = may_be_replaced(destination_);
  if (options_.force && replaceable) return;
  throw_error(ErrorCode::kInvalidArgument, destination_.string(), ": exists already",
              replaceable ? "; use --force to replace it"
                          : " and is no model folder: it has no config.json");
}

void Staging::lock() {
  lock_ = ::open(journal_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666);
  if (lock_ < 0)
    throw_error(ErrorCode::kIoError, journal_.string(), ": cannot create: ", std::strerror(errno));
  const bool locked = ::flock(lock_, LOCK_EX | LOCK_NB) == 0;
  const int fault = locked ? EWOULDBLOCK : errno;
  if (locked && !is_removed(lock_, journal_)) return;
  ::close(lock_);
  lock_ = -1;
  if (fault != EWOULDBLOCK)
    throw_error(ErrorCode::kIoError, journal_.string(), ": cannot lock: ", std::strerror(fault));
  throw_error(ErrorCode::kInvalidArgument, destination_.string(),
              ": another process is writing it");
}

void Staging::prepare() {
  if (already_published_) return;
  if (!options_.resume) drop_leftovers();
  check_destination();  // once more: another run may have finished, an old output is back
  std::error_code fault;
  fs::create_directory(folder_, fault);
  if (fault)
    throw_error(ErrorCode::kIoError, folder_.string(), ": cannot create: ", fault.message());
}

void Staging::drop_leftovers() {
  fs::resize_file(journal_, 0);  // first: what it speaks of goes now
  // A replacement that was stopped half-way: the old output counts until the new one is there.
  if (fs::exists(replaced_) && !fs::exists(destination_)) move(replaced_, destination_);
  fs::remove_all(replaced_);
  fs::remove_all(folder_);
}

void Staging::remove_all_but(const std::set<std::string>& names) const {
  for (const auto& entry : fs::directory_iterator(folder_)) {
    if (!names.contains(entry.path().filename().string())) fs::remove_all(entry.path());
  }
}

void Staging::release() noexcept {
  if (lock_ < 0) return;
  if (!published_ && !already_published_ && !keep_) {
    std::error_code ignored;
    fs::remove_all(folder_, ignored);
    fs::remove(journal_, ignored);
  }
  ::close(lock_);
  lock_ = -1;
}

void Staging::publish() {
  if (!already_published_) {
    sync_folder(folder_);
    if (fs::exists(fs::symlink_status(destination_))) {
      if (is_occupied(destination_)) {
        fs::remove_all(replaced_);
        move(destination_, replaced_);
      } else {
        fs::remove(destination_);
      }
    }
    move(folder_, destination_);
    sync_folder(destination_.parent_path());
  }
  published_ = true;
  fs::remove_all(replaced_);
  fs::remove(journal_);  // last: it says that there is something left to do
}

}  // namespace helix
