import { useMemo, useRef, useState } from "react";
import type { DescribeExecutionCommandOutput, HistoryEvent } from "@aws-sdk/client-sfn";
import Alert from "@cloudscape-design/components/alert";
import Button from "@cloudscape-design/components/button";
import Container from "@cloudscape-design/components/container";
import ContentLayout from "@cloudscape-design/components/content-layout";
import ExpandableSection from "@cloudscape-design/components/expandable-section";
import Grid from "@cloudscape-design/components/grid";
import Header from "@cloudscape-design/components/header";
import KeyValuePairs from "@cloudscape-design/components/key-value-pairs";
import Select from "@cloudscape-design/components/select";
import SegmentedControl from "@cloudscape-design/components/segmented-control";
import SpaceBetween from "@cloudscape-design/components/space-between";
import StatusIndicator from "@cloudscape-design/components/status-indicator";
import Spinner from "@cloudscape-design/components/spinner";
import Tabs from "@cloudscape-design/components/tabs";
import { useSearchParams } from "wouter";
import AslGraph from "../graph/AslGraph";
import type { Dir } from "../graph/layout";
import { noteError, sfn } from "../aws/clients";
import { ofExecution } from "../aws/trail";
import { useLoad } from "../app/load";
import { Arn, Code, duration, Empty, Go, pretty, Problem, Status, to, WhyButton } from "../app/parts";
import RegionStrip from "../app/Regions";
import List from "../app/table";
import { counts, detail, read, statuses, type History, type Visit } from "../model/history";
import { byState, denied, shares, type Record_ } from "../model/inference";
import { useI18n } from "../i18n";
import StartExecution from "./StartExecution";

const pollMs = 1000;
const slowestMs = 10_000; // of an execution in which nothing happens
const maxEvents = 25_000; // AWS's limit of a history

// tail gets the events that are not known yet, newest page first.
async function tail(executionArn: string, known: HistoryEvent[], abortSignal: AbortSignal): Promise<HistoryEvent[]> {
  const { m, c } = await sfn();
  const last = known.at(-1)?.id ?? 0;
  const fresh: HistoryEvent[] = [];
  const reverseOrder = last > 0; // of a history that is new to us, all pages are needed anyway
  let nextToken: string | undefined;
  do {
    const r = await c.send(new m.GetExecutionHistoryCommand({ executionArn, reverseOrder, maxResults: last ? 100 : 1000, includeExecutionData: true, nextToken }), { abortSignal });
    const page = (r.events ?? []).filter((e) => e.id! > last);
    fresh.push(...page);
    nextToken = page.length < (r.events ?? []).length ? undefined : r.nextToken;
  } while (nextToken && fresh.length < maxEvents);
  if (fresh.length === 0) return known;
  return [...known, ...fresh.sort((a, b) => a.id! - b.id!)];
}

