// Fills a development server with something to look at: machines, executions that
// succeed, fail and wait, models asked in two Regions. Run alone, ENDPOINT says where.
import { SFNClient, CreateStateMachineCommand, DescribeExecutionCommand, StartExecutionCommand, ListStateMachinesCommand } from "@aws-sdk/client-sfn";
import { IAMClient, AttachRolePolicyCommand, CreatePolicyCommand, CreateRoleCommand, CreateUserCommand, PutRolePolicyCommand } from "@aws-sdk/client-iam";
import { BedrockRuntimeClient, ConverseCommand } from "@aws-sdk/client-bedrock-runtime";
import { FetchHttpHandler } from "@smithy/fetch-http-handler";

const region = "ap-northeast-1";
let sfn, iam, runtime;

export function connect(endpoint) {
  const cfg = { endpoint, region, credentials: { accessKeyId: "test", secretAccessKey: "test" } };
  sfn = new SFNClient(cfg);
  iam = new IAMClient({ ...cfg, region: "us-east-1" });
  runtime = new BedrockRuntimeClient({ ...cfg, requestHandler: new FetchHttpHandler() }); // the default speaks HTTP/2
}

export const profile = "jp.anthropic.claude-sonnet-4-5-20250929-v1:0";
const ask = (content, more = {}) => ({
  Type: "Task",
  Resource: "arn:aws:states:::bedrock:invokeModel",
  Arguments: {
    ModelId: profile,
    Body: { anthropic_version: "bedrock-2023-05-31", max_tokens: 200, messages: [{ role: "user", content }] },
  },
  Output: "{% $states.result.Body.content[0].text %}",
  ...more,
});

// refusedDefinition is what the story pastes.
export const refusedDefinition = JSON.stringify(
  { QueryLanguage: "JSONata", StartAt: "Ask Claude", States: { "Ask Claude": ask("{% $states.input.prompt %}", { End: true }) } },
  null,
  2,
);

const triage = {
  Comment: "Sorts claims, asks a model about each, and waits for a second opinion.",
  QueryLanguage: "JSONata",
  StartAt: "Prepare",
  States: {
    Prepare: { Type: "Pass", Assign: { claims: "{% $states.input.claims %}" }, Next: "Anything to do?" },
    "Anything to do?": { Type: "Choice", Choices: [{ Condition: "{% $count($claims) > 0 %}", Next: "Each claim" }], Default: "Nothing" },
    Nothing: { Type: "Succeed" },
    "Each claim": {
      Type: "Map",
      Items: "{% $claims %}",
      MaxConcurrency: 2,
      ItemProcessor: {
        ProcessorConfig: { Mode: "INLINE" },
        StartAt: "Summarize",
        States: { Summarize: ask("{% $states.input.text %}", { Next: "Tidy" }), Tidy: { Type: "Pass", End: true } },
      },
      Next: "Opinions",
    },
    Opinions: {
      Type: "Parallel",
      Branches: [
        { StartAt: "Ask Claude", States: { "Ask Claude": ask("Is this fraud?", { End: true }) } },
        { StartAt: "Cool off", States: { "Cool off": { Type: "Wait", Seconds: 1, End: true } } },
      ],
      Catch: [{ ErrorEquals: ["States.ALL"], Next: "By hand" }],
      Next: "Done",
    },
    "By hand": { Type: "Fail", Error: "NeedsHuman", Cause: "the model could not be asked" },
    Done: { Type: "Succeed" },
  },
};

const trust = JSON.stringify({
  Version: "2012-10-17",
  Statement: [{ Effect: "Allow", Principal: { Service: "states.amazonaws.com" }, Action: "sts:AssumeRole" }],
});
const role = async (RoleName, statement) => {
  const r = await iam.send(new CreateRoleCommand({ RoleName, AssumeRolePolicyDocument: trust }));
  await iam.send(
    new PutRolePolicyCommand({ RoleName, PolicyName: "models", PolicyDocument: JSON.stringify({ Version: "2012-10-17", Statement: statement }) }),
  );
  return r.Role.Arn;
};
const machine = async (name, definition, roleArn) =>
  (await sfn.send(new CreateStateMachineCommand({ name, roleArn, definition: JSON.stringify(definition, null, 2) }))).stateMachineArn;
const start = async (stateMachineArn, name, input) =>
  (await sfn.send(new StartExecutionCommand({ stateMachineArn, name, input: JSON.stringify(input) }))).executionArn;

export async function seed() {
  const had = await sfn.send(new ListStateMachinesCommand({}));
  if (had.stateMachines.length) throw new Error("the server is not empty");
  const whole = await role("ClaimsRole", [
    { Effect: "Allow", Action: "bedrock:InvokeModel", Resource: ["arn:aws:bedrock:*:*:inference-profile/jp.*", "arn:aws:bedrock:*::foundation-model/anthropic.*"] },
  ]);
  const pasted = [{ Effect: "Allow", Action: "bedrock:InvokeModel", Resource: `arn:aws:bedrock:${region}::foundation-model/jp.anthropic.claude-sonnet-4-5-20250929-v1:0` }];
  const half = await role("PastedRole", pasted);
  for (const locale of ["en", "ja"]) await role("PastedRole-" + locale, pasted); // each story mends its own
  const nap = { StartAt: "Sleep", States: { Sleep: { Type: "Wait", Seconds: 3600, Next: "End" }, End: { Type: "Succeed" } } };
  const claims = await machine("claims-triage", triage, whole);
  const refused = await machine("ask-with-pasted-role", { QueryLanguage: "JSONata", StartAt: "Ask", States: { Ask: ask("Hello", { Retry: [{ ErrorEquals: ["States.TaskFailed"], IntervalSeconds: 1, MaxAttempts: 2 }], End: true }) } }, half);
  const asleep = await machine("long-nap", nap, whole);
  const out = {
    succeeded: await start(claims, "monday", { claims: [{ text: "Rain came in" }, { text: "車がへこんだ" }, { text: "Lost luggage" }] }),
    failed: await start(refused, "first-try", {}),
    running: await start(asleep, "overnight", {}),
    machine: claims,
  };
  for (const modelId of [profile, "apac.amazon.nova-lite-v1:0"]) {
    await runtime
      .send(new ConverseCommand({ modelId, messages: [{ role: "user", content: [{ text: "Good morning" }] }] }))
      .catch((e) => console.error(modelId, e.name, e.message));
  }
  const wide = { Version: "2012-10-17", Statement: [{ Effect: "Allow", Action: "bedrock:*", Resource: "*" }, { Effect: "Allow", Action: "iam:PassRole", Resource: "*" }] };
  out.policy = (await iam.send(new CreatePolicyCommand({ PolicyName: "too-wide", PolicyDocument: JSON.stringify(wide) }))).Policy.Arn;
  out.role = whole;
  await iam.send(new AttachRolePolicyCommand({ RoleName: "ClaimsRole", PolicyArn: out.policy }));
  await iam.send(new CreateUserCommand({ UserName: "mika" }));
  ends.push(out.succeeded, out.failed);
  return out;
}

// settled says whether the executions that end have ended.
const ends = [];
export const settled = async () => {
  for (const executionArn of ends) if ((await sfn.send(new DescribeExecutionCommand({ executionArn }))).status === "RUNNING") return false;
  return true;
};

if (import.meta.url === `file://${process.argv[1]}`) {
  connect(process.env.ENDPOINT ?? "http://127.0.0.1:4566");
  console.log(JSON.stringify(await seed()));
}
