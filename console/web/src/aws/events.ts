// Events of a history, as they are in the answer but for their times. The SDK would try each of 40
// members of every event: for 25,000 events that takes longer than all else together.
import { GetExecutionHistoryCommand, GetExecutionHistoryInput$, type GetExecutionHistoryInput, type GetExecutionHistoryOutput, type SFNClient } from "@aws-sdk/client-sfn";
import { shaped, structure, text } from "./shapes";

const name = "GetExecutionHistory";
const Command = shaped(
  GetExecutionHistoryCommand,
  name,
  () => GetExecutionHistoryInput$,
  () => structure(name + "Output", ["events", "nextToken"], [text, text]),
);

export async function history(c: SFNClient, input: GetExecutionHistoryInput, abortSignal: AbortSignal): Promise<GetExecutionHistoryOutput> {
  const r = (await c.send(new Command(input), { abortSignal })) as unknown as GetExecutionHistoryOutput;
  for (const e of r.events ?? []) e.timestamp = new Date(Number(e.timestamp) * 1000);
  return r;
}