export default function Execution({ arn }: { arn: string }) {
  const { t, time } = useI18n();
  const [query, setQuery] = useSearchParams();
  const selected = query.get("state") ?? undefined;
  const select = (state: string) => setQuery({ state }, { replace: true });
  const [dir, setDir] = useState<Dir>("TB");
  const [again, setAgain] = useState(false);
  const [failed, setFailed] = useState<unknown>();
  const events = useRef<HistoryEvent[]>([]);
  const described = useRef<DescribeExecutionCommandOutput>(undefined);
  const quiet = useRef(0); // polls in a row that brought nothing
  const run = useLoad(
    async (abortSignal) => {
      // Every call is recorded in the trail, so a poll is one call: the tail of the history. The
      // execution itself changes only when it ends, or goes on after a redrive.
      const before = events.current;
      const known = described.current;
      if (known) events.current = await tail(arn, before, abortSignal);
      quiet.current = known && events.current === before ? quiet.current + 1 : 0;
      let x = known;
      if (!x || x.status !== "RUNNING" || /^Execution/.test(String(events.current.at(-1)?.type))) {
        const { m, c } = await sfn();
        x = await c.send(new m.DescribeExecutionCommand({ executionArn: arn }), { abortSignal });
        events.current = await tail(arn, events.current, abortSignal);
      }
      described.current = x;
      return { x, events: events.current };
    },
    [arn],
    (d) => (d.x.status === "RUNNING" ? Math.min(pollMs * 1.3 ** quiet.current, slowestMs) : undefined),
  );
  const definition = useLoad(async (abortSignal) => {
    const { m, c } = await sfn();
    return (await c.send(new m.DescribeStateMachineForExecutionCommand({ executionArn: arn }), { abortSignal })).definition!;
  }, [arn]);
  const x = run.data?.x;
  const tasks = run.data?.events.filter((e) => /^Task(Succeeded|Failed)$/.test(String(e.type))).length ?? 0;
  const trail = useLoad(
    async (signal) => {
      if (!x || tasks === 0) return [];
      const found = await ofExecution(arn, x.startDate, x.stopDate, signal);
      return found;
    },
    [arn, x?.status, tasks],
  );
  const last = useRef<Record_[]>([]);
  if (trail.data) last.current = trail.data;
  const records = trail.error ? [] : last.current; // while new ones are read, those from before stay
  const h = useMemo(() => read(run.data?.events ?? []), [run.data?.events]);
  const st = useMemo(() => statuses(h.visits), [h]);
  const times = useMemo(() => counts(h.visits), [h]);
  const served = useMemo(() => byState(records), [records]);

  const act = async (f: (s: Awaited<ReturnType<typeof sfn>>) => Promise<unknown>) => {
    setFailed(undefined);
    try {
      await f(await sfn());
      run.reload();
    } catch (e) {
      noteError(e);
      setFailed(e);
    }
  };
  if (!x) return run.error ? <Problem error={run.error} retry={run.reload} /> : <Spinner size="large" />;
  const broken = h.visits.findLast((v) => v.status === "failed" && v.attempts.length > 0) ?? h.visits.findLast((v) => v.status === "failed");
  const refusal = records.find((r) => denied(r.errorCode) && (!broken || r.state === broken.name));
  return (
    <ContentLayout
      header={
        <Header
          variant="h1"
          actions={
            <SpaceBetween direction="horizontal" size="xs">
              {x.status === "RUNNING" && <Button onClick={() => void act(({ m, c }) => c.send(new m.StopExecutionCommand({ executionArn: arn })))}>{t("stop")}</Button>}
              {x.redriveStatus === "REDRIVABLE" && <Button onClick={() => void act(({ m, c }) => c.send(new m.RedriveExecutionCommand({ executionArn: arn })))}>{t("redrive")}</Button>}
              <Button variant="primary" onClick={() => setAgain(true)}>
                {t("newExecution")}
              </Button>
            </SpaceBetween>
          }
        >
          {x.name}
        </Header>
      }
    >
      <SpaceBetween size="m">
        <Problem error={run.error} retry={run.reload} />
        <Problem error={failed} />
        {(x.error || x.status === "FAILED" || x.status === "TIMED_OUT") && (
          <Alert
            type="error"
            header={broken ? t("executionFailed", { state: broken.name }) : t("executionFailedNoState")}
            action={
              <SpaceBetween direction="horizontal" size="xs">
                {broken && <Button onClick={() => select(broken.name)}>{t("showStep")}</Button>}
                {/AccessDenied/.test(x.error ?? "") && <WhyButton message={refusal?.errorMessage ?? x.cause ?? ""} requestId={refusal?.requestId} executionArn={arn} onRedriven={run.reload} />}
              </SpaceBetween>
            }
          >
            <b>{x.error}</b>
            <div className="arn">{x.cause}</div>
          </Alert>
        )}
        <Container>
          <SpaceBetween size="m">
            <KeyValuePairs
              columns={4}
              items={[
                { label: t("status"), value: <Status status={x.status} /> },
                { label: t("started"), value: time(x.startDate) },
                { label: t("duration"), value: duration(x.startDate, x.stopDate, t) },
                { label: t("transitions"), value: run.data!.events.length },
                { label: t("arn"), value: <Arn arn={x.executionArn} /> },
                { label: t("stateMachines"), value: <Go href={to.machine(x.stateMachineArn!)}>{x.stateMachineArn!.split(":")[6]}</Go> },
              ]}
            />
            <ExpandableSection headerText={`${t("input")} · ${t("output")}`}>
              <Grid gridDefinition={[{ colspan: { default: 12, s: 6 } }, { colspan: { default: 12, s: 6 } }]}>
                <Code text={pretty(x.input)} />
                <Code text={pretty(x.output)} />
              </Grid>
            </ExpandableSection>
          </SpaceBetween>
        </Container>
        {(records.length > 0 || trail.error !== undefined) && (
          <Container header={<Header variant="h2" description={t("inferenceRegionsHint")}>{t("inferenceRegions")}</Header>}>
            {trail.error !== undefined ? (
              <Alert type="warning" action={<Button onClick={trail.reload}>{t("retry")}</Button>}>
                {t("trailUnavailable")} {(trail.error as Error).message}
              </Alert>
            ) : (
              <RegionStrip source={arn.split(":")[3] ?? ""} shares={shares(records)} denied={records.filter((r) => denied(r.errorCode)).length} />
            )}
          </Container>
        )}
        <Grid gridDefinition={[{ colspan: { default: 12, s: 8 } }, { colspan: { default: 12, s: 4 } }]}>
          <Container
            header={
              <Header
                variant="h2"
                actions={
                  <SegmentedControl
                    selectedId={dir}
                    onChange={(e) => setDir(e.detail.selectedId as Dir)}
                    label={t("layout")}
                    options={[
                      { id: "TB", text: t("layoutVertical") },
                      { id: "LR", text: t("layoutHorizontal") },
                    ]}
                  />
                }
              >
                {t("graph")}
              </Header>
            }
          >
            {definition.data ? (
              <AslGraph definition={definition.data} statuses={st} counts={times} served={served} selected={selected} onSelect={select} dir={dir} height={600} />
            ) : definition.error ? (
              <Problem error={definition.error} retry={definition.reload} />
            ) : (
              <Spinner />
            )}
          </Container>
          <StateDetail name={selected} visits={h.visits} records={records} definition={definition.data} />
        </Grid>
        <Tabs
          ariaLabel={t("events")}
          tabs={[
            { id: "states", label: t("states"), content: <States h={h} selected={selected} onSelect={select} records={records} /> },
            { id: "events", label: `${t("events")} (${run.data!.events.length})`, content: <Events events={run.data!.events} h={h} /> },
          ]}
        />
      </SpaceBetween>
      {again && <StartExecution machine={x.stateMachineArn!} input={pretty(x.input)} onDismiss={() => setAgain(false)} />}
    </ContentLayout>
  );
}

