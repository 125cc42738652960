#include "convert/journal.h"

#include <cstring>
#include <optional>

#include "base/hash.h"
#include "base/message.h"

namespace helix {
namespace {

// Plain bytes, little endian; the journal never leaves the machine that wrote it.
class Packer {
 public:
  template <typename Number>
  void number(Number value) {
    text_.append(reinterpret_cast<const char*>(&value), sizeof(value));
  }
  template <typename Number>
  void list(const std::vector<Number>& values) {
    number<std::uint64_t>(values.size());
    text_.append(reinterpret_cast<const char*>(values.data()), values.size() * sizeof(Number));
  }
  void text(const std::string& value) { list(std::vector<char>(value.begin(), value.end())); }
  std::string take() { return std::move(text_); }

 private:
  std::string text_;
};

// Reads what Packer wrote; the payload's hash was right, so a length that does not fit is a fault
// of ours.
class Unpacker {
 public:
  explicit Unpacker(std::string_view bytes) : bytes_(bytes) {}
  template <typename Number>
  Number number() {
    Number value{};
    std::memcpy(&value, take(sizeof(value)).data(), sizeof(value));
    return value;
  }
  template <typename Number>
  std::vector<Number> list() {
    const auto count = number<std::uint64_t>();
    if (count > bytes_.size() / sizeof(Number))
      throw_error(ErrorCode::kInternal, "journal record too short");
    std::vector<Number> values(count);
    if (count > 0)
      std::memcpy(values.data(), take(count * sizeof(Number)).data(), count * sizeof(Number));
    return values;
  }
  std::string text() {
    const auto chars = list<char>();
    return {chars.begin(), chars.end()};
  }

 private:
  std::string_view take(std::size_t count) {
    if (count > bytes_.size()) throw_error(ErrorCode::kInternal, "journal record too short");
    const std::string_view taken = bytes_.substr(0, count);
    bytes_.remove_prefix(count);
    return taken;
  }
  std::string_view bytes_;
};

std::string pack(const JournalRecord& record) {
  const CompressedTensor& tensor = record.tensor;
  Packer packer;
  packer.text(record.name);
  packer.number(tensor.rows);
  packer.number(tensor.columns);
  packer.number(tensor.index_format);
  packer.list(tensor.codebook);
  packer.list(tensor.sidecar_positions);
  packer.list(tensor.sidecar_values);
  packer.list(tensor.channel_scales);
  packer.number(record.index_hash);
  packer.number(record.metrics);
  return packer.take();
}

JournalRecord unpack(std::string_view payload) {
  Unpacker unpacker(payload);
  JournalRecord record;
  record.name = unpacker.text();
  record.tensor.rows = unpacker.number<std::uint64_t>();
  record.tensor.columns = unpacker.number<std::uint64_t>();
  record.tensor.index_format = unpacker.number<IndexFormat>();
  record.tensor.codebook = unpacker.list<float>();
  record.tensor.sidecar_positions = unpacker.list<std::int64_t>();
  record.tensor.sidecar_values = unpacker.list<float>();
  record.tensor.channel_scales = unpacker.list<float>();
  record.index_hash = unpacker.number<std::uint64_t>();
  record.metrics = unpacker.number<Metrics>();
  return record;
}

std::uint64_t hash_of(std::string_view text) { return fast_hash(std::as_bytes(std::span(text))); }

// The payload at `offset`, or nothing where it is torn or damaged.
std::optional<std::string_view> payload_at(std::string_view content, std::uint64_t offset) {
  constexpr std::size_t kPrefix = 16;
  if (offset > content.size() || content.size() - offset < kPrefix) return std::nullopt;
  Unpacker prefix(content.substr(offset, kPrefix));
  const auto length = prefix.number<std::uint64_t>();
  const auto hash = prefix.number<std::uint64_t>();
  if (length > content.size() - offset - kPrefix) return std::nullopt;
  const std::string_view payload = content.substr(offset + kPrefix, length);
  if (hash_of(payload) != hash) return std::nullopt;
  return payload;
}

}  // namespace

static_assert(std::is_trivially_copyable_v<Metrics>);

bool is_journal(const std::filesystem::path& path) {
  return payload_at(read_file(path), 0).has_value();
}

Journal::Journal(const std::filesystem::path& path, const std::string& fingerprint, bool resume)
    : file_(path, OutputFile::Mode::kKeep) {
  if (resume) read_records(read_file(path), fingerprint);
  file_.truncate(size_);
  if (size_ == 0) append_payload(fingerprint);
}

void Journal::read_records(const std::string& content, const std::string& fingerprint) {
  const auto first = payload_at(content, 0);
  if (!first) return;  // stopped before the fingerprint was written
  if (*first != fingerprint) {
    throw_error(ErrorCode::kInvalidArgument, file_.path().string(),
                ": the interrupted run had another source, other options or another version; "
                "use the same ones, or start again with --force");
  }
  for (std::optional<std::string_view> payload = first; payload;
       payload = payload_at(content, size_)) {
    if (size_ > 0) {
      JournalRecord record = unpack(*payload);
      finished_.insert_or_assign(record.name, std::move(record));
    }
    size_ += 16 + payload->size();
  }
}

void Journal::append(const JournalRecord& record) { append_payload(pack(record)); }

void Journal::append_payload(const std::string& payload) {
  Packer packer;
  packer.number<std::uint64_t>(payload.size());
  packer.number(hash_of(payload));
  const std::string bytes = packer.take() + payload;
  file_.write_at(size_, std::as_bytes(std::span(bytes)));
  size_ += bytes.size();
}

}  // namespace helix
