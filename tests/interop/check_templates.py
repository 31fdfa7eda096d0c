"""Renders random chat templates with nibble and with Jinja2, set up as transformers sets it up, and compares texts and errors.

    check_templates.py NIBBLE [--count 800 | --seconds 600] [--seed 1] [--template FILE...]

With --template, the files are rendered with random conversations instead of random templates.
"""

import argparse
import itertools
import json
import random
import re
import subprocess
import sys
import tempfile
import time
import warnings
from datetime import datetime
from pathlib import Path

from jinja2 import TemplateError, TemplateSyntaxError, nodes
from jinja2.ext import Extension
from jinja2.sandbox import ImmutableSandboxedEnvironment

CONTEXTS = 6
STRINGS = ["", "a", "Hello", "two words", " padded \n", "x=1", "Grüße", "🦊 fox", "<think>\nhm\n</think>\n\nyes", "it's", 'a "b"', "a,b,c",
           "line\nline", "ABC", "1", "{}", "\\n", "&<>"]
NAMES = ["messages", "tools", "message", "n", "x", "text", "items", "flag", "nothing", "nested", "undefined_one"]
KEYS = ["role", "content", "name", "a", "b", "missing", "tool_calls", "function", "type"]
BINARY = ["+", "-", "*", "~", "==", "!=", "<", ">", "<=", ">=", "and", "or", "in", "not in", "%", "//", "/"]
FILTERS = ["length", "trim", "upper", "lower", "title", "capitalize", "tojson", "list", "first", "last", "string", "int", "float", "join",
           "join(', ')", "default('d')", "default('d', true)", "items", "reverse", "reverse | list", "sort", "unique | list", "abs", "sum",
           "replace('a', 'b')", "tojson(indent=2)", "indent(2)", "indent(width=2, first=true)", "selectattr('role', 'equalto', 'user') | list",
           "rejectattr('content') | list", "map(attribute='role') | list", "map('upper') | list", "select('string') | list", "dictsort",
           "batch(2) | list", "slice(2) | list", "round(1)", "truncate(9)", "wordcount", "center(9)", "min", "max", "safe", "escape", "string | length",
           "groupby('role') | list", "select('mapping') | list", "reject('none') | list", "map('string') | join('-')", "striptags", "urlencode"]
TESTS = ["defined", "undefined", "none", "string", "mapping", "sequence", "iterable", "number", "integer", "boolean", "true", "false", "odd",
         "even", "divisibleby(2)", "equalto(1)", "in items", "lower", "upper", "callable", "float"]
METHODS = ["strip()", "lstrip()", "rstrip('\\n')", "upper()", "lower()", "title()", "split()", "split('a')", "split('</think>')[-1]", "startswith('a')",
           "endswith(('a', 'b'))", "replace('a', 'b')", "replace('a', 'b', 1)", "find('l')", "count('l')", "items()", "keys() | list", "get('role')",
           "get('a', 'z')", "values() | list", "join(items)", "format(1)", "splitlines()", "partition('=')", "rsplit(',', 1)", "zfill(4)", "isdigit()",
           "index('a')", "capitalize()", "center(8, '*')", "removeprefix('H')", "encode()", "append(1)", "title().swapcase()", "isalpha()", "expandtabs()"]


class Generation(Extension):
    """Generation blocks, which transformers adds: their text is the text of what is in them."""

    tags = {"generation"}

    def parse(self, parser):
        line = next(parser.stream).lineno
        body = parser.parse_statements(["name:endgeneration"], drop_needle=True)
        return nodes.CallBlock(self.call_method("_text"), [], [], body).set_lineno(line)

    def _text(self, caller):
        return caller()


