#include "tokenizer/post_processor.h"

namespace helix {
namespace {

TokenId token_id(const SortedJson& value, const Component& component) {
  if (!value.is_number_integer() || value < 0 || value > 0x7FFFFFFF) {
    component.corrupt("token id " + value.dump());
  }
  return value.get<TokenId>();
}

// The ids of special token `name` of a template.
std::vector<TokenId> template_ids(const Component& component, const std::string& name) {
  const Component tokens = component.member("special_tokens");
  const Component token = tokens.member(name);
  const auto ids = token.json().find("ids");
  if (ids == token.json().end() || !ids->is_array()) token.corrupt("\"ids\" is not a list");
  std::vector<TokenId> result;
  for (const SortedJson& id : *ids) result.push_back(token_id(id, token));
  return result;
}

SpecialTokenFrame read_template(const Component& component) {
  SpecialTokenFrame frame;
  bool text_seen = false;
  for (const Component& part : component.list("single")) {
    if (part.has("Sequence")) {
      if (text_seen || part.member("Sequence").text("id") != "A") {
        part.unsupported("a template that is not one text with tokens around it");
      }
      text_seen = true;
      continue;
    }
    auto& side = text_seen ? frame.behind : frame.before;
    for (const TokenId id : template_ids(component, part.member("SpecialToken").text("id"))) {
      side.push_back(id);
    }
  }
  if (!text_seen) component.unsupported("a template without the text");
  return frame;
}

// {"cls": ["<s>", 0], "sep": ["</s>", 2]}
SpecialTokenFrame read_cls_and_sep(const Component& component) {
  const auto id_of = [&](const char* key) {
    const auto entry = component.json().find(key);
    if (entry == component.json().end() || !entry->is_array() || entry->size() != 2) {
      component.corrupt(std::string("\"") + key + "\" is no pair of token and id");
    }
    return token_id((*entry)[1], component);
  };
  return {{id_of("cls")}, {id_of("sep")}};
}

SpecialTokenFrame read_sequence(const Component& component) {
  SpecialTokenFrame frame;
  for (const Component& step : component.list("processors")) {
    SpecialTokenFrame outer = read_post_processor(step.json(), step.where());
    outer.before.insert(outer.before.end(), frame.before.begin(), frame.before.end());
    frame.behind.insert(frame.behind.end(), outer.behind.begin(), outer.behind.end());
    frame.before = std::move(outer.before);
  }
  return frame;
}

}  // namespace

SpecialTokenFrame read_post_processor(const SortedJson& json, const std::string& where) {
  if (json.is_null()) return {};
  const Component component(json, where);
  const std::string type = component.type();
  if (type == "ByteLevel") return {};  // concerns offsets only
  if (type == "TemplateProcessing") return read_template(component);
  if (type == "RobertaProcessing" || type == "BertProcessing") return read_cls_and_sep(component);
  if (type == "Sequence") return read_sequence(component);
  component.unsupported("post-processor \"" + type + "\"");
}

}  // namespace helix
