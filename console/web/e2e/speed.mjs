// How long large things take in the console, against a server of its own: a graph of 1,000 states
// and one of 5,000, moved, zoomed and edited; an execution of 25,000 events, scrolled and searched. It
// prints figures and asserts nothing: a loaded machine says nothing about the console.
//
//   node e2e/speed.mjs        (after make build; TOKAIDO_BIN, CHROMIUM)
import { chromiumPath, launch, open, serve, until, wait } from "./harness.mjs";
import { IAMClient, CreateRoleCommand } from "@aws-sdk/client-iam";
import { SFNClient, CreateStateMachineCommand, DescribeExecutionCommand, StartExecutionCommand } from "@aws-sdk/client-sfn";
import { loadavg } from "node:os";

if (!chromiumPath()) {
  console.log("The console's speed was not measured: there is no Chromium (CHROMIUM names one).");
  process.exit(0);
}
const states = 1000;
const events = 25_000; // a turn of the loop makes four
const rounds = 5;

const server = await serve();
const config = { endpoint: server.url, region: "ap-northeast-1", credentials: { accessKeyId: "test", secretAccessKey: "test" } };
const sfn = new SFNClient(config);
const trust = { Version: "2012-10-17", Statement: [{ Effect: "Allow", Principal: { Service: "states.amazonaws.com" }, Action: "sts:AssumeRole" }] };
const roleArn = (await new IAMClient({ ...config, region: "us-east-1" }).send(new CreateRoleCommand({ RoleName: "Speed", AssumeRolePolicyDocument: JSON.stringify(trust) }))).Role.Arn;
const machine = async (name, definition) => (await sfn.send(new CreateStateMachineCommand({ name, roleArn, definition: JSON.stringify({ QueryLanguage: "JSONata", ...definition }, null, 2) }))).stateMachineArn;

// Every tenth state is a Choice that skips some, every tenth a Task that catches into the last one.
const workflow = (states) => {
  const S = {};
  for (let i = 0; i < states; i++) {
    const to = (k) => "Step " + Math.min(states - 1, i + k);
    S["Step " + i] =
      i === states - 1
        ? { Type: "Succeed" }
        : i % 10 === 5
          ? { Type: "Choice", Choices: [{ Condition: "{% false %}", Next: to(7) }], Default: to(1) }
          : i % 10 === 8
            ? { Type: "Task", Resource: "arn:aws:states:::lambda:invoke", Arguments: { FunctionName: "f" }, Catch: [{ ErrorEquals: ["States.ALL"], Next: to(states) }], Next: to(1) }
            : { Type: "Pass", Next: to(1) };
  }
  return { StartAt: "Step 0", States: S };
};
const big = await machine("thousand", workflow(states));
const huge = await machine("fivethousand", workflow(5 * states));
const turns = Math.floor(events / 4) - 10;
const loop = await machine("loop", {
  StartAt: "Init",
  States: {
    Init: { Type: "Pass", Assign: { i: 0 }, Next: "Work" },
    Work: { Type: "Pass", Output: { payload: "{% $pad('', 300, 'x') %}", i: "{% $i %}" }, Assign: { i: "{% $i + 1 %}" }, Next: "More?" },
    "More?": { Type: "Choice", Choices: [{ Condition: `{% $i < ${turns} %}`, Next: "Work" }], Default: "Done" },
    Done: { Type: "Succeed" },
  },
});
const { executionArn } = await sfn.send(new StartExecutionCommand({ stateMachineArn: loop, name: "long" }));
await until("the long execution", async () => (await sfn.send(new DescribeExecutionCommand({ executionArn }))).status !== "RUNNING", 300_000);

// watched are the times between n frames, while something is done.
async function watched(p, n, f) {
  const frames = p.evaluate(async (n) => {
    const out = [];
    let last = await new Promise(requestAnimationFrame);
    while (out.length < n) {
      const now = await new Promise(requestAnimationFrame);
      out.push(now - last);
      last = now;
    }
    return out;
  }, n);
  await f();
  return frames;
}
const late = (frames) => (100 * frames.filter((f) => f > 25).length) / frames.length;

// move drags a graph, and zooms in and out of it.
async function move(p) {
  const frame = p.locator(".asl-frame");
  await frame.scrollIntoViewIfNeeded();
  const r = await frame.boundingBox();
  const [x, y] = [r.x + r.width / 2, r.y + 500];
  for (let k = 0; k < 2; k++) {
    await p.mouse.move(x, y);
    await p.mouse.down();
    for (let i = 0; i < 40; i++) {
      await p.mouse.move(x + i, y - 12 * i);
      await wait(12);
    }
    await p.mouse.up();
  }
  await p.keyboard.down("Control");
  for (let i = 0; i < 60; i++) {
    await p.mouse.wheel(0, i < 30 ? 12 : -12);
    await wait(12);
  }
  await p.keyboard.up("Control");
}