class Generator:
    """Makes random templates; each construct that published templates use has its chance."""

    def __init__(self, seed):
        self.random = random.Random(seed)

    def one(self, values):
        return self.random.choice(values)

    def chance(self, probability):
        return self.random.random() < probability

    def string(self):
        text = self.one(STRINGS).replace("\\", "\\\\").replace("\n", "\\n")
        return "'" + text.replace("'", "\\'") + "'" if self.chance(0.5) else '"' + text.replace('"', '\\"') + '"'

    def literal(self, depth):
        kind = self.random.randrange(8)
        if kind == 0:
            return str(self.random.randrange(-3, 12))
        if kind == 1:
            return self.one(["0.5", "2.0", "1e3", "3.14159", "1_000"])
        if kind == 2:
            return self.one(["true", "false", "none", "True", "None"])
        if kind == 3 and depth > 0:
            return "[" + ", ".join(self.expression(depth - 1) for _ in range(self.random.randrange(4))) + "]"
        if kind == 4 and depth > 0:
            return "{" + ", ".join(self.string() + ": " + self.expression(depth - 1) for _ in range(self.random.randrange(3))) + "}"
        if kind == 5 and depth > 0:
            return "(" + ", ".join(self.expression(depth - 1) for _ in range(2)) + ")"
        return self.string()

    def slice(self):
        return self.one(["[0]", "[-1]", "[1:]", "[:-1]", "[::-1]", "[::2]", "[1:3]", "[-2:]", "[10]", "['role']", "['content']", "['a']", "[n]", "[:n]"])

    def expression(self, depth):
        if depth <= 0 or self.chance(0.15):
            return self.one(NAMES) if self.chance(0.6) else self.literal(0)
        inner = lambda: self.expression(depth - 1)
        kind = self.random.randrange(13)
        if kind <= 1:
            return f"({inner()} {self.one(BINARY)} {inner()})" if self.chance(0.7) else f"{inner()} {self.one(BINARY)} {inner()}"
        if kind == 2:
            return f"{inner()} | {self.one(FILTERS)}" if self.chance(0.5) else f"({inner()}) | {self.one(FILTERS)}"
        if kind == 3:
            return f"{inner()} is {self.one(['', 'not '])}{self.one(TESTS)}"
        if kind == 4:
            return f"{self.one(NAMES)}.{self.one(KEYS)}"
        if kind == 5:
            return self.one(NAMES) + self.slice()
        if kind == 6:
            # Slices of constants are different on purpose: see docs/chat-templates.md.
            return f"({self.one(NAMES)} | {self.one(FILTERS)}){self.slice()}"
        if kind == 7:
            return f"({inner()}).{self.one(METHODS)}" if self.chance(0.5) else f"{self.one(NAMES)}.{self.one(METHODS)}"
        if kind == 8:
            return f"({inner()} if {inner()} else {inner()})" if self.chance(0.8) else f"({inner()} if {inner()})"
        if kind == 9:
            return "not " + inner()
        if kind == 10:
            return self.one(["-", "+"]) + self.one(NAMES)
        if kind == 11:
            return self.one(["range(3)", "range(1, n)", "dict(a=1, b=x)", "namespace(a=1).a", "loop.index", "ns.a", "macro_one(x)", "macro_one(1, b=2)"])
        return self.literal(depth)

    def open(self):
        return self.one(["{%", "{%-", "{%+"] if self.chance(0.5) else ["{%-"])

    def close(self):
        return self.one(["%}", "-%}"])

    def tag(self, text):
        return f"{self.open()} {text} {self.close()}"

    def text(self):
        return self.one(["\n", " ", "  ", "text", "<|im_start|>", "\n\n", "a\n  b", "{", "}", "# not", "[INST] ", "\t"])

    def body(self, depth):
        return "".join(self.statement(depth - 1) for _ in range(self.random.randrange(1, 4)))

    def statement(self, depth):
        kind = self.random.randrange(14) if depth > 0 else self.random.randrange(5)
        value = lambda: self.expression(self.random.randrange(1, 4))
        if kind <= 1:
            return self.text()
        if kind <= 3:
            return self.one(["{{ ", "{{- "]) + value() + self.one([" }}", " -}}"])
        if kind == 4:
            return self.one(["{# a comment #}", "{#- c -#}\n"])
        if kind == 5:
            otherwise = self.tag("else") + self.body(depth) if self.chance(0.4) else ""
            middle = self.tag("elif " + value()) + self.body(depth) if self.chance(0.3) else ""
            return self.tag("if " + value()) + self.body(depth) + middle + otherwise + self.tag("endif")
        if kind in (6, 7):
            head = self.one([f"for message in messages", f"for x in {value()}", "for k, v in nested.items()", f"for x in items if {value()}",
                             "for k, v in nested | dictsort", "for x in range(3)"])
            inside = self.body(depth) + (self.one(["{{ loop.index }}", "{{ loop.last }}", "{{ loop.previtem }}", "{{ loop.cycle('a', 'b') }}",
                                                   "{{ loop.changed(x) }}", "{% if loop.index > 1 %}{% break %}{% endif %}", "{{ loop.length }}"]))
            otherwise = self.tag("else") + self.body(depth) if self.chance(0.2) else ""
            return self.tag(head) + inside + otherwise + self.tag("endfor")
        if kind == 8:
            return self.tag(f"set {self.one(['x', 'text', 'n', 'ns.a', 'x, n'])} = {value()}")
        if kind == 9:
            return self.tag(f"set text{self.one(['', ' | upper', ' | trim'])}") + self.body(depth) + self.tag("endset")
        if kind == 10:
            return self.tag("macro macro_one(a, b=n)") + self.body(depth) + "{{ a }}{{ b }}{{ varargs }}" + self.tag("endmacro") + "{{ macro_one(x) }}"
        if kind == 11:
            return self.tag("filter " + self.one(["upper", "trim", "indent(2)", "replace('a', 'o')"])) + self.body(depth) + self.tag("endfilter")
        if kind == 12:
            return self.tag(f"with x = {value()}") + self.body(depth) + self.tag("endwith")
        return self.tag("set ns = namespace(a=x)") + self.body(depth) + "{{ ns.a }}"

    def template(self):
        prefix = "{%- set ns = namespace(a=0) -%}" if self.chance(0.5) else ""
        return prefix + "".join(self.statement(3) for _ in range(self.random.randrange(1, 6)))

    def value(self, depth):
        kind = self.random.randrange(7)
        if kind == 0:
            return self.random.randrange(-3, 100)
        if kind == 1:
            return self.one([0.5, -1.25, 1e20, 3.0])
        if kind == 2:
            return self.one([True, False, None])
        if kind == 3 and depth:
            return [self.value(depth - 1) for _ in range(self.random.randrange(4))]
        if kind == 4 and depth:
            return {self.one(KEYS): self.value(depth - 1) for _ in range(self.random.randrange(4))}
        return self.one(STRINGS)

    def message(self):
        role = self.one(["user", "assistant", "system", "tool"])
        content = self.one(STRINGS)
        if self.chance(0.2):
            content = [{"type": "text", "text": self.one(STRINGS)}, {"type": "image"}][: self.random.randrange(1, 3)]
        message = {"role": role, "content": content}
        if role == "assistant" and self.chance(0.5):
            call = {"name": "get_weather", "arguments": {"city": "Paris", "days": 2, "in": [1, "a"]}}
            message["tool_calls"] = [{"id": "abcdefghi", "type": "function", "function": call}] * self.random.randrange(1, 3)
            message["content"] = self.one([content, "", None])
        if role == "assistant" and self.chance(0.3):
            message["reasoning_content"] = self.one(STRINGS)
        if role == "tool":
            message.update(name="get_weather", tool_call_id="abcdefghi")
        return message

    def conversation(self):
        start = [{"role": "system", "content": self.one(STRINGS)}] if self.chance(0.5) else []
        if self.chance(0.3):
            return start + [self.message() for _ in range(self.random.randrange(4))]
        turns = []
        for _ in range(self.random.randrange(1, 3)):
            turns += [{"role": "user", "content": self.one(STRINGS)}, {"role": "assistant", "content": self.one(STRINGS)}]
        return start + (turns if self.chance(0.5) else turns[:-1])

    def context(self):
        parameters = {"type": "object", "properties": {"city": {"type": "string", "description": "Größe <b>"}}, "required": ["city"]}
        tool = {"type": "function", "function": {"name": "get_weather", "description": "Weather", "parameters": parameters}}
        context = {"messages": self.conversation(), "tools": self.one([None, [tool], [tool, tool]]), "documents": None,
                   "add_generation_prompt": self.chance(0.5), "bos_token": "<s>", "eos_token": "</s>", "n": self.random.randrange(5),
                   "x": self.value(2), "text": self.one(STRINGS), "items": [self.value(1) for _ in range(self.random.randrange(4))],
                   "flag": self.chance(0.5), "nothing": None, "nested": {"a": self.value(1), "b": {"role": "user"}}, "message": self.message()}
        if self.chance(0.3):
            context["enable_thinking"] = self.chance(0.5)
        return context


