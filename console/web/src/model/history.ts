// An execution's history events -> visits of states, with their attempts. Events name the one
// they follow, so that branches and iterations that run at once are told apart.
import type { HistoryEvent } from "@aws-sdk/client-sfn";
import type { Status } from "../graph/model";

export type Attempt = { id: number; from: Date; to?: Date; error?: string; cause?: string; parameters?: string; output?: string; aborted?: boolean };
export type VisitStatus = "running" | "succeeded" | "failed" | "caught" | "aborted";
export type Visit = {
  id: number; // of the event that entered the state
  name: string;
  type: string;
  from: Date;
  to?: Date;
  status: VisitStatus;
  input?: string;
  output?: string;
  error?: string;
  cause?: string;
  resource?: string; // of a Task: "bedrock:invokeModel"
  attempts: Attempt[];
  parent?: Frame;
  depth: number;
  where: string; // the iterations it is part of, e.g. "Each claim #2"
  previous?: Visit; // what was left when this was entered
  assigned?: Record<string, string>; // variables, as they were when it was left
  mapRun?: string; // ARN
};
export type Iteration = { map: Visit; index: number; parent: Frame; depth: number; where: string; status: VisitStatus; from: Date; to?: Date };
export type Frame = Visit | Iteration;
export type History = { visits: Visit[]; iterations: Iteration[]; nameOf: Map<number, string>; visitOf: Map<number, Visit>; redrives: Date[]; from?: Date; to?: Date; input?: string; output?: string; error?: string; cause?: string };

const isVisit = (f: Frame): f is Visit => "name" in f;

// detail returns the one member of an event that holds its details.
export function detail(e: HistoryEvent): Record<string, any> {
  for (const [k, v] of Object.entries(e)) if (k.endsWith("EventDetails") && v && typeof v === "object") return v as Record<string, any>;
  return {};
}

