// The operation of CloudTrail's that AWS's SDK does not know: the log's checkpoint, the public keys
// and the proof of an event.
import { trailIn } from "./clients";
import { current } from "./session";
import { LookupEventsCommand } from "./api-cloudtrail";
import { list, shaped, structure, text } from "./shapes";
import type { Standing } from "../model/proof";

export type ProofInput = { EventId?: string; EarlierCheckpoint?: string };

const number = 1;
const of = (n: string, members: Record<string, unknown>) => structure(n, Object.keys(members), Object.values(members));
const progress = { Status: text, Reason: text, Proof: text, RecordsRead: number, RecordsToRead: number };
const name = "GetEventProof";
const Command = shaped(
  LookupEventsCommand,
  name,
  () => of(name + "Request", { EventId: text, EarlierCheckpoint: text }),
  () =>
    of(name + "Response", {
      Checkpoint: text,
      CheckpointIntervalSeconds: number,
      PublicKeys: () => list("PublicKeys", of("PublicSigningKey", { PublicKey: text, Use: text, Region: text, Source: text })),
      EventProof: () =>
        of("EventProof", {
          ...progress,
          EventId: text,
          EventSequence: number,
          RecordHash: text,
          LeafHash: text,
          Receipt: () => of("Receipt", { Region: text, KeyName: text, SignedText: text, Signature: text }),
          ReceiptProblem: text,
        }),
      ConsistencyProof: () => of("ConsistencyProof", { ...progress, EarlierRecords: number }),
    }),
);

// command is for a client of CloudTrail's.
export const command = (input: ProofInput) => new Command(input);

// standing is how the log stands. An event is found in the trail of its Region.
export async function standing(input: ProofInput, abortSignal?: AbortSignal, region = current().region): Promise<Standing> {
  const { c } = await trailIn(region);
  return (await c.send(command(input), { abortSignal })) as Standing;
}