def tojson(value, ensure_ascii=False, indent=None, separators=None, sort_keys=False):
    return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)


def raise_exception(message):
    raise TemplateError(message)


def environment():
    """As transformers.utils.chat_template_utils makes it."""
    result = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True, extensions=["jinja2.ext.loopcontrols", Generation])
    result.filters["tojson"] = tojson
    result.globals["raise_exception"] = raise_exception
    result.globals["strftime_now"] = lambda text: datetime.now().strftime(text)
    return result


def expected(env, source, contexts):
    """A list of texts and exceptions, or the exception that compiling raises."""
    try:
        template = env.from_string(source)
    except (TemplateSyntaxError, RecursionError) as error:
        return error
    results = []
    for context in contexts:
        try:
            text = template.render(**context)
            text.encode()
            results.append(text)
        except Exception as error:  # whatever a template makes Python raise
            results.append(error)
    return results


def rendered(nibble, path, contexts):
    lines = "".join(json.dumps(context, ensure_ascii=False) + "\n" for context in contexts)
    done = subprocess.run([nibble, "template", str(path), "--jsonl"], input=lines, capture_output=True, text=True, timeout=60)
    if done.returncode not in (0, 1):
        raise SystemExit(f"FAILED: exit code {done.returncode} for {path.read_text()}\n{lines}\n{done.stderr}")
    answers = [json.loads(line) for line in done.stdout.split("\n") if line]
    return answers if answers else done.stderr.strip()


