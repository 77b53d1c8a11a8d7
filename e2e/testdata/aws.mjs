// The AWS SDK for JavaScript against a server, with the handler that it takes by
// itself (HTTP/2) and with HTTP/1.1. The packages are looked for in the folder
// that NODE_CLIENTS names.
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";
import assert from "node:assert/strict";

const require = createRequire(pathToFileURL(process.env.NODE_CLIENTS + "/"));
const { BedrockRuntimeClient, ConverseCommand, ConverseStreamCommand, CountTokensCommand, InvokeModelCommand, InvokeModelWithResponseStreamCommand, InvokeModelWithBidirectionalStreamCommand } = require("@aws-sdk/client-bedrock-runtime");
const { BedrockClient, ListFoundationModelsCommand, GetFoundationModelCommand, GetFoundationModelAvailabilityCommand, GetInferenceProfileCommand, CreateInferenceProfileCommand, DeleteInferenceProfileCommand, ListTagsForResourceCommand, paginateListInferenceProfiles } = require("@aws-sdk/client-bedrock");
const { NodeHttpHandler } = require("@smithy/node-http-handler");
const profile = process.env.PROFILE, bare = profile.replace(/^jp\./, ""), region = process.env.AWS_REGION;

const toolConfig = { tools: [{ toolSpec: { name: "weather", description: "the weather", inputSchema: { json: { type: "object", properties: { city: { type: "string" } }, required: ["city"] } } } }] };

async function tools(client, modelId) {
  const messages = [{ role: "user", content: [{ text: "use weather" }] }];
  const blocks = [];
  let now = {}, stop, usage, order = [];
  for await (const e of (await client.send(new ConverseStreamCommand({ modelId, messages, toolConfig }))).stream) {
    order.push(Object.keys(e)[0]);
    if (e.contentBlockStart) now = { toolUse: { ...e.contentBlockStart.start.toolUse, input: "" } };
    else if (e.contentBlockDelta?.delta.text !== undefined) now.text = (now.text ?? "") + e.contentBlockDelta.delta.text;
    else if (e.contentBlockDelta) now.toolUse.input += e.contentBlockDelta.delta.toolUse.input;
    else if (e.contentBlockStop) {
      if (now.toolUse) now.toolUse.input = JSON.parse(now.toolUse.input);
      blocks.push(now);
      now = {};
    } else if (e.messageStop) stop = e.messageStop.stopReason;
    else if (e.metadata) usage = e.metadata.usage;
  }
  assert.equal(order[0], "messageStart");
  assert.deepEqual(order.slice(-2), ["messageStop", "metadata"]);
  assert.equal(stop, "tool_use");
  assert.ok(usage.outputTokens > 0 && usage.totalTokens === usage.inputTokens + usage.outputTokens);
  const { toolUse } = blocks.at(-1);
  assert.equal(toolUse.name, "weather");
  assert.ok(toolUse.input.city);
  messages.push({ role: "assistant", content: blocks }, { role: "user", content: [{ toolResult: { toolUseId: toolUse.toolUseId, content: [{ text: "it rains" }] } }] });
  const out = await client.send(new ConverseCommand({ modelId, messages, toolConfig }));
  assert.match(out.output.message.content[0].text, /it rains/);
  assert.equal(out.stopReason, "end_turn");
}

const body = JSON.stringify({ anthropic_version: "bedrock-2023-05-31", max_tokens: 100, messages: [{ role: "user", content: "hello" }] });
const hello = [{ role: "user", content: [{ text: "hello" }] }];