// definitionOf finds a state's own text.
function definitionOf(definition: string | undefined, name: string): string {
  const find = (d: any): any => {
    for (const [n, s] of Object.entries<any>(d?.States ?? {})) {
      if (n === name) return s;
      for (const inner of [...(s?.Branches ?? []), s?.ItemProcessor, s?.Iterator]) {
        const hit = inner && find(inner);
        if (hit) return hit;
      }
    }
  };
  try {
    return JSON.stringify(find(JSON.parse(definition ?? "{}")) ?? {}, null, 2);
  } catch {
    return "";
  }
}

function StateDetail({ name, visits, records, definition }: { name?: string; visits: Visit[]; records: Record_[]; definition?: string }) {
  const { t, time } = useI18n();
  const [chosen, choose] = useState<number>();
  const all = visits.filter((v) => v.name === name);
  // failed visits first: they are what is looked for
  const options = [...all].sort((a, b) => Number(b.status === "failed") - Number(a.status === "failed") || a.id - b.id).map((v) => ({ value: String(v.id), label: v.where || `#${v.id}`, description: time(v.from), labelTag: v.status }));
  const v = all.find((a) => a.id === chosen) ?? all.find((a) => a.status === "failed") ?? all.at(-1);
  const own = records.filter((r) => r.state === name);
  return (
    <Container fitHeight header={<Header variant="h2">{name ?? t("stateDetail")}</Header>}>
      {!name ? (
        t("nothingSelected")
      ) : (
        <SpaceBetween size="m">
          {!v && t("notVisited")}
          {v && all.length > 1 && <Select ariaLabel={t("visitOf")} selectedOption={options.find((o) => o.value === String(v.id)) ?? null} options={options} onChange={(e) => choose(Number(e.detail.selectedOption.value))} />}
          {v && (
            <KeyValuePairs
              columns={2}
              items={[
                { label: t("status"), value: <Status status={v.status} /> },
                { label: t("duration"), value: duration(v.from, v.to, t) },
                { label: t("type"), value: v.type },
                { label: t("resource"), value: v.resource ?? "–" },
              ]}
            />
          )}
          {v?.error && (
            <Alert type={v.status === "caught" ? "warning" : "error"} header={v.error}>
              <span className="arn">{v.cause}</span>
            </Alert>
          )}
          <Tabs
            ariaLabel={t("stateDetail")}
            tabs={[
              ...(v ? [{ id: "input", label: t("input"), content: <Code text={pretty(v.input)} /> }] : []),
              ...(v ? [{ id: "output", label: t("output"), content: <Code text={pretty(v.output)} /> }] : []),
              ...(v && v.attempts.length > 0
                ? [
                    {
                      id: "attempts",
                      label: `${t("attempts")} (${v.attempts.length})`,
                      content: (
                        <KeyValuePairs
                          columns={1}
                          items={v.attempts.map((a, i) => ({
                            label: t("attemptN", { n: i + 1 }),
                            value: (
                              <>
                                <Status status={a.error ? "FAILED" : a.to ? "SUCCEEDED" : "RUNNING"} /> {duration(a.from, a.to, t)}
                                {a.error && <div className="arn">{a.error}</div>}
                              </>
                            ),
                          }))}
                        />
                      ),
                    },
                  ]
                : []),
              ...(own.length > 0 ? [{ id: "inferences", label: `${t("inferences")} (${own.length})`, content: <Inferences records={own} /> }] : []),
              { id: "definition", label: t("definition"), content: <Code text={definitionOf(definition, name)} /> },
            ]}
          />
        </SpaceBetween>
      )}
    </Container>
  );
}

