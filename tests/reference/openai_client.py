"""OpenAI's own Python client against `taper serve`: chats, streams, tools, structured output, completions, vectors,
errors.

usage: python openai_client.py TAPER_BINARY      needs: pip install openai pydantic
"""
import asyncio, json, math, pathlib, subprocess, sys, tempfile

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

    # As evaluation harnesses ask for the likelihood of a text, here beside what another command says of it.
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder, "text.txt")
        path.write_text("how do I serve a model?")
        command = [sys.argv[1], "perplexity", "-m", "demo", "--json", "-f", path]
        report = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)
    for prompt in ["how do I serve a model?", report["tokens"], [report["tokens"]]]:
        scored = client.completions.create(model="demo", prompt=prompt, max_tokens=0, echo=True, logprobs=1)
        own, usage = scored.choices[0].logprobs, scored.usage
        assert scored.choices[0].finish_reason == "length" and usage.completion_tokens == 0
        assert scored.choices[0].text == "how do I serve a model?" and usage.prompt_tokens == len(report["tokens"])
        assert own.token_logprobs == report["logprobs"] and own.token_logprobs[0] is own.top_logprobs[0] is None
        for token, logprob, likely in list(zip(own.tokens, own.token_logprobs, own.top_logprobs, strict=True))[1:]:
            assert likely[token] == logprob <= max(likely.values())

    texts = ["exit code 5", "how do I serve a model?"]
    # The client asks for base64 unless told otherwise.
    vectors = [each.embedding for each in client.embeddings.create(model="demo", input=texts).data]
    floats = client.embeddings.create(model="demo", input=texts, encoding_format="float")
    assert all(math.isclose(x, y, abs_tol=1e-6) for v, w in zip(vectors, floats.data) for x, y in zip(v, w.embedding))
    assert all(math.isclose(math.hypot(*vector), 1, rel_tol=1e-5) for vector in vectors)
    assert floats.usage.prompt_tokens == floats.usage.total_tokens > 5
    short = client.embeddings.create(model="demo", input=texts[0], dimensions=8).data[0].embedding
    cut = math.hypot(*vectors[0][:8])
    assert all(math.isclose(x, y / cut, abs_tol=1e-5) for x, y in zip(short, vectors[0], strict=False))
    assert client.embeddings.create(model="demo", input=texts[0], extra_body={"pooling": "last"}).data[0].embedding != vectors[0]

    for call, wrong, kind, param in [
        (client.chat.completions, dict(messages=ask, model="other"), openai.NotFoundError, "model"),
        (client.chat.completions, dict(messages=[]), openai.BadRequestError, "messages"),
        (client.chat.completions, dict(messages=ask, temperature=-3), openai.BadRequestError, "temperature"),
        (client.completions, dict(prompt="a " * 3000), openai.BadRequestError, "prompt"),
        (client.embeddings, dict(input=""), openai.BadRequestError, "input"),
        (client.embeddings, dict(input=["a", "a " * 3000]), openai.BadRequestError, "input"),
        (client.embeddings, dict(input="a", dimensions=99999), openai.BadRequestError, "dimensions"),
    ]:
        try:
            call.create(**{"model": "demo", **wrong})
            raise SystemExit(f"no error for {wrong}")
        except kind as error:
            assert error.body["message"] and error.param == param, error

    async def many():
        other = openai.AsyncOpenAI(base_url=url + "/v1", api_key="none", max_retries=0)
        answers = await asyncio.gather(*[other.chat.completions.create(model="demo", messages=ask) for _ in range(16)])
        assert {answer.choices[0].message.content for answer in answers} == {text}

    asyncio.run(many())
    print("all of it works with openai", openai.__version__)
finally:
    server.terminate()
    assert server.wait(20) == 0