# What docs/chat-templates.md lists as different on purpose: addresses and classes in printed objects, Python's words in messages.
UNCOMPARED = re.compile(r"<(generator|function|bound method|built-in|class|jinja2|Cycler|itertools|Macro|slice|Undefined|method|filter|map)[ '.]| at 0x")


def difference(want, got):
    """What is different between Jinja2's result and nibble's, or nothing."""
    if isinstance(want, str):
        if UNCOMPARED.search(want):
            return None
        return None if got.get("text") == want else f"expected {want!r}\n     got {got}"
    if "error" not in got:
        return f"expected {type(want).__name__}: {want}\n     got {got['text']!r}"
    named = re.search(r":\d+: (\w+(?:Error|Exception|Iteration)): ", got["error"])
    if "'Undefined' object cannot" in str(want):
        return None  # nibble names the undefined variable instead
    if named and named.group(1) != type(want).__name__ and type(want).__name__ != "TemplateRuntimeError":
        return f"expected {type(want).__name__}: {want}\n     got {got['error']}"
    return None


def compare(source, want, got):
    if isinstance(want, Exception):
        return None if isinstance(got, str) else f"expected a template that does not compile ({want}), got {got[:1]}"
    if isinstance(got, str):
        # Jinja2 finds out some errors of constants only when it renders.
        return None if all(isinstance(one, Exception) for one in want) else f"does not compile: {got}"
    for one, answer in zip(want, got, strict=True):
        found = difference(one, answer)
        if found:
            return found
    return None


def sources(args, generator):
    if args.template:
        for path in args.template:
            yield path.read_text()
        return
    end = time.monotonic() + (args.seconds or 0)
    for _ in range(args.count) if args.seconds is None else itertools.takewhile(lambda _: time.monotonic() < end, itertools.count()):
        yield generator.template()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("nibble")
    parser.add_argument("--count", type=int, default=800, help="random templates")
    parser.add_argument("--seconds", type=float, help="go on for so long, whatever the count")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--failures", type=int, default=5, help="stop after so many")
    parser.add_argument("--contexts", type=int, default=CONTEXTS, help="conversations for each template")
    parser.add_argument("--template", type=Path, nargs="+", default=[])
    args = parser.parse_args()
    warnings.simplefilter("ignore", SyntaxWarning)  # Python's, about what random templates do with constants
    generator, env = Generator(args.seed), environment()
    count = texts = failures = 0
    with tempfile.TemporaryDirectory(prefix="nibble-templates-") as folder:
        path = Path(folder) / "template.jinja"
        for source in sources(args, generator):
            contexts = [generator.context() for _ in range(args.contexts)]
            path.write_text(source)
            want, got = expected(env, source, contexts), rendered(args.nibble, path, contexts)
            count += 1
            texts += 0 if isinstance(want, Exception) else sum(isinstance(one, str) for one in want)
            found = compare(source, want, got)
            if found:
                failures += 1
                print(f"  FAILED  {source if not args.template else args.template[count - 1]!s:.2000}\n     {found}")
                if failures >= args.failures:
                    break
    print(f"{count} templates, {texts} texts compared, {failures} differ")
    sys.exit(1 if failures or texts < count // 10 else 0)


if __name__ == "__main__":
    main()
