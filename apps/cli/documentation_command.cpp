// Shell completions and the man page, made from the commands themselves, so that they cannot
// disagree.

#include <algorithm>
#include <memory>

#include "commands.h"
#include "helix/version.h"

namespace helix::cli {
namespace {

std::vector<const CLI::App*> commands_of(const CLI::App& app) {
  const auto list = app.get_subcommands([](const CLI::App*) { return true; });
  return {list.begin(), list.end()};
}

// "--quiet -q --json ..."
std::string option_names(const CLI::App& command, const char* separator) {
  std::string names;
  for (const CLI::Option* option : command.get_options()) {
    for (const std::string& name : option->get_lnames())
      names += (names.empty() ? "--" : separator + std::string("--")) + name;
    for (const std::string& name : option->get_snames())
      names += separator + std::string("-") + name;
  }
  return names;
}

std::string command_names(const CLI::App& app) {
  std::string names;
  for (const CLI::App* command : commands_of(app))
    names += (names.empty() ? "" : " ") + command->get_name();
  return names;
}

std::string bash_completion(const CLI::App& app) {
  std::string text =
      "# bash completion for helix\n_helix() {\n  local current=\"${COMP_WORDS[COMP_CWORD]}\" "
      "words=\"\"\n"
      "  if [ \"$COMP_CWORD\" -eq 1 ]; then\n    words=\"" +
      command_names(app) + " --help --version\"\n  else\n    case \"${COMP_WORDS[1]}\" in\n";
  for (const CLI::App* command : commands_of(app)) {
    text += "      " + command->get_name() + ") words=\"" + option_names(*command, " ") + "\" ;;\n";
  }
  return text +
         "    esac\n  fi\n  if [ \"$COMP_CWORD\" -eq 1 ] || [ \"${current#-}\" != \"$current\" ]; "
         "then\n"
         "    COMPREPLY=($(compgen -W \"$words\" -- \"$current\"))\n  else\n    "
         "mapfile -t COMPREPLY < <(compgen -f -- \"$current\")\n"
         "  fi\n}\ncomplete -o filenames -F _helix helix\n";
}

// Single-quoted for zsh and fish.
std::string quoted(std::string text) {
  for (std::size_t at = text.find('\''); at != std::string::npos; at = text.find('\'', at + 4)) {
    text.replace(at, 1, "'\\''");
  }
  return "'" + text + "'";
}

std::string zsh_completion(const CLI::App& app) {
  std::string text =
      "#compdef helix\n_helix() {\n  if (( CURRENT == 2 )); then\n    local -a commands=(\n";
  for (const CLI::App* command : commands_of(app)) {
    text += "      " + quoted(command->get_name() + ":" + command->get_description()) + "\n";
  }
  text += "    )\n    _describe command commands\n    return\n  fi\n  case \"$words[2]\" in\n";
  for (const CLI::App* command : commands_of(app)) {
    text += "    " + command->get_name() + ") [[ \"$PREFIX\" == -* ]] && compadd -- " +
            option_names(*command, " ") + " || _files ;;\n";
  }
  return text + "  esac\n}\n_helix \"$@\"\n";
}

std::string fish_completion(const CLI::App& app) {
  std::string text;
  for (const CLI::App* command : commands_of(app)) {
    text += "complete -c helix -n __fish_use_subcommand -f -a " + command->get_name() + " -d " +
            quoted(command->get_description()) + "\n";
    for (const CLI::Option* option : command->get_options()) {
      if (option->get_positional()) continue;
      text += "complete -c helix -n '__fish_seen_subcommand_from " + command->get_name() + "'";
      for (const std::string& name : option->get_lnames()) text += " -l " + name;
      for (const std::string& name : option->get_snames()) text += " -s " + name;
      text += " -d " + quoted(option->get_description()) + "\n";
    }
  }
  return text;
}

// Text for roff: backslashes and hyphens are special, and so is a dot or a quote that begins a
// line.
std::string roff(const std::string& text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const bool line_start = i == 0 || text[i - 1] == '\n';
    if (line_start && (text[i] == '.' || text[i] == '\'')) out += "\\&";
    if (text[i] == '\\') {
      out += "\\e";
    } else if (text[i] == '-') {
      out += "\\-";
    } else {
      out += text[i];
    }
  }
  return out;
}

std::string man_options(const CLI::App& command) {
  std::string text;
  for (const CLI::Option* option : command.get_options()) {
    const std::string values =
        option->get_type_size() == 0 || option->get_positional() ? "" : option->get_type_name();
    text +=
        ".TP\n.B " +
        roff(option->get_positional() ? option->get_name(true) : option->get_name(false, true)) +
        (values.empty() ? "" : " \\fI" + roff(values) + "\\fR") + "\n" +
        roff(option->get_description()) +
        (option->get_default_str().empty() ? ""
                                           : " (default " + roff(option->get_default_str()) + ")") +
        "\n";
  }
  return text;
}

std::string man_page(const CLI::App& app) {
  std::string text =
      std::string(".TH HELIX 1 \"\" \"helix ") + version() +
      "\" \"User Commands\"\n.SH NAME\nhelix \\- " +
      "compress neural network weights to codes that run as they are\n.SH SYNOPSIS\n" +
      ".B helix\n.I COMMAND\n[\\fIARGUMENTS\\fR]\n.SH DESCRIPTION\n" + roff(app.get_description()) +
      "\n";
  for (const CLI::App* command : commands_of(app)) {
    text += ".SH helix " + roff(command->get_name()) + "\n" + roff(command->get_description()) +
            ".\n" + man_options(*command);
    if (!command->get_footer().empty())
      text += ".PP\n.nf\n" + roff(command->get_footer()) + "\n.fi\n";
  }
  return text +
         ".SH EXIT STATUS\n.nf\n0    success\n1    a fault of helix itself\n2    wrong arguments, "
         "or something is in the way\n"
         "3    a file, tensor or module is not there\n4    a file breaks its format\n5    not "
         "supported\n"
         "6    the system could not read or write\n7    out of memory\n8    a device failed\n"
         "21\\-25  helix verify: hash, content, missing tensor, key count, metrics\n130  stopped "
         "by Ctrl\\-C or SIGTERM\n.fi\n";
}

}  // namespace

void add_documentation(CLI::App& app, Context&) {
  auto shell = std::make_shared<std::string>();
  CLI::App* completion = app.add_subcommand("completion", "Print a shell's completion script");
  completion->footer(
      "Example:\n  helix completion bash > ~/.local/share/bash-completion/completions/helix\n"
      "  helix completion zsh > \"${fpath[1]}/_helix\"\n"
      "  helix completion fish > ~/.config/fish/completions/helix.fish");
  completion->add_option("SHELL", *shell, "bash, zsh or fish")
      ->required()
      ->check(CLI::IsMember({"bash", "zsh", "fish"}));
  completion->callback([&app, shell] {
    print(*shell == "bash"  ? bash_completion(app)
          : *shell == "zsh" ? zsh_completion(app)
                            : fish_completion(app));
  });
  CLI::App* man = app.add_subcommand("man", "Print the manual page");
  man->footer("Example:\n  helix man | man -l -");
  man->callback([&app] { print(man_page(app)); });
}

}  // namespace helix::cli