const browser = await launch();
const took = { graph: [], graphCpu: [], huge: [], hugeCpu: [], execution: [], executionCpu: [], frame: [], late: [], search: [], moved: [], movedLate: [], key: [], keyCpu: [] };
let count = "";
try {
  for (let i = 0; i < rounds; i++) {
    const o = await open(browser, { url: server.url, id: "speed", bad: (x) => console.error(x) });
    const p = o.page;
    // What the page's main thread computed, which a loaded machine makes no longer than it is.
    const cdp = await p.context().newCDPSession(p);
    await cdp.send("Performance.enable", { timeDomain: "threadTicks" });
    const cpu = async () => (await cdp.send("Performance.getMetrics")).metrics.find((m) => m.name === "TaskDuration").value * 1000;
    const timed = async (wall, own, f) => {
      const before = await cpu();
      wall.push(await f());
      own.push((await cpu()) - before);
    };
    // The way a user goes: from another page of the console.
    const go = async (path, there) => {
      await p.evaluate((x) => {
        globalThis.from = performance.now();
        history.pushState(null, "", x);
        dispatchEvent(new PopStateEvent("popstate"));
      }, "/console" + path);
      await there();
      return p.evaluate(() => performance.now() - globalThis.from);
    };
    const home = async () => {
      await p.goto(server.url + "/console/");
      await p.locator("h1:visible:not(.signin h1)").first().waitFor();
      await p.waitForLoadState("networkidle");
    };
    const drawn = () => p.locator(".asl-state").nth(5).waitFor();
    const definition = (arn) => `/state-machines/${encodeURIComponent(arn)}?tab=definition`;
    await home();
    await timed(took.huge, took.hugeCpu, () => go(definition(huge), drawn));
    await home();
    await timed(took.graph, took.graphCpu, () => go(definition(big), drawn));
    await p.locator(".cm-content").waitFor();
    const moved = await watched(p, 150, () => move(p));
    took.moved.push(...moved);
    took.movedLate.push(late(moved));
    await p.getByRole("button", { name: "Edit", exact: true }).click();
    const line = p.locator('.cm-content[contenteditable="true"] .cm-line', { hasText: '"Next": "Step 3"' }).first();
    await line.click();
    await p.keyboard.press("Home");
    for (let n = 0; n < 20; n++) {
      await timed(took.key, took.keyCpu, async () => {
        const from = Date.now();
        await p.keyboard.press(" ");
        await p.evaluate(() => new Promise((done) => requestAnimationFrame(() => setTimeout(done)))); // it was painted
        return Date.now() - from;
      });
      await wait(100);
    }
    await home();
    const tab = p.getByRole("tab", { name: /^Events \(\d{4,}\)/ });
    await timed(took.execution, took.executionCpu, () => go(`/executions/${encodeURIComponent(executionArn)}`, () => tab.waitFor()));
    count = await tab.innerText();
    await tab.click();
    const frames = await watched(p, 240, () =>
      p.evaluate(async () => {
        const el = [...document.querySelectorAll(".vrows")].at(-1);
        for (let n = 0; n < 240; n++) {
          el.scrollTop += 700;
          await new Promise(requestAnimationFrame);
        }
      }),
    );
    took.frame.push(...frames);
    took.late.push(late(frames));
    const from = Date.now();
    await p.getByPlaceholder("Find events").fill('"i":6000');
    await p.getByText(/^[1-9]\d? matches/).first().waitFor();
    took.search.push(Date.now() - from);
    await o.close();
  }
} finally {
  await browser.close();
  await server.stop();
}
const median = (a) => [...a].sort((x, y) => x - y)[Math.floor(a.length / 2)];
const line = (what, a, unit) => console.log(`${what}: ${median(a).toFixed(1)} ${unit} (median of ${a.length}; least ${Math.min(...a).toFixed(1)}, most ${Math.max(...a).toFixed(1)})`);
console.log(`load ${loadavg()[0].toFixed(1)}`);
line(`page of a machine of ${states} states, its graph drawn`, took.graph, "ms");
line("  of it the page's own computing", took.graphCpu, "ms");
line(`page of a machine of ${5 * states} states`, took.huge, "ms");
line("  of it the page's own computing", took.hugeCpu, "ms");
line("frame while the graph is dragged and zoomed", took.moved, "ms");
line("frames later than 25 ms", took.movedLate, "%");
line("from a key in the code to the screen, the graph beside it", took.key, "ms");
line("  the page's own computing for it", took.keyCpu, "ms");
line(`page of an execution, ${count}`, took.execution, "ms");
line("  of it the page's own computing", took.executionCpu, "ms");
line("frame while its events are scrolled", took.frame, "ms");
line("frames later than 25 ms", took.late, "%");
line("search through all events", took.search, "ms");
