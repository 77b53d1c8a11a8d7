// The operation of CloudTrail's that AWS's SDK does not know: the log's checkpoint, the public keys
// and the proof of an event. It is asked for as the SDK asks for others, with a shape of our own.
import { trailIn } from "./clients";
import { current } from "./session";
import { LookupEventsCommand } from "./api-cloudtrail";
import type { Standing } from "../model/proof";

export type ProofInput = { EventId?: string; EarlierCheckpoint?: string };

const ns = "com.amazonaws.cloudtrail";
const name = "GetEventProof";
const text = 0;
const number = 1;
const structure = (n: string, members: [string, unknown][]) => [3, ns, n, 0, members.map(([k]) => k), members.map(([, s]) => s)];
const list = (n: string, of: unknown) => [1, ns, n, 0, () => of];
const progress: [string, unknown][] = [["Status", text], ["Proof", text], ["RecordsRead", number], ["RecordsToRead", number]];
const operation = [
  9,
  ns,
  name,
  0,
  () => structure(name + "Request", [["EventId", text], ["EarlierCheckpoint", text]]),
  () =>
    structure(name + "Response", [
      ["Checkpoint", text],
      ["CheckpointIntervalSeconds", number],
      ["PublicKeys", () => list("PublicKeys", structure("PublicSigningKey", [["PublicKey", text], ["Use", text], ["Region", text], ["Source", text]]))],
      [
        "EventProof",
        () =>
          structure("EventProof", [
            ...progress,
            ["EventId", text],
            ["EventSequence", number],
            ["RecordHash", text],
            ["LeafHash", text],
            ["Receipt", () => structure("Receipt", [["Region", text], ["KeyName", text], ["SignedText", text], ["Signature", text]])],
            ["ReceiptProblem", text],
          ]),
      ],
      ["ConsistencyProof", () => structure("ConsistencyProof", [...progress, ["EarlierRecords", number], ["Reason", text]])],
    ]),
];

class Command extends (LookupEventsCommand as any) {
  constructor(input: ProofInput) {
    super(input);
    (this as any).schema = operation;
  }
  resolveMiddlewareWithContext(stack: unknown, configuration: unknown, options: unknown, c: any) {
    const context = { ...c, commandName: name, smithyContext: { ...c.smithyContext, operation: name, operationSchema: operation } };
    return super.resolveMiddlewareWithContext(stack, configuration, options, context);
  }
}

// command is for a client of CloudTrail's.
export const command = (input: ProofInput) => new Command(input) as never;

// standing is how the log stands. An event is found in the trail of its Region.
export async function standing(input: ProofInput, abortSignal?: AbortSignal, region = current().region): Promise<Standing> {
  const { c } = await trailIn(region);
  return (await c.send(command(input), { abortSignal })) as Standing;
}
