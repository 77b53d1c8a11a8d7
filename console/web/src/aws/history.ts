// Reading an execution's history from Step Functions.
import type { HistoryEvent } from "@aws-sdk/client-sfn";
import { sfn } from "./clients";

const maxEvents = 25_000; // AWS's limit of a history
const perPage = 1000;

// tail gets the events that are not known yet, newest page first.
export async function tail(executionArn: string, known: HistoryEvent[], abortSignal: AbortSignal, told?: (n: number) => void): Promise<HistoryEvent[]> {
  const last = known.at(-1)?.id;
  if (last === undefined) return whole(executionArn, abortSignal, told);
  const { m, c } = await sfn();
  const fresh: HistoryEvent[] = [];
  let nextToken: string | undefined;
  do {
    const r = await m.history(c, { executionArn, reverseOrder: true, maxResults: 100, includeExecutionData: true, nextToken }, abortSignal);
    const page = (r.events ?? []).filter((e) => e.id! > last);
    fresh.push(...page);
    nextToken = page.length < (r.events ?? []).length ? undefined : r.nextToken;
  } while (nextToken && fresh.length < maxEvents);
  return fresh.length === 0 ? known : [...known, ...fresh.sort((a, b) => a.id! - b.id!)];
}

// whole reads a history that is new to us from both ends, until they meet.
async function whole(executionArn: string, abortSignal: AbortSignal, told?: (n: number) => void): Promise<HistoryEvent[]> {
  const { m, c } = await sfn();
  const page = (reverseOrder: boolean, nextToken?: string) => m.history(c, { executionArn, reverseOrder, maxResults: perPage, includeExecutionData: true, nextToken }, abortSignal);
  const begin = await page(false);
  const front = begin.events ?? [];
  if (!begin.nextToken) return front;
  const back: HistoryEvent[] = [];
  const met = () => back.length > 0 && front.at(-1)!.id! >= back.at(-1)!.id! - 1;
  const full = () => met() || front.length + back.length >= maxEvents;
  const forward = async () => {
    for (let token = begin.nextToken; token && !full(); ) {
      const r = await page(false, token);
      front.push(...(r.events ?? []));
      token = r.nextToken;
      told?.(front.length + back.length);
    }
  };
  const backward = async () => {
    let token: string | undefined;
    do {
      const r = await page(true, token);
      back.push(...(r.events ?? []));
      token = r.nextToken;
      told?.(front.length + back.length);
    } while (token && !full());
  };
  await Promise.all([forward(), backward()]);
  const last = front.at(-1)!.id!;
  return [...front, ...back.filter((e) => e.id! > last).reverse()];
}
