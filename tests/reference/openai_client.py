"""OpenAI's own Python client against `taper serve`: chats, streams, tools, structured output, completions, errors.

usage: python openai_client.py TAPER_BINARY      needs: pip install openai pydantic
"""
import asyncio, subprocess, sys

import openai
from pydantic import BaseModel

server = subprocess.Popen([sys.argv[1], "serve", "-m", "demo", "--port", "0"], stdout=subprocess.PIPE, text=True)
url = server.stdout.readline().strip()
client = openai.OpenAI(base_url=url + "/v1", api_key="none", max_retries=0)
ask = [{"role": "user", "content": "exit code 5"}]


class Count(BaseModel):
    n: int


tools = [openai.pydantic_function_tool(Count)]

try:
    assert [model.id for model in client.models.list()] == ["demo"]
    assert client.models.retrieve("demo").id == "demo"

    whole = client.chat.completions.create(model="demo", messages=ask, logprobs=True, top_logprobs=2)
    text = whole.choices[0].message.content
    assert "access denied" in text and whole.choices[0].finish_reason == "stop" and whole.usage.completion_tokens > 3
    assert len(whole.choices[0].logprobs.content[0].top_logprobs) == 2

    pieces = client.chat.completions.create(model="demo", messages=ask, stream=True, stream_options={"include_usage": True})
    pieces = list(pieces)
    assert "".join(piece.choices[0].delta.content or "" for piece in pieces if piece.choices) == text
    assert pieces[-1].usage.total_tokens == whole.usage.total_tokens

    with client.chat.completions.stream(model="demo", messages=ask) as stream:
        for _ in stream:
            pass
        assert stream.get_final_completion().choices[0].message.content == text

    parsed = client.chat.completions.parse(model="demo", messages=ask, response_format=Count).choices[0].message.parsed
    assert isinstance(parsed.n, int)

    called = client.chat.completions.parse(model="demo", messages=ask, tools=tools, tool_choice="required")
    assert called.choices[0].finish_reason == "tool_calls"
    assert isinstance(called.choices[0].message.tool_calls[0].function.parsed_arguments, Count)
    with client.chat.completions.stream(model="demo", messages=ask, tools=tools, tool_choice="required") as stream:
        for _ in stream:
            pass
        call = stream.get_final_completion().choices[0].message.tool_calls[0].function
        assert isinstance(call.parsed_arguments, Count)

    plain = client.completions.create(model="demo", prompt="exit code", max_tokens=4, n=2, echo=True, logprobs=1)
    assert len(plain.choices) == 2 and plain.choices[0].text.startswith("exit code")

    for wrong, kind in [
        (dict(model="other", messages=ask), openai.NotFoundError),
        (dict(model="demo", messages=[]), openai.BadRequestError),
        (dict(model="demo", messages=ask, temperature=-3), openai.BadRequestError),
    ]:
        try:
            client.chat.completions.create(**wrong)
            raise SystemExit(f"no error for {wrong}")
        except kind as error:
            assert error.body["message"], error

    async def many():
        other = openai.AsyncOpenAI(base_url=url + "/v1", api_key="none", max_retries=0)
        answers = await asyncio.gather(*[other.chat.completions.create(model="demo", messages=ask) for _ in range(16)])
        assert {answer.choices[0].message.content for answer in answers} == {text}

    asyncio.run(many())
    print("all of it works with openai", openai.__version__)
finally:
    server.terminate()
    assert server.wait(20) == 0
