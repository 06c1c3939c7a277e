// OpenAI's own JavaScript client against `taper serve`: chats, streams, tools, structured output, vectors, errors.
//
// usage: node openai_client.mjs TAPER_BINARY FOLDER      needs, in FOLDER: npm install openai zod
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { createRequire } from "node:module";
import { createInterface } from "node:readline";
import { pathToFileURL } from "node:url";

const [binary, folder] = process.argv.slice(2);
const { resolve } = createRequire(pathToFileURL(`${folder}/package.json`));
const load = (name) => import(pathToFileURL(resolve(name)));
const { default: OpenAI } = await load("openai");
const { zodResponseFormat, zodFunction } = await load("openai/helpers/zod");
const { z } = await load("zod");

const server = spawn(binary, ["serve", "-m", "demo", "--port", "0"], { stdio: ["ignore", "pipe", "inherit"] });
const ended = once(server, "exit");
const [url] = await once(createInterface(server.stdout), "line");
const client = new OpenAI({ baseURL: url + "/v1", apiKey: "none", maxRetries: 0 });
const ask = { model: "demo", messages: [{ role: "user", content: "exit code 5" }] };
const Count = z.object({ n: z.number().int(), unit: z.enum(["day", "week"]), note: z.string().max(5).nullable() });
const fits = (value) => Count.safeParse(value).success;

try {
  const ids = [];
  for await (const model of client.models.list()) ids.push(model.id);
  assert.deepEqual(ids, ["demo"]);
  assert.equal((await client.models.retrieve("demo")).id, "demo");

  const whole = await client.chat.completions.create({ ...ask, logprobs: true, top_logprobs: 2 });
  const text = whole.choices[0].message.content;
  assert(text.includes("access denied") && whole.choices[0].finish_reason === "stop");
  assert.equal(whole.choices[0].logprobs.content[0].top_logprobs.length, 2);

  const pieces = await client.chat.completions.create({ ...ask, stream: true, stream_options: { include_usage: true } });
  let [streamed, usage] = ["", null];
  for await (const piece of pieces) {
    streamed += piece.choices[0]?.delta.content ?? "";
    usage = piece.usage ?? usage;
  }
  assert.deepEqual([streamed, usage.total_tokens], [text, whole.usage.total_tokens]);

  const helper = client.chat.completions.stream(ask);
  let heard = "";
  helper.on("content", (delta) => (heard += delta));
  assert.equal((await helper.finalChatCompletion()).choices[0].message.content, text);
  assert.equal(heard, text);

  const response_format = zodResponseFormat(Count, "count");
  const parsed = await client.chat.completions.parse({ ...ask, response_format });
  assert(fits(parsed.choices[0].message.parsed), JSON.stringify(parsed));
  const parsing = client.chat.completions.stream({ ...ask, response_format });
  assert(fits((await parsing.finalChatCompletion()).choices[0].message.parsed));

  const tools = [zodFunction({ name: "count", parameters: Count }), zodFunction({ name: "other", parameters: z.object({}) })];
  for (const tool_choice of ["required", { type: "function", function: { name: "count" } }]) {
    const called = await client.chat.completions.parse({ ...ask, tools, tool_choice });
    const call = called.choices[0].message.tool_calls[0];
    assert.equal(called.choices[0].finish_reason, "tool_calls");
    assert(call.function.name === "other" || fits(call.function.parsed_arguments), JSON.stringify(call));
  }
  const calling = client.chat.completions.stream({ ...ask, tools, tool_choice: tools[0] });
  assert(fits((await calling.finalChatCompletion()).choices[0].message.tool_calls[0].function.parsed_arguments));
  let counted = 0;
  const run = ({ n }) => ((counted += n > 0), String(n));
  const parameters = { type: "object", properties: { n: { enum: [1, 2] } }, required: ["n"], additionalProperties: false };
  const runnable = [{ type: "function", function: { name: "count", parameters, parse: JSON.parse, function: run } }];
  const runner = client.chat.completions.runTools({ ...ask, tools: runnable, tool_choice: { type: "function", function: { name: "count" } } });
  await runner.done();
  assert.equal(counted, 1);

  const plain = await client.completions.create({ model: "demo", prompt: "exit code", max_tokens: 4, n: 2, echo: true });
  assert(plain.choices.length === 2 && plain.choices[0].text.startsWith("exit code"));

  const scored = await client.completions.create({ model: "demo", prompt: "exit code", max_tokens: 0, echo: true, logprobs: 1 });
  const { text: echoed, logprobs } = scored.choices[0];
  assert(echoed === "exit code" && logprobs.token_logprobs[0] === null && logprobs.token_logprobs.slice(1).every((x) => x < 0));

  const input = ["exit code 5", "how do I serve a model?"];
  // The client asks for base64 unless told otherwise.
  const vectors = await client.embeddings.create({ model: "demo", input });
  const floats = await client.embeddings.create({ model: "demo", input, encoding_format: "float" });
  for (const i of [0, 1]) {
    assert.deepEqual([...vectors.data[i].embedding].map(Math.fround), floats.data[i].embedding.map(Math.fround));
    const norm = Math.hypot(...vectors.data[i].embedding);
    assert(Math.abs(norm - 1) < 1e-5, `${norm}`);
  }

  const aborted = await client.chat.completions.create({ ...ask, stream: true });
  for await (const _ of aborted) {
    aborted.controller.abort();
    break;
  }

  const wrong = [
    [{ ...ask, model: "other" }, OpenAI.NotFoundError, "model"],
    [{ ...ask, messages: [] }, OpenAI.BadRequestError, "messages"],
    [{ ...ask, temperature: -3 }, OpenAI.BadRequestError, "temperature"],
  ];
  for (const [body, kind, param] of wrong) {
    await assert.rejects(client.chat.completions.create(body), (error) => {
      assert(error instanceof kind && error.type === "invalid_request_error", String(error));
      assert.equal(error.param, param);
      return true;
    });
  }

  const many = await Promise.all(Array.from({ length: 16 }, () => client.chat.completions.create(ask)));
  assert(many.every((answer) => answer.choices[0].message.content === text));
  console.log("all of it works with openai for JavaScript");
} finally {
  server.kill("SIGTERM");
}
assert.deepEqual(await ended, [0, null]);
