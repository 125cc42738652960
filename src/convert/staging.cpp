#include "convert/staging.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "base/file.h"
#include "base/message.h"

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

void check_overlap(const fs::path& source, const fs::path& destination) {
  const fs::path from = fs::weakly_canonical(source);
  const fs::path to = fs::weakly_canonical(destination);
  if (is_inside(from, to) || is_inside(to, from)) {
    throw_error(ErrorCode::kInvalidArgument, "source ", source.string(), " and destination ",
                destination.string(), " overlap");
  }
}

bool is_occupied(const fs::path& path) {
  return fs::exists(fs::symlink_status(path)) && !(fs::is_directory(path) && fs::is_empty(path));
}

void move(const fs::path& from, const fs::path& to) {
  std::error_code fault;
  fs::rename(from, to, fault);
  if (fault) {
    throw_error(ErrorCode::kIoError, from.string(), ": cannot rename to ", to.string(), ": ",
                fault.message());
  }
}

}  // namespace

Staging::Staging(const fs::path& source, const fs::path& destination, const Options& options)
    : options_(options) {
  destination_ = fs::absolute(destination).lexically_normal();
  if (!destination_.has_filename()) destination_ = destination_.parent_path();
  folder_ = with_suffix(destination_, ".hxq-partial");
  journal_ = with_suffix(destination_, ".hxq-journal");
  replaced_ = with_suffix(destination_, ".hxq-replaced");
  check_overlap(source, destination_);
  const bool interrupted = fs::exists(journal_);
  if (!interrupted && fs::exists(folder_)) {
    throw_error(ErrorCode::kInvalidArgument, folder_.string(),
                ": is in the way, and no journal says whose it is");
  }
  if (options.resume && interrupted && !fs::exists(folder_) &&
      fs::exists(destination_ / "config.json")) {
    already_published_ = true;
  } else if (is_occupied(destination_) && !options.force) {
    throw_error(ErrorCode::kInvalidArgument, destination_.string(),
                ": exists already; use --force to replace it");
  }
  if (interrupted && !options.resume && !options.force && options.keep_unfinished) {
    throw_error(ErrorCode::kInvalidArgument, folder_.string(),
                ": an interrupted run left this; --resume continues it, --force starts again");
  }
  std::error_code fault;
  fs::create_directories(destination_.parent_path(), fault);
  if (fault) {
    throw_error(ErrorCode::kIoError, destination_.parent_path().string(),
                ": cannot create: ", fault.message());
  }
  lock();
  if (already_published_) return;
  if (!options.resume) drop_leftovers();
  fs::create_directory(folder_, fault);
  if (fault)
    throw_error(ErrorCode::kIoError, folder_.string(), ": cannot create: ", fault.message());
}

Staging::~Staging() {
  if (!published_ && !already_published_ && lock_ >= 0 && !options_.keep_unfinished) {
    std::error_code ignored;
    fs::remove_all(folder_, ignored);
    fs::remove(journal_, ignored);
  }
  if (lock_ >= 0) ::close(lock_);
}

void Staging::lock() {
  lock_ = ::open(journal_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666);
  if (lock_ < 0)
    throw_error(ErrorCode::kIoError, journal_.string(), ": cannot create: ", std::strerror(errno));
  if (::flock(lock_, LOCK_EX | LOCK_NB) != 0) {
    ::close(lock_);
    lock_ = -1;
    throw_error(ErrorCode::kInvalidArgument, destination_.string(),
                ": another process is writing it");
  }
}

void Staging::drop_leftovers() {
  // A replacement that was stopped half-way: the old output counts until the new one is there.
  if (fs::exists(replaced_) && !fs::exists(destination_)) move(replaced_, destination_);
  fs::remove_all(replaced_);
  fs::remove_all(folder_);
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
  fs::remove(journal_);
  fs::remove_all(replaced_);
}

}  // namespace helix
