#pragma once

#include <filesystem>
#include <set>
#include <string>

namespace helix {

// The work folder of one output: `<destination>.hxq-partial`, with the journal
// `<destination>.hxq-journal` beside it. The output appears under its own name by one rename, after
// which the journal goes. Holds a lock: two processes cannot work on the same destination.
// Everything is removed again when the run fails, unless it resumes one or keep_unfinished() was
// called.
class Staging {
 public:
  struct Options {
    bool resume = false;     // keep what an interrupted run left
    bool force = false;      // replace a model folder or a link, drop what an interrupted run left
    bool resumable = false;  // even with nothing finished, what a run leaves goes by `force` only
  };

  // Checks that nothing is in the way and that `source` and `destination` do not overlap, then
  // makes the folder. Throws Error(kInvalidArgument | kIoError).
  Staging(const std::filesystem::path& source, const std::filesystem::path& destination,
          const Options& options);
  ~Staging();
  Staging(const Staging&) = delete;
  Staging& operator=(const Staging&) = delete;

  const std::filesystem::path& folder() const { return folder_; }
  const std::filesystem::path& journal() const { return journal_; }
  // True where a run had been finished and was stopped just before it removed its journal.
  bool already_published() const { return already_published_; }
  // From now on there is work that `resume` can continue.
  void keep_unfinished() { keep_ = true; }
  // Removes what an interrupted run left in the folder beside these files.
  void remove_all_but(const std::set<std::string>& names) const;
  // Makes the output appear. Afterwards the object does nothing more.
  void publish();

 private:
  void check_siblings(const std::filesystem::path& source) const;
  void check_destination();
  void lock();
  void prepare();
  void drop_leftovers();
  void release() noexcept;

  std::filesystem::path destination_;
  std::filesystem::path folder_;
  std::filesystem::path journal_;
  std::filesystem::path replaced_;  // where an old output waits while the new one takes its name
  Options options_;
  int lock_ = -1;
  bool already_published_ = false;
  bool published_ = false;
  bool keep_ = false;
};

}  // namespace helix
