#include "tokenizer/character_map.h"

#include <cstdint>
#include <limits>
#include <optional>

#include "base/message.h"

namespace helix {
namespace {

// Reads a message of protocol buffers field by field.
class Fields {
 public:
  Fields(std::string_view message, const std::string& file) : rest_(message), file_(file) {}

  bool empty() const { return rest_.empty(); }

  struct Field {
    std::uint64_t number = 0;
    std::optional<std::string_view> bytes;  // of strings and messages
  };
  Field next() {
    const std::uint64_t tag = number();
    if (tag > std::numeric_limits<std::uint32_t>::max() || tag >> 3 == 0) corrupt();
    switch (tag & 7) {
      case 0: number(); return {tag >> 3, {}};
      case 1: take(8); return {tag >> 3, {}};
      case 2: return {tag >> 3, take(number())};
      case 5: take(4); return {tag >> 3, {}};
      default: corrupt();  // groups, which no model has
    }
  }

 private:
  std::uint64_t number() {
    std::uint64_t value = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
      const auto byte = static_cast<unsigned char>(take(1)[0]);
      value |= std::uint64_t{byte & 0x7FU} << shift;
      if (byte < 0x80) return value;
    }
    corrupt();
  }

  std::string_view take(std::uint64_t size) {
    if (size > rest_.size()) corrupt();
    const std::string_view bytes = rest_.substr(0, size);
    rest_.remove_prefix(size);
    return bytes;
  }

  [[noreturn]] void corrupt() const {
    throw_error(ErrorCode::kCorruptData, file_,
                ": not a SentencePiece model: no protocol buffer message");
  }

  std::string_view rest_;
  const std::string& file_;
};

std::uint32_t little_endian(std::string_view bytes, std::size_t offset) {
  std::uint32_t value = 0;
  for (unsigned i = 0; i < 4; ++i) {
    value |= std::uint32_t{static_cast<unsigned char>(bytes[offset + i])} << (8 * i);
  }
  return value;
}

// A node of Darts-clone's double array; `bits` as its darts.h lays them out.
struct Node {
  std::uint32_t bits;
  bool is_value() const { return bits >> 31 != 0; }
  std::uint32_t value() const { return bits & 0x7FFFFFFFU; }
  bool has_value() const { return (bits >> 8 & 1) != 0; }
  std::uint32_t offset() const { return bits >> 10 << ((bits & 0x200U) >> 6); }
};

// The size of a tree, the tree, and the texts that its values point into, each ending in a NUL.
// From a node the library goes to its number ^ offset ^ any byte, and reads a value at number ^
// offset.
bool stays_inside(std::string_view map) {
  if (map.size() < 4) return false;
  const std::uint32_t tree_size = little_endian(map, 0);
  map.remove_prefix(4);
  if (tree_size == 0 || tree_size % 4 != 0 || tree_size >= map.size()) return false;
  const std::size_t texts_size = map.size() - tree_size;
  if (map.back() != '\0') return false;
  const auto node_at = [&](std::size_t i) { return Node{little_endian(map, 4 * i)}; };
  for (std::size_t i = 0; i < tree_size / 4; ++i) {
    const Node node = node_at(i);
    if (node.is_value() && i > 0) continue;
    const std::size_t next = i ^ node.offset();
    if ((next | 0xFF) >= tree_size / 4) return false;
    if (node.has_value() && node_at(next).value() >= texts_size) return false;
  }
  return true;
}

// Of a NormalizerSpec.
void check_rules(std::string_view rules, const std::string& file) {
  constexpr std::uint64_t kPrecompiledCharsmap = 2;
  for (Fields fields(rules, file); !fields.empty();) {
    const Fields::Field field = fields.next();
    if (field.number != kPrecompiledCharsmap || !field.bytes || field.bytes->empty()) continue;
    if (!stays_inside(*field.bytes)) {
      throw_error(ErrorCode::kCorruptData, file,
                  ": the table of characters to replace (precompiled_charsmap, ",
                  field.bytes->size(), " bytes) points outside itself");
    }
  }
}

}  // namespace

void check_character_maps(std::string_view model, const std::string& file) {
  constexpr std::uint64_t kNormalizerSpec = 3;
  constexpr std::uint64_t kDenormalizerSpec = 5;
  for (Fields fields(model, file); !fields.empty();) {
    const Fields::Field field = fields.next();
    const bool has_rules = field.number == kNormalizerSpec || field.number == kDenormalizerSpec;
    if (has_rules && field.bytes) check_rules(*field.bytes, file);
  }
}

}  // namespace helix
