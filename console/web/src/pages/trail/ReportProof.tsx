import { useEffect, useRef, useState } from "react";
import Alert from "@cloudscape-design/components/alert";
import Box from "@cloudscape-design/components/box";
import Button from "@cloudscape-design/components/button";
import ExpandableSection from "@cloudscape-design/components/expandable-section";
import FormField from "@cloudscape-design/components/form-field";
import SpaceBetween from "@cloudscape-design/components/space-between";
import StatusIndicator from "@cloudscape-design/components/status-indicator";
import Textarea from "@cloudscape-design/components/textarea";
import { noteError } from "../../aws/clients";
import { standing } from "../../aws/proof";
import { useLoad } from "../../app/load";
import { Arn, Command, Copy, Go, Problem, to } from "../../app/parts";
import { Bad, base64, canCheck, grewFrom, openCheckpoint, receipts, ring, type Checkpoint, type Receipted, type Ring } from "../../model/proof";
import type { Call } from "../../model/residency";
import { useI18n } from "../../i18n";
import { useTexts } from "../../i18n/page";
import texts from "../../i18n/pages/proof";
import { caught, CheckpointIn, reason } from "./Proof";

const shown = 100; // bad receipts
const maxFile = 16 << 10; // bytes of a checkpoint
const soon = 300; // ms

// Checked is what came of a report's proof, for its export.
export type Checked = { checkpoint?: string; checkpointVerified: boolean; publicKeys: string[]; receipts: { verified: number; none: number; bad: { requestId?: string; why?: string; what?: string }[] } };

// ReportProof checks the log's checkpoint and the receipts of all calls of a report.
export default function ReportProof({ at, calls, command, report }: { at: Date; calls: readonly Call[]; command: string; report: (c: Checked | undefined) => void }) {
  const { time, number } = useI18n();
  const say = useTexts(texts);
  const { data, error, loading, reload } = useLoad(async (signal) => {
    const s = await standing({}, signal);
    const keys = (await canCheck()) ? await ring(s.PublicKeys ?? []) : undefined;
    return { s, keys, checkpoint: keys && s.Checkpoint ? await openCheckpoint(s.Checkpoint, keys).catch(caught) : undefined };
  }, [at]);
  const [done, setDone] = useState(0);
  const [got, setGot] = useState<Map<Call["record"], Receipted>>();
  const answered = calls.filter((c) => c.region).map((c) => c.record);
  const keys = data?.keys;
  useEffect(() => {
    setGot(undefined);
    setDone(0);
    if (!keys) return;
    const abort = new AbortController();
    receipts(answered, keys, setDone, abort.signal).then(setGot, () => {}); // given up
    return () => abort.abort();
  }, [calls, keys]);
  const of = (state: Receipted["state"]) => [...(got ?? [])].filter(([, r]) => r.state === state);
  const bad = of("bad");
  const none = of("none").length;
  const n = of("verified").length;
  const all = answered.length;
  const c = data?.checkpoint;
  useEffect(() => {
    if (!data || !got) return report(undefined);
    report({
      checkpoint: data.s.Checkpoint,
      checkpointVerified: c !== undefined && !(c instanceof Bad),
      publicKeys: (data.s.PublicKeys ?? []).map((k) => k.PublicKey ?? ""),
      receipts: { verified: n, none, bad: bad.map(([r, x]) => ({ requestId: r.requestId, why: x.why, what: x.what })) },
    });
  }, [got, data]);
  if (!data) return loading ? <StatusIndicator type="loading">{say("checking")}</StatusIndicator> : <Problem error={error} retry={reload} />;
  const v = { n: number(n), all: number(all), none: number(none), bad: number(bad.length) };
  return (
    <SpaceBetween size="m">
      {!keys && (
        <Alert type="warning">{say("cannot")}</Alert>
      )}
      {keys && (
        <div>
          <Box variant="awsui-key-label">{say("receipts")}</Box>
          {!got ? (
            <StatusIndicator type="in-progress">{say("checkingN", { n: number(done), all: v.all })}</StatusIndicator>
          ) : bad.length > 0 ? (
            <StatusIndicator type="error">{say("someBad", v)}</StatusIndicator>
          ) : none > 0 ? (
            <StatusIndicator type="info">{say("someGood", v)}</StatusIndicator>
          ) : (
            <StatusIndicator type="success">{say("allGood", v)}</StatusIndicator>
          )}
        </div>
      )}
      {bad.length > 0 && (
        <div>
          <Box variant="awsui-key-label">{say("badReceipts")}</Box>
          <ul className="arn">
            {bad.slice(0, shown).map(([r, x]) => (
              <li key={r.id}>
                <Go href={to.record(r.id, r.region)}>{time(r.time)}</Go>: {reason(say, x)}
              </li>
            ))}
            {bad.length > shown && <li>{say("more", { n: number(bad.length - shown) })}</li>}
          </ul>
        </div>
      )}
      <div>
        <Box variant="awsui-key-label">{say("checkpoint")}</Box>
        {keys && <CheckpointIn c={c} say={say} />}
        {c && !(c instanceof Bad) && (
          <>
            <div className="arn">
              {say("root")}: <Arn arn={base64(c.root)} />
            </div>
            <div className="arn">
              {say("key")}: {c.key.text}
            </div>
            <Box color="text-body-secondary" fontSize="body-s">
              {say("keyHint")}
            </Box>
          </>
        )}
        {data.s.Checkpoint && (
          <div className="noprint">
            <Copy text={data.s.Checkpoint} label={say("copyCheckpoint")} />
          </div>
        )}
      </div>
      {keys && <Earlier keys={keys} />}
      <div>
        <Box>{say("theirProof")}</Box>
        <Command text="tokaido trail verify" />
        <Command text={command} />
      </div>
    </SpaceBetween>
  );
}

