"""Renders chat templates with transformers' own Jinja environment into tests/golden/chat.

    python tools/make_chat_goldens.py [--extra NAME=TOKENIZER_CONFIG ...] OUT_DIR

Every file of OUT_DIR holds one template (none for --extra, whose text is not ours) and its cases:
what the template sees, and the text or the refusal that transformers gives. The C++ test
chat_template_test.cpp renders the same. The templates are the forms found in public model cards.
OUT_DIR/semantics.json holds many small templates over one set of variables; it is both read and
written: add a template there and run this.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import jinja2
from transformers.utils.chat_template_utils import _compile_jinja_template

CHATML = (
    "{% for message in messages %}{% if loop.first and messages[0]['role'] != 'system' %}"
    "{{ '<|im_start|>system\nYou are a helpful AI assistant<|im_end|>\n' }}{% endif %}"
    "{{'<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n'}}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
ZEPHYR = (
    "{% for message in messages %}\n{% if message['role'] == 'user' %}\n"
    "{{ '<|user|>\n' + message['content'] + eos_token }}\n"
    "{% elif message['role'] == 'system' %}\n"
    "{{ '<|system|>\n' + message['content'] + eos_token }}\n"
    "{% elif message['role'] == 'assistant' %}\n"
    "{{ '<|assistant|>\n'  + message['content'] + eos_token }}\n{% endif %}\n"
    "{% if loop.last and add_generation_prompt %}\n{{ '<|assistant|>' }}\n{% endif %}\n{% endfor %}"
)
MISTRAL = (
    "{{ bos_token }}{% for message in messages %}"
    "{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}"
    "{{ raise_exception('Conversation roles must alternate user/assistant/user/assistant/...') }}"
    "{% endif %}{% if message['role'] == 'user' %}"
    "{{ '[INST] ' + message['content'] + ' [/INST]' }}"
    "{% elif message['role'] == 'assistant' %}{{ message['content'] + eos_token}}"
    "{% else %}{{ raise_exception('Only user and assistant roles are supported!') }}{% endif %}"
    "{% endfor %}"
)
LLAMA2 = (
    "{% if messages[0]['role'] == 'system' %}{% set loop_messages = messages[1:] %}"
    "{% set system_message = messages[0]['content'] %}{% else %}"
    "{% set loop_messages = messages %}{% set system_message = false %}{% endif %}"
    "{% for message in loop_messages %}"
    "{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}"
    "{{ raise_exception('Conversation roles must alternate') }}{% endif %}"
    "{% if loop.index0 == 0 and system_message != false %}"
    "{% set content = '<<SYS>>\\n' + system_message + '\\n<</SYS>>\\n\\n' + message['content'] %}"
    "{% else %}{% set content = message['content'] %}{% endif %}"
    "{% if message['role'] == 'user' %}"
    "{{ bos_token + '[INST] ' + content.strip() + ' [/INST]' }}"
    "{% elif message['role'] == 'assistant' %}"
    "{{ ' '  + content.strip() + ' ' + eos_token }}{% endif %}{% endfor %}"
)
LLAMA3 = (
    "{% set loop_messages = messages %}{% for message in loop_messages %}"
    "{% set content = '<|start_header_id|>' + message['role'] + '<|end_header_id|>\n\n'"
    "+ message['content'] | trim + '<|eot_id|>' %}"
    "{% if loop.index0 == 0 %}{% set content = bos_token + content %}{% endif %}{{ content }}"
    "{% endfor %}{% if add_generation_prompt %}"
    "{{ '<|start_header_id|>assistant<|end_header_id|>\n\n' }}{% endif %}"
)
# Tool calls, macros, namespaces and whitespace control in one.
TOOLS = """\
{%- macro describe(tool, level=0) -%}
  {{- '- ' + tool.name + ': ' + tool.description | default('none', true) | trim }}
  {%- for name, spec in tool.parameters.properties.items() | list %}
    {{- '\\n' + '  ' * (level + 1) + name + ' (' + spec.type ~ ')' }}
    {%- if name in tool.parameters.required %} *{% endif %}
  {%- endfor %}
{%- endmacro -%}
{%- set ns = namespace(users=0, last=none) -%}
{%- for message in messages if message.role == 'user' -%}
  {%- set ns.users = ns.users + 1 -%}
  {%- set ns.last = message.content -%}
{%- endfor -%}
{{ bos_token }}[{{ ns.users }} from users, last {{ ns.last | tojson }}]
{% if tools is not none and tools | length > 0 %}
Tools:
{% for tool in tools %}
{{ describe(tool.function) }}
{% endfor %}
{{ tools | map(attribute='function') | map(attribute='name') | sort | join(', ') }}
{{ tools | tojson(indent=2) }}
{% endif %}
{% for message in messages %}
  {%- if message.content is string -%}
    {{- message.role | upper }}: {{ message.content }}
  {%- elif message.content is iterable and message.content is not mapping -%}
    {%- for part in message.content | selectattr('type', 'equalto', 'text') -%}
      {{- message.role | title }}> {{ part.text -}}
    {%- endfor -%}
  {%- endif -%}
  {%- for call in message.tool_calls or [] %}
