#include "tokenizer/tokenizer_json.h"

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include "base/message.h"

namespace helix {
namespace {

constexpr std::size_t kMaxDepth = 100;

// Builds the tree while the text is read. Receives the events of nlohmann::json::sax_parse, which
// all return whether to go on.
class TreeBuilder {
 public:
  TreeBuilder(SortedJson& root, std::string_view file) : root_(root), file_(file) {}

  bool null() { return add(nullptr); }
  bool boolean(bool value) { return add(value); }
  bool number_integer(std::int64_t value) { return add(value); }
  bool number_unsigned(std::uint64_t value) { return add(value); }
  bool number_float(double value, const std::string&) { return add(value); }
  bool string(std::string& value) { return add(std::move(value)); }
  bool binary(SortedJson::binary_t&) { return false; }  // never in text
  bool start_object(std::size_t) { return open(SortedJson::object()); }
  bool start_array(std::size_t) { return open(SortedJson::array()); }
  bool end_object() { return close(); }
  bool end_array() { return close(); }

  bool key(std::string& name) {
    const auto [entry, is_new] = open_.back()->emplace(name, nullptr);
    if (!is_new) {
      throw_error(ErrorCode::kCorruptData, file_, ": key ", SortedJson(name).dump(),
                  " occurs twice");
    }
    member_ = &*entry;
    return true;
  }

  bool parse_error(std::size_t, const std::string&, const SortedJson::exception& fault) {
    throw_error(ErrorCode::kCorruptData, file_, ": not valid JSON: ", fault.what());
  }

 protected:
  std::string_view file() const { return file_; }
  std::size_t depth() const { return open_.size(); }

 private:
  SortedJson* place(SortedJson&& value) {
    if (open_.empty()) {
      root_ = std::move(value);
      return &root_;
    }
    if (open_.back()->is_array()) {
      open_.back()->push_back(std::move(value));
      return &open_.back()->back();
    }
    *member_ = std::move(value);
    return member_;
  }

  bool add(SortedJson&& value) {
    place(std::move(value));
    return true;
  }

  bool open(SortedJson&& empty) {
    if (open_.size() > kMaxDepth) {
      throw_error(ErrorCode::kCorruptData, file_, ": JSON nested deeper than ", kMaxDepth);
    }
    open_.push_back(place(std::move(empty)));
    return true;
  }

  bool close() {
    open_.pop_back();
    return true;
  }

  SortedJson& root_;
  std::string_view file_;
  std::vector<SortedJson*> open_;
  SortedJson* member_ = nullptr;
};

// Takes the entries of one object as tokens; what does not belong there is an error.
class VocabularyEvents {
 public:
  VocabularyEvents(Vocabulary& vocabulary, std::string where)
      : vocabulary_(vocabulary), where_(std::move(where)) {}

  void key(std::string& token) { token_.swap(token); }
  void id(std::int64_t id) { vocabulary_.add(token_, id, where_); }
  [[noreturn]] void not_an_id(const SortedJson& found) const {
    throw_error(ErrorCode::kCorruptData, where_, ": id of token \"", token_, "\" is ",
                found.dump(-1, ' ', false, SortedJson::error_handler_t::replace),
                ", expected a number");
  }

 private:
  Vocabulary& vocabulary_;
  std::string where_;
  std::string token_;
};

// Takes the elements of one list as merge rules: "left right" or ["left", "right"].
class MergeEvents {
 public:
  MergeEvents(MergeTexts& merges, std::string where) : merges_(merges), where_(std::move(where)) {}

  void text(std::string& text) {
    if (in_pair_) {
      parts_.push_back(std::move(text));
      return;
    }
    const std::size_t space = text.find(' ');
    if (space == text.npos || text.find(' ', space + 1) != text.npos) not_a_rule(text);
    merges_.add(std::string_view(text).substr(0, space), std::string_view(text).substr(space + 1));
  }

  void start_list() {
    if (in_pair_) not_a_rule("[");
    in_pair_ = true;
    parts_.clear();
  }

  // Whether it was the list of all rules that ended.
  bool end_list() {
    if (!in_pair_) return true;
    if (parts_.size() != 2) not_a_rule(parts_);
    merges_.add(parts_[0], parts_[1]);
    in_pair_ = false;
    return false;
  }

  [[noreturn]] void not_a_rule(const SortedJson& found) const {
    throw_error(ErrorCode::kCorruptData, where_, ": merge ", merges_.size(), " is ",
                found.dump(-1, ' ', false, SortedJson::error_handler_t::replace),
                ", expected two tokens");
  }