type Compared = { since: Checkpoint } & ({ grew: true } | { lost: string });

// Earlier compares the log with a checkpoint that somebody kept.
function Earlier({ keys }: { keys: Ring }) {
  const { time, number } = useI18n();
  const say = useTexts(texts);
  const [text, setText] = useState("");
  const [busy, setBusy] = useState("");
  const [said, setSaid] = useState<Compared | { notOurs: string } | { error: unknown }>();
  const file = useRef<HTMLInputElement>(null);
  const run = useRef(new AbortController());
  useEffect(() => () => run.current.abort(), []);
  const compare = async () => {
    run.current.abort();
    const { signal } = (run.current = new AbortController());
    setSaid(undefined);
    setBusy(say("checking"));
    const note = text.replace(/\r\n/g, "\n").replace(/^\s+|\s+$/g, "") + "\n"; // as it was before it was pasted
    try {
      const since = await openCheckpoint(note, keys).catch(caught);
      if (since instanceof Bad) return setSaid({ notOurs: reason(say, since) });
      for (;;) {
        const { ConsistencyProof: p } = await standing({ EarlierCheckpoint: note }, signal);
        if (p?.Status === "IN_PROGRESS") {
          setBusy(say("reading", { n: number(p.RecordsRead ?? 0), all: number(p.RecordsToRead ?? 0) }));
          await new Promise((go) => setTimeout(go, soon));
          continue;
        }
        if (p?.Status !== "COMPLETE") return setSaid({ since, lost: p?.Reason ?? "" });
        const now = await grewFrom(p.Proof ?? "", since, keys).catch(caught);
        return setSaid(now instanceof Bad ? { since, lost: reason(say, now) } : { since, grew: true });
      }
    } catch (error) {
      if (signal.aborted) return;
      noteError(error);
      setSaid({ error });
    } finally {
      if (!signal.aborted) setBusy("");
    }
  };
  return (
    <div>
      <div className="noprint">
        <ExpandableSection headerText={say("compareTitle")}>
          <SpaceBetween size="s">
            <FormField label={say("checkpoint")} description={say("compareHint")} stretch>
              <Textarea value={text} rows={7} spellcheck={false} onChange={(e) => setText(e.detail.value)} />
            </FormField>
            <input
              ref={file}
              type="file"
              hidden
              aria-label={say("chooseFile")}
              onChange={(e) => {
                const f = e.target.files?.[0];
                if (f) void f.slice(0, maxFile).text().then(setText);
                e.target.value = "";
              }}
            />
            <SpaceBetween direction="horizontal" size="xs">
              <Button iconName="upload" onClick={() => file.current?.click()}>
                {say("chooseFile")}
              </Button>
              <Button disabled={!text.trim()} loading={busy !== ""} onClick={() => void compare()}>
                {say("compare")}
              </Button>
            </SpaceBetween>
            {busy && <StatusIndicator type="in-progress">{busy}</StatusIndicator>}
          </SpaceBetween>
        </ExpandableSection>
      </div>
      {said && "error" in said && <Problem error={said.error} />}
      {said && "notOurs" in said && <StatusIndicator type="error">{say("notOurs", { why: said.notOurs })}</StatusIndicator>}
      {said && "grew" in said && <StatusIndicator type="success">{say("stillHas", { n: number(said.since.records), time: time(said.since.time) })}</StatusIndicator>}
      {said && "lost" in said && (
        <Alert type="error" header={say("notVerified")}>
          {say("lost", { n: number(said.since.records), time: time(said.since.time), why: said.lost })}
        </Alert>
      )}
    </div>
  );
}
