// What the console asks CloudTrail.
import { trailIn } from "./clients";
import { current } from "./session";
import { inference, modelCalls, record, sessionName, together, type Found, type Record_ } from "../model/inference";
import { pages } from "../app/load";

const maxPages = 20; // of 50 records

export type Asked = { key?: string; value?: string; start?: Date; end?: Date };

export async function lookup(q: Asked, most = maxPages, signal?: AbortSignal, region = current().region): Promise<{ items: Record_[]; more: boolean }> {
  const { m, c } = await trailIn(region);
  return pages(most, async (NextToken) => {
    const r = await c.send(
      new m.LookupEventsCommand({
        LookupAttributes: q.key ? [{ AttributeKey: q.key as never, AttributeValue: q.value }] : undefined,
        StartTime: q.start,
        EndTime: q.end,
        MaxResults: 50,
        NextToken,
      }),
      { abortSignal: signal },
    );
    return { items: (r.Events ?? []).map(record), next: r.NextToken };
  });
}

const beside = 6; // Regions that are asked at a time

export type Question = Asked & { besides?: boolean }; // besides: what it finds is welcome, and not all is asked for

// everywhere asks the trails of several Regions several questions, the newest records first. done
// says how many Regions were read.
export async function everywhere(questions: readonly Question[], regions: readonly string[], most: number, signal: AbortSignal, done: (n: number) => void): Promise<Found> {
  const queue = [...regions];
  const found: Found[] = [];
  const besides: Record_[] = [];
  let read = 0;
  await Promise.all(
    Array.from({ length: Math.min(beside, regions.length) }, async () => {
      for (let r; (r = queue.shift()); ) {
        const answers = await Promise.all(questions.map((q) => lookup(q, most, signal, r)));
        answers.forEach((a, i) => (questions[i]!.besides ? besides.push(...a.items) : found.push(a)));
        done(++read);
      }
    }),
  );
  return together(found, besides);
}

// ofModels are the calls of models since a time. They are looked for by their names: a page that
// is open makes more records of other kinds than one wants to read.
export const ofModels = async (start: Date, most: number, signal?: AbortSignal): Promise<Found> =>
  together(await Promise.all(modelCalls.map((value) => lookup({ key: "EventName", value, start }, most, signal))));

// ofExecution are the records of an execution's model calls. Its role's session has its name.
export async function ofExecution(arn: string, start: Date | undefined, end: Date | undefined, signal?: AbortSignal): Promise<Record_[]> {
  const name = sessionName(arn.split(":")[7] ?? "");
  const q: Asked = name ? { key: "Username", value: name } : { key: "EventSource", value: "bedrock.amazonaws.com" };
  // The record of a call can be a little older or younger than the event of it.
  const { items } = await lookup({ ...q, start: start && new Date(start.getTime() - 2000), end: end && new Date(end.getTime() + 5000) }, maxPages, signal, arn.split(":")[3]);
  return items.filter((r) => r.executionArn === arn && inference(r));
}

// ofRequest finds the record of one call by its request id; it may come a moment after the answer.
export async function ofRequest(requestId: string, name: string, start: Date): Promise<Record_ | undefined> {
  for (const wait of [100, 300, 700, 1500]) {
    await new Promise((done) => setTimeout(done, wait));
    const { items } = await lookup({ key: "EventName", value: name, start: new Date(start.getTime() - 2000) }, 1);
    const hit = items.find((r) => r.requestId === requestId && (r.served || r.errorCode));
    if (hit) return hit;
  }
  return undefined;
}