function Inferences({ records }: { records: Record_[] }) {
  const { t, time } = useI18n();
  return (
    <SpaceBetween size="s">
      {records.slice(0, 50).map((r) => (
        <div key={r.id}>
          <Go href={to.record(r.id)}>{time(r.time)}</Go>
          <div className="meta">
            {r.served && <b>{t("answeredIn", { region: r.served })}</b>}
            {r.inputTokens !== undefined && <span>{t("tokensInOut", { i: r.inputTokens, o: r.outputTokens ?? 0 })}</span>}
            {r.errorCode && <span className="arn">{r.errorCode}</span>}
            {denied(r.errorCode) && <WhyButton message={r.errorMessage ?? ""} requestId={r.requestId} />}
          </div>
          {r.attempts.length > 1 && (
            <div className="meta">
              {t("attemptsTitle")}: {r.attempts.map((a) => (a.error ? `${a.region} (${a.error})` : a.region)).join(" → ")}
            </div>
          )}
        </div>
      ))}
    </SpaceBetween>
  );
}

// Bar is a visit on the time line of its execution: attempts that failed are red, waits between them grey.
function Bar({ v, from, till }: { v: Visit; from: number; till: number }) {
  const { t } = useI18n();
  const all = Math.max(1, till - from);
  const place = (a: Date, b: Date | undefined) => ({
    left: `${(100 * (a.getTime() - from)) / all}%`,
    width: `${(100 * Math.max(0, (b?.getTime() ?? till) - a.getTime())) / all}%`,
  });
  const retried = v.attempts.length > 1;
  return (
    <div className="bar" role="img" aria-label={duration(v.from, v.to, t)} title={duration(v.from, v.to, t)}>
      <i className={retried ? "b-wait" : `b-${v.status}`} style={place(v.from, v.to)} />
      {retried && v.attempts.map((a, i) => <i key={i} className={a.error ? "b-failed" : a.to ? "b-succeeded" : "b-running"} style={place(a.from, a.to)} />)}
    </div>
  );
}