 private:
  MergeTexts& merges_;
  std::string where_;
  bool in_pair_ = false;
  std::vector<std::string> parts_;
};

// A tree, apart from the two tables.
class TokenizerBuilder : public TreeBuilder {
 public:
  TokenizerBuilder(TokenizerJson& result, std::string_view file)
      : TreeBuilder(result.json, file),
        vocabulary_(result.tables.vocabulary, concat(file, ": model")),
        merges_(result.tables.merges, concat(file, ": model")) {}

  // The whole text is a vocabulary.
  void expect_vocabulary() { is_vocabulary_file_ = true; }

  bool null() { return is_in_table() ? refuse(nullptr) : TreeBuilder::null(); }
  bool boolean(bool value) { return is_in_table() ? refuse(value) : TreeBuilder::boolean(value); }
  bool number_integer(std::int64_t value) {
    return is_in_table() ? add_number(value) : TreeBuilder::number_integer(value);
  }
  bool number_unsigned(std::uint64_t value) {
    constexpr std::uint64_t kLargest = INT64_MAX;
    return is_in_table() ? add_number(static_cast<std::int64_t>(std::min(value, kLargest)))
                         : TreeBuilder::number_unsigned(value);
  }
  bool number_float(double value, const std::string& text) {
    return is_in_table() ? refuse(value) : TreeBuilder::number_float(value, text);
  }
  bool string(std::string& value) {
    if (table_ == Table::kNone) return TreeBuilder::string(value);
    if (table_ == Table::kVocabulary) refuse(value);
    merges_.text(value);
    return true;
  }

  bool start_object(std::size_t size) {
    if (is_in_table()) refuse("{");
    const bool is_table = is_vocabulary_file_ ? depth() == 0 : depth() == 2 && in_model_ == "vocab";
    TreeBuilder::start_object(size);
    if (is_table) table_ = Table::kVocabulary;
    return true;
  }
  bool end_object() {
    table_ = Table::kNone;
    return TreeBuilder::end_object();
  }
  bool start_array(std::size_t size) {
    if (table_ == Table::kVocabulary) refuse("[");
    if (table_ == Table::kMerges) {
      merges_.start_list();
      return true;
    }
    const bool is_table = depth() == 2 && in_model_ == "merges";
    TreeBuilder::start_array(size);
    if (is_table) table_ = Table::kMerges;
    return true;
  }
  bool end_array() {
    if (table_ == Table::kMerges && !merges_.end_list()) return true;
    table_ = Table::kNone;
    return TreeBuilder::end_array();
  }

  bool key(std::string& name) {
    if (table_ == Table::kVocabulary) {
      vocabulary_.key(name);
      return true;
    }
    if (depth() == 1) in_root_ = name;
    in_model_ = depth() == 2 && in_root_ == "model" ? name : "";
    return TreeBuilder::key(name);
  }

 private:
  enum class Table : std::uint8_t { kNone, kVocabulary, kMerges };

  bool is_in_table() const { return table_ != Table::kNone; }

  bool add_number(std::int64_t value) {
    if (table_ == Table::kMerges) merges_.not_a_rule(value);
    vocabulary_.id(value);
    return true;
  }

  [[noreturn]] bool refuse(const SortedJson& found) const {
    if (table_ == Table::kMerges) merges_.not_a_rule(found);
    vocabulary_.not_an_id(found);
  }

  VocabularyEvents vocabulary_;
  MergeEvents merges_;
  Table table_ = Table::kNone;
  bool is_vocabulary_file_ = false;
  std::string in_root_;   // the member of the root that is being read
  std::string in_model_;  // the member of "model" that is being read
};

}  // namespace

SortedJson parse_sorted_json(std::string_view text, std::string_view file) {
  SortedJson json;
  TreeBuilder builder(json, file);
  SortedJson::sax_parse(text, &builder);
  return json;
}

TokenizerJson parse_tokenizer_json(std::string_view text, std::string_view file) {
  TokenizerJson result;
  TokenizerBuilder builder(result, file);
  SortedJson::sax_parse(text, &builder);
  return result;
}

Vocabulary parse_vocabulary_json(std::string_view text, std::string_view file) {
  TokenizerJson result;
  TokenizerBuilder builder(result, file);
  builder.expect_vocabulary();
  SortedJson::sax_parse(text, &builder);
  if (!result.json.is_object()) throw_error(ErrorCode::kCorruptData, file, ": not an object");
  return std::move(result.tables.vocabulary);
}

}  // namespace helix