<call>{{ {'name': call.function.name, 'arguments': call.function.arguments} | tojson }}</call>
  {%- endfor %}
{{ eos_token if not loop.last else '' }}
{% endfor %}
{% if add_generation_prompt %}{{ '>>>' }}{% endif %}
"""

TEMPLATES = {
    "chatml": CHATML,
    "zephyr": ZEPHYR,
    "mistral": MISTRAL,
    "llama2": LLAMA2,
    "llama3": LLAMA3,
    "tools": TOOLS,
}

WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": 'The weather <now> & "here"',
        "parameters": {
            "type": "object",
            "properties": {
                "city": {"type": "string", "description": "Größe, 東京"},
                "days": {"type": "integer", "default": 3, "scale": 1e-07, "list": [], "map": {}},
            },
            "required": ["city"],
        },
    },
}


def message(role: str, content: Any, **more: Any) -> dict[str, Any]:
    return {"role": role, "content": content, **more}


def conversations() -> list[dict[str, Any]]:
    user, assistant, system = "user", "assistant", "system"
    call = {"type": "function", "function": {"name": "get_weather", "arguments": {"city": "Köln"}}}
    plain_call = {"name": "get_weather", "arguments": {"days": 2.5, "ok": True, "x": None}}
    tools_used = [
        message(system, "Use tools."),
        message(user, "Wetter?"),
        message(assistant, "", tool_calls=[call, plain_call]),
        message("tool", "17 °C"),
        message("tool", "{'rain': false}"),
        message(assistant, "Warm."),
        message(user, "Thanks"),
    ]
    parts = [{"type": "text", "text": "two "}, {"type": "image"}, {"type": "text", "text": "parts"}]
    return [
        {"messages": [message(user, "Hello")]},
        {"messages": [message(system, "Be brief."), message(user, "  Hi there!\n ")]},
        {"messages": [message(user, "1"), message(assistant, " 2 "), message(user, "3\n\n")]},
        {"messages": [message(user, "日本語 \"quotes\" <b>&amp;</b> 'x' {{ 7 }} {% if %} 🙂")]},
        {"messages": [message(assistant, "I begin")]},
        {"messages": [message(user, "a"), message(user, "b")]},
        {"messages": [message(user, "x")], "tools": [WEATHER]},
        {"messages": tools_used, "tools": [WEATHER, WEATHER]},
        {"messages": tools_used},
        {"messages": [message(user, parts)]},
        {"messages": [message(user, "")]},
        {"messages": []},
        {"messages": [message(user, None)]},
    ]


def render(source: str, variables: dict[str, Any]) -> dict[str, Any]:
    try:
        return {"text": _compile_jinja_template(source).render(**variables)}
    except jinja2.exceptions.UndefinedError:
        return {"refused": ""}
    except jinja2.exceptions.TemplateError as error:
        return {"refused": str(error)}
    except (ArithmeticError, LookupError, SyntaxError, TypeError, ValueError):
        return {"refused": ""}


def cases(source: str) -> list[dict[str, Any]]:
    result = []
    for conversation in conversations():
        for add_generation_prompt in (False, True):
            variables = {
                "messages": conversation["messages"],
                "tools": conversation.get("tools"),
                "documents": None,
                "add_generation_prompt": add_generation_prompt,
                "bos_token": "<s>",
                "eos_token": "</s>",
            }
            result.append({"variables": variables, **render(source, variables)})
    return result


def refresh_semantics(path: Path) -> None:
    content = json.loads(path.read_text(encoding="utf-8"))
    for case in content["cases"]:
        template = case["template"]
        case.clear()
        case.update({"template": template, **render(template, content["variables"])})
    write(path, content)


def write(path: Path, content: dict[str, Any]) -> None:
    path.write_text(json.dumps(content, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--extra", action="append", default=[], metavar="NAME=FILE")
    parser.add_argument("out", type=Path)
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    for name, source in TEMPLATES.items():
        write(arguments.out / f"{name}.json", {"template": source, "cases": cases(source)})
    for extra in arguments.extra:
        name, file = extra.split("=", 1)
        source = json.loads(Path(file).read_text(encoding="utf-8"))["chat_template"]
        write(arguments.out / f"{name}.json", {"template": None, "cases": cases(source)})
    refresh_semantics(arguments.out / "semantics.json")


if __name__ == "__main__":
    main()
