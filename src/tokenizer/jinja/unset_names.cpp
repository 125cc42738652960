#include "tokenizer/jinja/unset_names.h"

#include <set>

#include "base/message.h"

namespace helix::jinja {
namespace {

// The names of one frame, in the order that its code meets them; frames within come afterwards,
// when all of its names are known.
class Frame {
 public:
  Frame(const Frame* outer, const std::string& name) : outer_(outer), name_(name) {}

  void declare(const Target& target) {
    for (const Target& part : target.parts) declare(part);
    if (target.parts.empty()) names_.insert(target.name);
  }

  void declare(const std::vector<Statement::Parameter>& parameters) {
    for (const auto& parameter : parameters) names_.insert(parameter.name);
    for (const auto& parameter : parameters) load(parameter.fallback);
  }

  void load(const ExpressionPointer& node) {
    if (node == nullptr) return;
    if (node->kind == Expression::Kind::kName) load(node->text);
    for_each_child(*node, [&](const ExpressionPointer& child) { load(child); });
  }

  void run(Body& body) {
    access(body, body, false);
    run_inner(body);
  }

 private:
  using Kind = Statement::Kind;

  bool knows(const std::string& name) const {
    return names_.contains(name) || (outer_ != nullptr && outer_->knows(name));
  }

  void load(const std::string& name) {
    if (!knows(name)) names_.insert(name);
  }

  // In a branch of an `if`, which may not run, the name means what it does outside until then.
  void store(const std::string& name, Body& frame, bool within_if) {
    if (!within_if && !knows(name)) frame.unset.push_back(name);
    names_.insert(name);
  }

  void store(const Target& target, Body& frame, bool within_if) {
    for (const Target& part : target.parts) store(part, frame, within_if);
    if (!target.parts.empty()) return;
    if (target.attribute.empty()) {
      store(target.name, frame, within_if);
    } else {
      load(target.name);
    }
  }

  void access(Body& body, Body& frame, bool within_if) {
    for (Statement& statement : body.statements) access(statement, frame, within_if);
  }

  void access(Statement& statement, Body& frame, bool within_if) {
    for (const auto& assignment : statement.assignments) load(assignment.second);
    if (statement.kind != Kind::kSetBlock) load(statement.expression);
    if (statement.kind == Kind::kSet || statement.kind == Kind::kSetBlock) {
      store(statement.target, frame, within_if);
    } else if (statement.kind == Kind::kMacro) {
      store(statement.text, frame, within_if);
    } else if (statement.kind == Kind::kIf) {
      access(statement.body, frame, true);
      access(statement.otherwise, frame, true);
    }
  }

  void run_inner(Body& body) {
    for (Statement& statement : body.statements) {
      if (statement.kind == Kind::kIf) {
        run_inner(statement.body);
        run_inner(statement.otherwise);
      } else {
        run_frames(statement);
      }
    }
  }

  void run_frames(Statement& statement) {
    Frame inner(this, name_);
    if (statement.kind == Kind::kFor) {
      inner.names_.insert("loop");
      inner.declare(statement.target);
    }
    for (const auto& assignment : statement.assignments) inner.declare(assignment.first);
    inner.declare(statement.parameters);
    if (statement.names_caller) inner.names_.insert("caller");
    inner.run(statement.body);
    if (statement.kind == Kind::kSetBlock) inner.require_known(statement.expression);
    Frame(this, name_).run(statement.otherwise);
  }

  // Jinja does not look at the filters of a set block and fails for what only they name.
  void require_known(const ExpressionPointer& node) const {
    if (node == nullptr) return;
    if (node->kind == Expression::Kind::kName && !knows(node->text)) {
      throw_error(ErrorCode::kUnsupported, name_, ", line ", node->line, ": the name '", node->text,
                  "' in a filter of a set block is not supported");
    }
    for_each_child(*node, [&](const ExpressionPointer& child) { require_known(child); });
  }

  const Frame* outer_;
  const std::string& name_;
  std::set<std::string> names_;
};

}  // namespace

void find_unset_names(Body& body, const std::string& name) { Frame(nullptr, name).run(body); }

}  // namespace helix::jinja
