#!/usr/bin/env python3
"""Renders chat templates as `transformers` does and writes what comes out to tests/data/templates/expected.json.

usage: python tests/reference/templates.py [FOLDER]     (with jinja2; the committed file is of jinja2 3.1.6)

Renders each of tests/data/templates/*.jinja with each conversation of conversations.json and stores the text; of the
templates in FOLDER (*.jinja, of published models) it stores length and sha256. Where `transformers` can be imported, its
own rendering has to agree.
"""
import hashlib
import json
import sys
from datetime import datetime
from pathlib import Path

import jinja2
from jinja2.ext import Extension, loopcontrols
from jinja2.sandbox import ImmutableSandboxedEnvironment

DATA = Path(__file__).parent.parent / "data" / "templates"
NOW = datetime(2026, 3, 7, 9, 5, 2)
TOKENS = {"bos_token": "<s>", "eos_token": "</s>"}
REASONING = ("reasoning_content", "thinking", "reasoning")


class Generation(Extension):
    """`{% generation %}`: a call block that prints what is inside."""

    tags = {"generation"}

    def parse(self, parser):
        line = next(parser.stream).lineno
        body = parser.parse_statements(["name:endgeneration"], drop_needle=True)
        return jinja2.nodes.CallBlock(self.call_method("inside"), [], [], body).set_lineno(line)

    def inside(self, caller):
        return caller()


def raise_exception(message):
    raise jinja2.exceptions.TemplateError(message)


def tojson(value, ensure_ascii=False, indent=None, separators=None, sort_keys=False):
    return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)


def environment():
    env = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True, extensions=[Generation, loopcontrols])
    env.filters["tojson"] = tojson
    env.globals.update(raise_exception=raise_exception, strftime_now=NOW.strftime)
    return env


def with_reasoning(message):
    """The message with its thoughts under the names that templates read."""
    thoughts = next((message[key] for key in REASONING if message.get(key) is not None), None)
    return message if thoughts is None else {"thinking": thoughts, **message, "reasoning_content": thoughts}


def render(source, case, messages):
    variables = {"tools": case.get("tools"), "documents": None, "add_generation_prompt": case["add_generation_prompt"]}
    variables |= TOKENS | case.get("extra", {})
    try:
        text = environment().from_string(source).render(messages=[with_reasoning(m) for m in messages], **variables)
        result = {"text": text}
    except jinja2.exceptions.TemplateError as error:
        result = {"raised": str(error)} if type(error) is jinja2.exceptions.TemplateError else {"failed": str(error)}
    except (TypeError, AttributeError, KeyError, IndexError) as error:
        result = {"failed": str(error)}
    compare(source, messages, variables, result)
    return result


def compare(source, messages, variables, result):
    """Fails where `transformers` gives another text."""
    try:
        from transformers.utils import chat_template_utils
    except ImportError:
        return
    chat_template_utils.datetime = type("Now", (), {"now": staticmethod(lambda: NOW)})
    try:
        theirs = chat_template_utils.render_jinja_template([messages], chat_template=source, **variables)[0][0]
    except Exception as error:
        theirs = None
        assert str(error) in result.values(), (error, result)
    assert theirs == result.get("text"), (theirs, result)


def expected(source, case):
    """What comes out; templates differ in whether a message without content has none, a null or an empty one."""
    results = []
    for blank in ({}, {"content": None}, {"content": ""}):
        results.append(render(source, case, [blank | message for message in case["messages"]]))
        if "failed" not in results[-1]:
            return results[-1]
    return {"failed": True}


def shortened(result):
    if "text" not in result:
        return result
    text = result["text"].encode()
    return {"bytes": len(text), "sha256": hashlib.sha256(text).hexdigest()}


def main():
    cases = json.loads((DATA / "conversations.json").read_text())
    out = {"own": {}, "published": {}}
    for kind, folder in (("own", DATA), ("published", Path(sys.argv[1]) if len(sys.argv) > 1 else None)):
        for path in sorted(folder.glob("*.jinja")) if folder else ():
            source = path.read_text()
            # What `values` prints hardly depends on the conversation.
            chosen = cases[:1] if path.stem == "values" else cases
            results = {case["name"]: expected(source, case) for case in chosen}
            if kind == "published":
                results = {name: shortened(result) for name, result in results.items()}
            out[kind][path.stem] = results
    (DATA / "expected.json").write_text(json.dumps(out, ensure_ascii=False, indent=1) + "\n")


if __name__ == "__main__":
    main()