function States({ h, selected, onSelect, records }: { h: History; selected?: string; onSelect: (n: string) => void; records: Record_[] }) {
  const { t, clock } = useI18n();
  const from = h.from?.getTime() ?? 0;
  const till = (h.to ?? new Date()).getTime();
  const regions = useMemo(() => byState(records), [records]);
  // A record names the state and not the iteration, so of several Regions a row cannot tell which was its own.
  const regionOf = (v: Visit) => {
    const all = regions[v.name]?.shares ?? [];
    return all.length > 1 ? t("regionsN", { n: all.length }) : (all[0]?.region ?? "–");
  };
  return (
    <List
      label={t("states")}
      items={h.visits}
      trackBy={(v) => String(v.id)}
      find="findStates"
      text={(v) => `${v.name} ${v.type} ${v.status} ${v.where} ${v.error ?? ""}`}
      selected={h.visits.filter((v) => v.name === selected).slice(0, 1)}
      onSelect={(v) => onSelect(v.name)}
      header={<Header variant="h2" counter={`(${h.visits.length})`}>{t("states")}</Header>}
      empty={<Empty title={t("noMatches")} />}
      columns={[
        { id: "name", header: t("name"), cell: (v) => <div style={{ paddingInlineStart: 16 * Math.min(v.depth, 6) }}>{v.name}</div>, isRowHeader: true, minWidth: 130 },
        { id: "iteration", header: t("iteration"), cell: (v) => v.where || "–" },
        { id: "type", header: t("type"), cell: (v) => v.type },
        { id: "status", header: t("status"), cell: (v) => <Status status={v.status} />, minWidth: 125 },
        { id: "region", header: t("inferenceRegion"), cell: (v) => regionOf(v), minWidth: 130 },
        { id: "started", header: t("started"), cell: (v) => clock(v.from), minWidth: 120 },
        { id: "duration", header: t("duration"), cell: (v) => duration(v.from, v.to, t) },
        { id: "timeline", header: t("timeline"), cell: (v) => <Bar v={v} from={from} till={till} />, minWidth: 140 },
      ]}
    />
  );
}

function Events({ events, h }: { events: HistoryEvent[]; h: History }) {
  const { t, clock } = useI18n();
  const [open, setOpen] = useState<HistoryEvent>();
  return (
    <SpaceBetween size="m">
      <List
        label={t("events")}
        items={events}
        trackBy={(e) => String(e.id)}
        find="findEvents"
        text={(e) => `${e.id} ${e.type} ${h.nameOf.get(e.id!) ?? ""} ${JSON.stringify(detail(e))}`}
        sort={{ id: "id" }}
        selected={open && [open]}
        onSelect={setOpen}
        header={<Header variant="h2" counter={`(${events.length})`}>{t("events")}</Header>}
        empty={<Empty title={t("noMatches")} />}
        columns={[
          { id: "id", header: t("id"), cell: (e) => e.id, sortingField: "id" },
          { id: "type", header: t("type"), cell: (e) => (/Failed|TimedOut|Aborted/.test(String(e.type)) ? <StatusIndicator type="error">{e.type}</StatusIndicator> : e.type), isRowHeader: true },
          { id: "step", header: t("step"), cell: (e) => h.nameOf.get(e.id!) ?? "–" },
          { id: "elapsed", header: t("duration"), cell: (e) => duration(h.from, e.timestamp, t) },
          { id: "time", header: t("time"), cell: (e) => clock(e.timestamp), minWidth: 120 },
        ]}
      />
      {open && (
        <Container header={<Header variant="h3">{`${open.id} · ${open.type}`}</Header>}>
          <Code text={JSON.stringify(expanded(detail(open)), null, 2)} />
        </Container>
      )}
    </SpaceBetween>
  );
}

// expanded shows documents inside strings as documents.
function expanded(d: Record<string, any>): Record<string, any> {
  return Object.fromEntries(
    Object.entries(d).map(([k, v]) => {
      if (typeof v !== "string" || !/^\s*[[{"]/.test(v)) return [k, v];
      try {
        return [k, JSON.parse(v)];
      } catch {
        return [k, v];
      }
    }),
  );
}
