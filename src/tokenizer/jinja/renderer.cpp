#include "tokenizer/jinja/renderer.h"

#include <algorithm>

#include "base/message.h"
#include "tokenizer/jinja/evaluator.h"
#include "tokenizer/jinja/loop_state.h"
#include "tokenizer/jinja/operators.h"

namespace helix::jinja {
namespace {

enum class Flow { kNext, kBreak, kContinue };

class Renderer {
 public:
  Renderer(Runtime& runtime, Scope& root) : runtime_(runtime), root_(root) {}

  Flow run(const Body& body, Scope& scope, std::string& out) {
    const Runtime::Depth depth(runtime_);
    runtime_.step(body.unset.size());
    for (const std::string& name : body.unset) scope.set(name, Undefined{name});
    for (const Statement& statement : body.statements) {
      runtime_.step();
      runtime_.set_line(statement.line);
      const Flow flow = dispatch(statement, scope, out);
      if (flow != Flow::kNext) return flow;
    }
    return Flow::kNext;
  }

 private:
  using Kind = Statement::Kind;

  Flow dispatch(const Statement& statement, Scope& scope, std::string& out) {
    switch (statement.kind) {
      case Kind::kText: write(statement.text, out); break;
      case Kind::kOutput: output(statement, scope, out); break;
      case Kind::kIf: return branch(statement, scope, out);
      case Kind::kFor: return loop(statement, scope, out);
      case Kind::kSet: assign(statement.target, value_of(statement, scope), scope); break;
      case Kind::kSetBlock: set_block(statement, scope); break;
      case Kind::kFilterBlock: filter_block(statement, scope, out); break;
      case Kind::kMacro: define_macro(statement, scope); break;
      case Kind::kCallBlock: call_block(statement, scope, out); break;
      case Kind::kWith: return with(statement, scope, out);
      case Kind::kScope: generation(statement, scope, out); break;
      case Kind::kBreak: return Flow::kBreak;
      case Kind::kContinue: return Flow::kContinue;
    }
    return Flow::kNext;
  }

  void write(std::string_view text, std::string& out) {
    runtime_.charge_bytes(text.size());
    out += text;
  }

  Value value_of(const Statement& statement, const Scope& scope) {
    return evaluate(runtime_, *statement.expression, scope);
  }

  void output(const Statement& statement, Scope& scope, std::string& out) {
    const Value value = value_of(statement, scope);
    if (value.is_text()) {
      write(value.text(), out);
    } else {
      write(runtime_.to_text(value), out);
    }
  }

  Flow branch(const Statement& statement, Scope& scope, std::string& out) {
    const bool holds = value_of(statement, scope).truth();
    return run(holds ? statement.body : statement.otherwise, scope, out);
  }

  Value inner(const Body& body, Scope& scope) {
    std::string text;
    run(body, scope, text);
    return runtime_.text(std::move(text));
  }

  // Those items for which the loop's condition holds.
  std::vector<Value> loop_items(const Statement& statement, const Scope& scope) {
    std::vector<Value> items = runtime_.iterate(value_of(statement, scope));
    if (!statement.condition) return items;
    std::vector<Value> kept;
    for (Value& item : items) {
      Scope turn(&scope);
      assign(statement.target, item, turn);
      if (evaluate(runtime_, *statement.condition, turn).truth()) kept.push_back(std::move(item));
    }
    return kept;
  }

  Flow loop(const Statement& statement, Scope& scope, std::string& out) {
    const std::vector<Value> items = loop_items(statement, scope);
    LoopState state(items, 1);
    bool completed = false;  // a turn, to the body's end
    for (std::size_t i = 0; i < items.size(); ++i) {
      runtime_.step(4);
      Scope turn(&scope);
      turn.set("loop", state.at(i));
      assign(statement.target, items[i], turn);
      const Flow flow = run(statement.body, turn, out);
      completed = completed || flow == Flow::kNext;
      if (flow == Flow::kBreak) break;
    }
    if (completed) return Flow::kNext;
    Scope own(&scope);
    return run(statement.otherwise, own, out);
  }

  void assign(const Target& target, const Value& value, Scope& scope) {
    if (!target.parts.empty()) {
      const std::vector<Value> items = runtime_.iterate(value);
      if (items.size() != target.parts.size()) {
        runtime_.fail(concat("cannot unpack ", items.size(), " values into ", target.parts.size()));
      }
      for (std::size_t i = 0; i < items.size(); ++i) assign(target.parts[i], items[i], scope);
    } else if (target.attribute.empty()) {
      scope.set(target.name, value);
    } else {
      set_attribute(target, value, scope);
    }
  }

  void set_attribute(const Target& target, const Value& value, const Scope& scope) {
    const Value* found = scope.find(target.name);
    if (found == nullptr || !found->is_namespace() || found->state()->is_loop) {
      runtime_.fail("cannot assign attribute on non-namespace object");
    }
    if (target.attribute.starts_with("_")) {
      runtime_.fail("a namespace attribute with an underscore");
    }
    runtime_.require_data(value);
    found->state()->attributes[target.attribute] = value;
  }

