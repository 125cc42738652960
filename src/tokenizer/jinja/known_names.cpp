#include "tokenizer/jinja/known_names.h"

#include "base/message.h"
#include "tokenizer/jinja/filters.h"

namespace helix::jinja {
namespace {

class NameCheck {
 public:
  explicit NameCheck(const std::string& name) : name_(name) {}

  void run(const Body& body, bool within_if) const {
    for (const Statement& statement : body.statements) run(statement, within_if);
  }

 private:
  using Kind = Expression::Kind;

  void run(const Statement& statement, bool within_if) const {
    const bool is_if = statement.kind == Statement::Kind::kIf;
    const bool filters_body = statement.kind == Statement::Kind::kSetBlock ||
                              statement.kind == Statement::Kind::kFilterBlock;
    run(statement.expression, is_if || (within_if && !filters_body));
    run(statement.condition, false);
    for (const auto& parameter : statement.parameters) run(parameter.fallback, false);
    for (const auto& assignment : statement.assignments) run(assignment.second, within_if);
    run(statement.body, is_if);
    run(statement.otherwise, is_if);
  }

  void run(const ExpressionPointer& node, bool within_if) const {
    if (node == nullptr) return;
    const bool deferred = within_if || node->kind == Kind::kConditional;
    if (!deferred && node->kind == Kind::kFilter && !is_filter(node->text)) {
      refuse("filter", *node);
    }
    if (!deferred && node->kind == Kind::kTest && !is_test(node->text)) refuse("test", *node);
    for_each_child(*node, [&](const ExpressionPointer& child) { run(child, deferred); });
  }

  [[noreturn]] void refuse(const char* what, const Expression& node) const {
    throw_error(ErrorCode::kUnsupported, name_, ", line ", node.line, ": the ", what, " '",
                node.text, "' is not supported");
  }

  const std::string& name_;
};

}  // namespace

void require_known_names(const Body& body, const std::string& name) {
  NameCheck(name).run(body, false);
}

}  // namespace helix::jinja