async function runtime(client) {
  await tools(client, profile);

  const whole = await client.send(new InvokeModelCommand({ modelId: profile, body, contentType: "application/json" }));
  assert.match(JSON.parse(whole.body.transformToString()).content[0].text, /hello/);
  assert.equal(whole.contentType, "application/json");

  let text = "", last;
  for await (const e of (await client.send(new InvokeModelWithResponseStreamCommand({ modelId: profile, body }))).body) {
    last = JSON.parse(new TextDecoder().decode(e.chunk.bytes));
    text += last.delta?.text ?? "";
  }
  assert.match(text, /hello/);
  assert.ok(last["amazon-bedrock-invocationMetrics"].outputTokenCount > 0);

  const { inputTokens } = await client.send(new CountTokensCommand({ modelId: profile, input: { converse: { messages: hello } } }));
  assert.ok(inputTokens > 0);

  const refused = (command, name, message, status) => assert.rejects(client.send(command), (e) => {
    assert.equal(e.name, name);
    assert.match(e.message, message);
    assert.equal(e.$metadata.httpStatusCode, status);
    assert.ok(e.$metadata.requestId);
    return true;
  });
  await refused(new ConverseStreamCommand({ modelId: bare, messages: hello }), "ValidationException", /with on-demand throughput isn’t supported/, 400);
  await refused(new ConverseCommand({ modelId: "no.such-model", messages: hello }), "ValidationException", /^The provided model identifier is invalid\.$/, 400);
  await refused(new InvokeModelCommand({ modelId: profile, body, guardrailIdentifier: "abc", guardrailVersion: "1" }), "ValidationException", /Guardrail/i, 400);

  // Who goes away in the middle of a stream disturbs nobody.
  const gone = new AbortController();
  const { stream } = await client.send(new ConverseStreamCommand({ modelId: profile, messages: hello }), { abortSignal: gone.signal });
  await assert.rejects(async () => {
    for await (const e of stream) if (e.contentBlockDelta) gone.abort();
    throw new Error("the stream ended by itself"); // it was short enough to be there already
  });

  const many = await Promise.all(Array.from({ length: 20 }, () => client.send(new ConverseCommand({ modelId: profile, messages: hello }))));
  assert.ok(many.every((m) => m.output.message.role === "assistant"));
}

const byItself = new BedrockRuntimeClient({ maxAttempts: 1 });
await runtime(byItself);
// What the server does not have is refused, not left to hang.
async function* nothing() { yield { chunk: { bytes: new TextEncoder().encode("{}") } }; }
await assert.rejects(byItself.send(new InvokeModelWithBidirectionalStreamCommand({ modelId: "amazon.nova-sonic-v1:0", body: nothing() })));
await runtime(new BedrockRuntimeClient({ maxAttempts: 1, requestHandler: new NodeHttpHandler() }));

const control = new BedrockClient({ maxAttempts: 1 });
const { modelSummaries } = await control.send(new ListFoundationModelsCommand({ byProvider: "Anthropic", byOutputModality: "TEXT" }));
assert.ok(modelSummaries.some((m) => m.modelId === bare && m.inferenceTypesSupported.includes("INFERENCE_PROFILE") && m.modelLifecycle.status));
assert.equal((await control.send(new GetFoundationModelCommand({ modelIdentifier: bare }))).modelDetails.modelId, bare);
assert.equal((await control.send(new GetFoundationModelAvailabilityCommand({ modelId: bare }))).regionAvailability, "AVAILABLE");
const ids = [];
let pages = 0;
for await (const p of paginateListInferenceProfiles({ client: control, pageSize: 7 }, { typeEquals: "SYSTEM_DEFINED" })) {
  pages++;
  ids.push(...p.inferenceProfileSummaries.map((x) => x.inferenceProfileId));
}
assert.ok(pages > 1 && ids.includes(profile) && new Set(ids).size === ids.length);
const found = await control.send(new GetInferenceProfileCommand({ inferenceProfileIdentifier: profile }));
assert.equal(found.models.length, 2);
const made = await control.send(new CreateInferenceProfileCommand({ inferenceProfileName: "js", modelSource: { copyFrom: found.inferenceProfileArn }, tags: [{ key: "team", value: "poets" }] }));
assert.equal(made.status, "ACTIVE");
assert.match(made.inferenceProfileArn, new RegExp(`^arn:aws:bedrock:${region}:\\d{12}:application-inference-profile/[0-9a-z]{12}$`));
assert.deepEqual((await control.send(new ListTagsForResourceCommand({ resourceARN: made.inferenceProfileArn }))).tags, [{ key: "team", value: "poets" }]);
await tools(byItself, made.inferenceProfileArn);
await control.send(new DeleteInferenceProfileCommand({ inferenceProfileIdentifier: made.inferenceProfileArn }));
await assert.rejects(control.send(new GetInferenceProfileCommand({ inferenceProfileIdentifier: made.inferenceProfileArn })), (e) => e.name === "ResourceNotFoundException" && e.$metadata.httpStatusCode === 404);
console.log("aws: all good");
