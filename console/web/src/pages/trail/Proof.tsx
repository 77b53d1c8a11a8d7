import Alert from "@cloudscape-design/components/alert";
import Box from "@cloudscape-design/components/box";
import Button from "@cloudscape-design/components/button";
import KeyValuePairs from "@cloudscape-design/components/key-value-pairs";
import SpaceBetween from "@cloudscape-design/components/space-between";
import StatusIndicator from "@cloudscape-design/components/status-indicator";
import { standing } from "../../aws/proof";
import { download } from "../../app/download";
import { useLoad } from "../../app/load";
import { Arn, Command, Copy, Problem } from "../../app/parts";
import { inference, type Record_ } from "../../model/inference";
import { Bad, canCheck, hex, inLog, receipt, ring, type Checkpoint, type InLog, type Receipted } from "../../model/proof";
import { useI18n } from "../../i18n";
import { useTexts, type Say } from "../../i18n/page";
import texts from "../../i18n/pages/proof";
import "./trail.css";

const again = 2000; // ms until a record is signed, or the log read
const soon = 300;

export type SayProof = Say<(typeof texts)["en"]>;

// reason says what is wrong.
export const reason = (say: SayProof, e: { why?: Bad["why"]; what?: string }) => say(e.why ?? "form", { what: e.what ?? "" });

// caught is what does not hold; whatever else went wrong is thrown on.
export function caught(e: unknown): Bad {
  if (e instanceof Bad) return e;
  throw e;
}

// Proof shows whether a record is in the log that was signed, and whether the Region that answered
// says so too. All of it is checked here.
export default function Proof({ record }: { record: Record_ }) {
  const { time, number } = useI18n();
  const say = useTexts(texts);
  const { data, error, loading, reload } = useLoad(
    async (signal) => {
      const s = await standing({ EventId: record.id }, signal, record.region || undefined);
      const able = await canCheck();
      const keys = able ? await ring(s.PublicKeys ?? []) : undefined;
      let held: InLog | Bad | undefined;
      if (s.EventProof?.Status === "IMPOSSIBLE") held = new Bad("noProof", s.EventProof.Reason);
      if (keys && s.EventProof?.Status === "COMPLETE") held = await inLog(s.EventProof.Proof ?? "", record.json, keys).catch(caught);
      return { s, able, held, receipt: keys && (await receipt(record.json, keys)) };
    },
    [record.id],
    (d) => (d.s.EventProof?.Status === "PENDING_CHECKPOINT" ? again : d.s.EventProof?.Status === "IN_PROGRESS" ? soon : undefined),
  );
  if (!data) return loading ? <StatusIndicator type="loading">{say("checking")}</StatusIndicator> : <Problem error={error} retry={reload} />;
  const { s, able, held } = data;
  const p = s.EventProof ?? {};
  const file = `proof-${record.id}.txt`;
  const good = held && !(held instanceof Bad) ? held : undefined;
  const r = data.receipt;
  const asked = inference(record);
  return (
    <section className="proof">
      <SpaceBetween size="s">
        <Box variant="h3">{say("proof")}</Box>
        {!able && <Alert type="warning">{say("cannot")}</Alert>}
        {p.Status === "PENDING_CHECKPOINT" && <StatusIndicator type="pending">{say("pending", { s: number(s.CheckpointIntervalSeconds ?? 0) })}</StatusIndicator>}
        {p.Status === "IN_PROGRESS" && <StatusIndicator type="in-progress">{say("reading", { n: number(p.RecordsRead ?? 0), all: number(p.RecordsToRead ?? 0) })}</StatusIndicator>}
        {good && <StatusIndicator type="success">{say("inLog", { n: number(good.record), all: number(good.checkpoint.records) })}</StatusIndicator>}
        {held instanceof Bad && (
          <Alert type="error" header={<span className="arn">{`${say("notVerified")}: ${reason(say, held)}`}</span>}>
            <SpaceBetween size="xs">
              {held.why !== "noProof" && say("notVerifiedHint")}
              <Command text="tokaido trail verify" />
            </SpaceBetween>
          </Alert>
        )}
        <KeyValuePairs
          columns={3}
          items={[
            ...(good ? [{ label: say("checkpoint"), value: say("checkpointOf", { n: number(good.checkpoint.records), time: time(good.checkpoint.time) }) }] : []),
            ...(good ? [{ label: say("key"), value: <span className="arn">{good.checkpoint.key.id}</span> }] : []),
            ...(r && (asked || r.state !== "none") ? [{ label: say("receipt"), value: <ReceiptOf r={r} answered={record.served !== undefined} say={say} /> }] : []),
            ...(r?.state === "verified" ? [{ label: say("requestDigest"), value: <Arn arn={r.request} /> }, { label: say("responseDigest"), value: <Arn arn={r.response} /> }] : []),
            ...(good ? [{ label: say("recordHash"), value: <Arn arn={hex(good.hash)} /> }] : []),
          ]}
        />
        {p.Proof && (
          <>
            <SpaceBetween direction="horizontal" size="xs">
              <Button iconName="download" onClick={() => download(file, "text/plain", p.Proof!)}>
                {say("download")}
              </Button>
              {s.Checkpoint && <Copy text={s.Checkpoint} label={say("copyCheckpoint")} />}
            </SpaceBetween>
            <div>
              <Box color="text-body-secondary" fontSize="body-s">
                {say("elsewhere")}
              </Box>
              <Command text={`tokaido trail verify --proof ${file}${good ? " --key " + good.checkpoint.key.text : ""}`} />
              {good && (
                <Box color="text-body-secondary" fontSize="body-s">
                  {say("keyHint")}
                </Box>
              )}
            </div>
          </>
        )}
      </SpaceBetween>
    </section>
  );
}

function ReceiptOf({ r, answered, say }: { r: Receipted; answered: boolean; say: SayProof }) {
  if (r.state === "verified") return <StatusIndicator type="success">{say(r.key?.peer ? "receiptPeer" : "receiptOf", { region: r.region ?? "" })}</StatusIndicator>;
  if (r.state === "bad")
    return (
      <StatusIndicator type="error">
        {say("notVerified")}: {reason(say, r)}
      </StatusIndicator>
    );
  return (
    <StatusIndicator type={answered ? "warning" : "info"}>
      {say(answered ? "receiptNone" : "receiptNo")}
      {r.what && ": " + r.what}
    </StatusIndicator>
  );
}

// CheckpointIn is how the log stands, as it was signed.
export function CheckpointIn({ c, say }: { c: Checkpoint | Bad | undefined; say: SayProof }) {
  const { time, number } = useI18n();
  if (!c) return <StatusIndicator type="pending">{say("noCheckpoint")}</StatusIndicator>;
  if (c instanceof Bad)
    return (
      <StatusIndicator type="error">
        {say("notVerified")}: {reason(say, c)}
      </StatusIndicator>
    );
  return <StatusIndicator type="success">{say("checkpointIn", { n: number(c.records), time: time(c.time) })}</StatusIndicator>;
}