export function read(events: readonly HistoryEvent[]): History {
  const at = new Map<number, Frame | undefined>(); // what is open after each event
  const left = new Map<number, Visit>(); // by the event that left it
  let redrive: number | undefined; // the last event of one
  let waiting: Visit[] = []; // what it runs again
  const h: History = { visits: [], iterations: [], nameOf: new Map(), visitOf: new Map(), redrives: [] };
  const climb = (f: Frame | undefined, is: (f: Frame) => boolean): Frame | undefined => {
    while (f && !is(f)) f = f.parent;
    return f;
  };
  for (const e of events) {
    const id = e.id!;
    const type = String(e.type);
    const d = detail(e);
    const when = e.timestamp!;
    let f = at.get(e.previousEventId ?? 0);
    // What a redrive begins follows the event of it, and no longer what it goes on with.
    if (redrive !== undefined && e.previousEventId === redrive) {
      const kind = /^(Task|Activity|LambdaFunction)(Scheduled|StateAborted)$/.test(type) ? "Task" : /^(Map|Parallel)State/.exec(type)?.[1];
      const is = (v: Visit) => v.type === kind && (type !== "TaskScheduled" || v.resource === undefined || v.resource === `${d.resourceType}:${d.resource}`);
      const v = waiting.find(is) ?? (kind === undefined ? undefined : h.visits.findLast((x) => x.type === kind && x.status === "running"));
      if (v) {
        waiting = waiting.filter((x) => x !== v);
        reopen(v);
        f = v;
      }
    }
    let own: Visit | undefined = f && isVisit(f) ? f : undefined; // whose event it is
    if (type.endsWith("StateEntered")) {
      const v: Visit = {
        id,
        name: d.name,
        type: type.slice(0, -"StateEntered".length),
        from: when,
        status: "running",
        input: d.input,
        attempts: [],
        parent: f,
        depth: f ? f.depth + 1 : 0,
        where: f?.where ?? "",
        previous: left.get(e.previousEventId ?? 0),
      };
      h.visits.push(v);
      f = v;
      own = v;
    } else if (type.endsWith("StateExited")) {
      const v = climb(f, (x) => isVisit(x) && x.name === d.name) as Visit | undefined;
      if (v) {
        v.to = when;
        v.output = d.output;
        v.status = v.error === undefined ? "succeeded" : "caught";
        if (d.assignedVariables) v.assigned = d.assignedVariables;
        left.set(id, v);
        f = v.parent;
        own = v;
      }
    } else if (type === "MapIterationStarted") {
      const map = climb(f, (x) => isVisit(x) && x.name === d.name) as Visit | undefined;
      if (map) {
        f = { map, index: d.index, parent: map, depth: map.depth, where: `${map.where ? map.where + " / " : ""}${map.name} #${d.index}`, status: "running", from: when };
        h.iterations.push(f);
        own = map;
      }
    } else if (/^MapIteration(Succeeded|Failed|Aborted)$/.test(type)) {
      // Where one iteration fails, the others are aborted by events that follow that one's.
      const is = (x: Frame) => !isVisit(x) && x.map.name === d.name && x.index === d.index;
      const it = (climb(f, is) as Iteration | undefined) ?? h.iterations.findLast((x) => is(x) && (x.status === "running" || redrive !== undefined));
      if (it) {
        if (!type.endsWith("Succeeded")) closeOpen(h.visits, (v) => within(v, it), when, type.endsWith("Failed") ? "failed" : "aborted");
        it.status = type.endsWith("Succeeded") ? "succeeded" : type.endsWith("Failed") ? "failed" : "aborted";
        it.to = when;
        f = it.parent;
        own = it.map;
      }
    } else if (/^(Task|LambdaFunction|Activity)(Scheduled|Started|Succeeded|Failed|TimedOut|StartFailed|StartTimedOut|SubmitFailed|ScheduleFailed)$/.test(type)) {
      const v = climb(f, isVisit) as Visit | undefined;
      if (v) {
        own = v;
        const last = v.attempts.at(-1);
        if (type.endsWith("Scheduled")) {
          v.attempts.push({ id, from: when, parameters: d.parameters ?? d.input });
          v.resource = d.resourceType ? `${d.resourceType}:${d.resource}` : d.resource;
        } else if (type.endsWith("Succeeded")) {
          if (last) Object.assign(last, { to: when, output: d.output });
          delete v.error; // of an attempt before
          delete v.cause;
        } else if (!type.endsWith("Started")) {
          if (last) Object.assign(last, { to: when, error: d.error ?? "States.Timeout", cause: d.cause });
          v.error = d.error ?? "States.Timeout";
          v.cause = d.cause;
        }
      }
    } else if (/^(Map|Parallel)State(Succeeded|Failed|Aborted)$/.test(type)) {
      const v = climb(f, (x) => isVisit(x) && x.type === type.slice(0, type.indexOf("State"))) as Visit | undefined;
      if (v) {
        if (!type.endsWith("Succeeded")) v.error = d.error ?? v.error ?? "States.BranchFailed";
        closeOpen(h.visits, (x) => x !== v && within(x, v), when, type.endsWith("Succeeded") ? "succeeded" : "aborted");
        f = v;
        own = v;
      }
    } else if (type === "EvaluationFailed") {
      // The event names the state, and need not follow it.
      const v = (climb(f, (x) => isVisit(x) && x.name === d.state) as Visit | undefined) ?? h.visits.findLast((x) => x.name === d.state && x.status === "running");
      if (v) {
        v.error = d.error;
        v.cause = d.cause;
        f = v;
        own = v;
      }
    } else if (type === "MapRunStarted") {
      const v = climb(f, isVisit) as Visit | undefined;
      if (v) v.mapRun = d.mapRunArn;
    } else if (type === "ExecutionStarted") {
      h.from = when;
      h.input = d.input;
    } else if (type === "ExecutionRedriven") {
      h.redrives.push(when);
      redrive = id;
      const last = new Map(h.visits.map((v) => [v.name + "\n" + v.where, v]));
      waiting = [...last.values()].filter((v) => v.status === "failed" || v.status === "aborted");
      f = undefined;
      delete h.to;
      delete h.error;
      delete h.cause;
    } else if (/^Execution(Succeeded|Failed|Aborted|TimedOut)$/.test(type)) {
      h.to = when;
      h.output = d.output;
      h.error = d.error;
      h.cause = d.cause;
      const failed = type === "ExecutionFailed";
      // Where a redrive failed at once, nothing was entered: what waited for it failed again.
      const from = climb(f, () => true) ?? (failed ? waiting.at(-1) : undefined);
      for (let v = from; failed && v; v = v.parent)
        if (isVisit(v) && v.status === "running") Object.assign(v, { status: "failed", to: when, error: v.error ?? d.error, cause: v.cause ?? d.cause });
      closeOpen(h.visits, () => true, when, "aborted");
      for (const i of h.iterations) if (i.status === "running") Object.assign(i, { status: "aborted", to: when });
    }
    at.set(id, f);
    if (own) {
      h.nameOf.set(id, own.name);
      h.visitOf.set(id, own);
    }
  }
  return h;
}

// reopen lets a visit that had ended go on, and what it is in.
function reopen(v: Visit) {
  for (let f: Frame | undefined = v; f; f = f.parent) {
    if (f.status === "succeeded" || f.status === "caught") continue;
    f.status = "running";
    delete f.to;
    if (isVisit(f)) {
      delete f.error;
      delete f.cause;
    }
  }
}

function within(v: Visit, f: Frame): boolean {
  for (let p: Frame | undefined = v; p; p = p.parent) if (p === f) return true;
  return false;
}

function closeOpen(visits: Visit[], which: (v: Visit) => boolean, when: Date, status: VisitStatus) {
  for (const v of visits) {
    if (v.status !== "running" || !which(v)) continue;
    v.to = when;
    const last = v.attempts.at(-1);
    if (last && !last.to) Object.assign(last, { to: when, aborted: true });
    v.status = status === "aborted" && v.error !== undefined ? "failed" : status;
  }
}

// statuses is what the graph shows of each state: of a state that was visited again, the last
// visit in each iteration counts, and over iterations the most urgent one.
export function statuses(visits: readonly Visit[]): Record<string, Status> {
  const last = new Map<string, Visit>();
  for (const v of visits) last.set(v.name + "\n" + v.where, v);
  const rank: Status[] = ["succeeded", "aborted", "caught", "failed", "running"];
  const out: Record<string, Status> = {};
  for (const v of last.values()) {
    const had = out[v.name];
    if (had === undefined || rank.indexOf(v.status) > rank.indexOf(had)) out[v.name] = v.status;
  }
  return out;
}

// counts is how often each state was visited.
export function counts(visits: readonly Visit[]): Record<string, number> {
  const out: Record<string, number> = {};
  for (const v of visits) out[v.name] = (out[v.name] ?? 0) + 1;
  return out;
}
