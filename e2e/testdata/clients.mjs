// The official clients of OpenAI and Anthropic against a server. The packages
// are looked for in the folder that NODE_CLIENTS names.
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";
import assert from "node:assert/strict";

const require = createRequire(pathToFileURL(process.env.NODE_CLIENTS + "/"));
const OpenAI = require("openai").default ?? require("openai");
const Anthropic = require("@anthropic-ai/sdk").default ?? require("@anthropic-ai/sdk");
const base = process.env.AWS_ENDPOINT_URL, key = process.env.AWS_BEARER_TOKEN_BEDROCK, profile = process.env.PROFILE;

const openai = new OpenAI({ baseURL: base + "/openai/v1", apiKey: key, maxRetries: 0 });
let a = await openai.chat.completions.create({ model: profile, messages: [{ role: "user", content: "hello" }] });
assert.match(a.choices[0].message.content, /hello/);
assert.ok(a.usage.total_tokens > 0);

let said = "", usage;
for await (const c of await openai.chat.completions.create({ model: profile, messages: [{ role: "user", content: "hello" }], stream: true, stream_options: { include_usage: true } })) {
  said += c.choices[0]?.delta?.content ?? "";
  usage = c.usage ?? usage;
}
assert.match(said, /hello/);
assert.ok(usage.completion_tokens > 0);

const tools = [{ type: "function", function: { name: "weather", parameters: { type: "object", properties: { city: { type: "string" } }, required: ["city"] } } }];
const messages = [{ role: "user", content: "use weather" }];
const runner = openai.chat.completions.stream({ model: profile, messages, tools });
const final = await runner.finalChatCompletion();
const call = final.choices[0].message.tool_calls[0];
assert.equal(call.function.name, "weather");
assert.ok(JSON.parse(call.function.arguments).city);
a = await openai.chat.completions.create({ model: profile, tools, messages: [...messages, final.choices[0].message, { role: "tool", tool_call_id: call.id, content: "it rains" }].map(clean) });
assert.match(a.choices[0].message.content, /it rains/);
function clean(m) { // the stream helper adds what it has parsed
  if (!m.tool_calls) return m;
  return { role: m.role, content: m.content, tool_calls: m.tool_calls.map(({ id, type, function: { name, arguments: args } }) => ({ id, type, function: { name, arguments: args } })) };
}

const ids = [];
for await (const m of await openai.models.list()) ids.push(m.id);
assert.ok(ids.includes(profile));
await assert.rejects(openai.chat.completions.create({ model: "gpt-9", messages }), (e) => e.status === 400 && /model identifier is invalid/.test(e.message));
await assert.rejects(new OpenAI({ baseURL: base + "/openai/v1", apiKey: "sk-wrong", maxRetries: 0 }).models.list(), (e) => e.status === 403);

for (const how of [{ apiKey: key }, { authToken: key, apiKey: null }]) {
  const anthropic = new Anthropic({ baseURL: base + "/anthropic", maxRetries: 0, ...how });
  const m = await anthropic.messages.create({ model: profile, max_tokens: 100, messages });
  assert.match(m.content[0].text, /use weather/);
  const stream = anthropic.messages.stream({ model: profile, max_tokens: 100, messages, tools: [{ name: "weather", input_schema: tools[0].function.parameters }] });
  let text = "";
  stream.on("text", (t) => { text += t; });
  const done = await stream.finalMessage();
  const use = done.content.find((b) => b.type === "tool_use");
  assert.equal(done.stop_reason, "tool_use");
  assert.ok(use.input.city && text.length > 0);
  const back = await anthropic.messages.create({ model: profile, max_tokens: 100, tools: [{ name: "weather", input_schema: tools[0].function.parameters }],
    messages: [...messages, { role: "assistant", content: done.content.map(({ type, ...b }) => (type === "text" ? { type, text: b.text } : { type, id: b.id, name: b.name, input: b.input })) },
      { role: "user", content: [{ type: "tool_result", tool_use_id: use.id, content: "it rains" }] }] });
  assert.match(back.content[0].text, /it rains/);
  assert.ok((await anthropic.messages.countTokens({ model: profile, messages })).input_tokens > 0);
  await assert.rejects(anthropic.messages.create({ model: "nothing", max_tokens: 1, messages }), (e) => e.status === 400 && /model identifier is invalid/.test(e.message));
}
console.log("clients: all good");