  void set_block(const Statement& statement, Scope& scope) {
    Scope own(&scope);
    Value value = inner(statement.body, own);
    if (statement.expression) {
      value = evaluate_filters(runtime_, *statement.expression, own, value);
    }
    assign(statement.target, value, scope);
  }

  void filter_block(const Statement& statement, const Scope& scope, std::string& out) {
    Scope own(&scope);
    const Value value = inner(statement.body, own);
    write(runtime_.to_text(evaluate_filters(runtime_, *statement.expression, own, value)), out);
  }

  void generation(const Statement& statement, const Scope& scope, std::string& out) {
    Scope own(&scope);
    run(statement.body, own, out);
  }

  Flow with(const Statement& statement, Scope& scope, std::string& out) {
    Scope own(&scope);
    for (const auto& [target, expression] : statement.assignments) {
      assign(target, evaluate(runtime_, *expression, scope), own);
    }
    return run(statement.body, own, out);
  }

  // Parameters by position and name, then their defaults; what neither gives is undefined.
  // A default sees all parameters, those behind it without their defaults.
  void bind_parameters(const Statement& macro, const CallArguments& given, Scope& scope) {
    if (given.positional.size() > macro.parameters.size()) {
      runtime_.fail(concat("macro '", macro.text, "' takes not more than ", macro.parameters.size(),
                           " arguments"));
    }
    std::vector<const Statement::Parameter*> missing;
    for (std::size_t i = 0; i < macro.parameters.size(); ++i) {
      const Statement::Parameter& parameter = macro.parameters[i];
      const auto named =
          std::find_if(given.keyword.begin(), given.keyword.end(),
                       [&](const auto& pair) { return pair.first == parameter.name; });
      if (i < given.positional.size()) {
        if (named != given.keyword.end()) runtime_.fail("a macro's argument is given twice");
        scope.set(parameter.name, given.positional[i]);
      } else if (named != given.keyword.end()) {
        scope.set(parameter.name, named->second);
      } else {
        scope.set(parameter.name, Undefined{parameter.name});
        if (parameter.fallback) missing.push_back(&parameter);
      }
    }
    if (macro.names_caller) scope.set("caller", Undefined{"caller"});
    for (const auto& argument : given.keyword) {
      const std::string& name = argument.first;
      const bool known = (name == "caller" && macro.names_caller) ||
                         std::any_of(macro.parameters.begin(), macro.parameters.end(),
                                     [&](const auto& p) { return p.name == name; });
      if (!known) runtime_.fail(concat("macro '", macro.text, "' takes no argument '", name, "'"));
      if (name == "caller") scope.set(name, argument.second);
    }
    for (const auto* parameter : missing) {
      scope.set(parameter->name, evaluate(runtime_, *parameter->fallback, scope));
    }
  }

  Value call_macro(const Statement& macro, const CallArguments& given, const Scope& closure) {
    Scope scope(&closure);
    bind_parameters(macro, given, scope);
    return inner(macro.body, scope);
  }

  void define_macro(const Statement& statement, Scope& scope) {
    if (&scope != &root_) runtime_.unsupported("a macro within a loop or a block");
    auto callable = std::make_shared<Callable>();
    callable->name = statement.text;
    callable->call = [this, &statement](Runtime&, const CallArguments& given) {
      return call_macro(statement, given, root_);
    };
    scope.set(statement.text, Value::Function(std::move(callable)));
  }

  // The block becomes the macro's `caller`, for as long as the call lasts.
  void call_block(const Statement& statement, Scope& scope, std::string& out) {
    const Expression& expression = *statement.expression;
    const Value callee = evaluate(runtime_, *expression.operands[0], scope);
    CallArguments given = evaluate_arguments(runtime_, expression.arguments, scope);
    auto callable = std::make_shared<Callable>();
    callable->name = "caller";
    callable->call = [this, &statement, &scope](Runtime&, const CallArguments& arguments) {
      return call_macro(statement, arguments, scope);
    };
    for (const auto& argument : given.keyword) {
      if (argument.first == "caller") runtime_.fail("argument caller given twice");
    }
    given.keyword.emplace_back("caller", Value(callable));
    const Value result = call(runtime_, callee, given);
    callable->call = [](Runtime& runtime, const CallArguments&) -> Value {
      runtime.unsupported("a caller outside of its call");
    };
    write(runtime_.to_text(result), out);
  }

  Runtime& runtime_;
  Scope& root_;
};

}  // namespace

std::string render(Runtime& runtime, const Body& body, Scope& variables) {
  std::string out;
  Renderer(runtime, variables).run(body, variables, out);
  return out;
}

}  // namespace helix::jinja
