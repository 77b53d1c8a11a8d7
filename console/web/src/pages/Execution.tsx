import { useCallback, useMemo, useRef, useState } from "react";
import type { DescribeExecutionCommandOutput, HistoryEvent } from "@aws-sdk/client-sfn";
import Alert from "@cloudscape-design/components/alert";
import Box from "@cloudscape-design/components/box";
import Button from "@cloudscape-design/components/button";
import ButtonDropdown from "@cloudscape-design/components/button-dropdown";
import Container from "@cloudscape-design/components/container";
import ContentLayout from "@cloudscape-design/components/content-layout";
import ExpandableSection from "@cloudscape-design/components/expandable-section";
import Grid from "@cloudscape-design/components/grid";
import Header from "@cloudscape-design/components/header";
import KeyValuePairs from "@cloudscape-design/components/key-value-pairs";
import LiveRegion from "@cloudscape-design/components/live-region";
import SpaceBetween from "@cloudscape-design/components/space-between";
import Spinner from "@cloudscape-design/components/spinner";
import Tabs from "@cloudscape-design/components/tabs";
import { useLocation, useSearchParams } from "wouter";
import later from "../app/later";
import AslGraph, { badgeText } from "../graph/AslGraph";
import Direction, { useDirection } from "../graph/Direction";
import { layout } from "../graph/layout";
import { toGraph } from "../graph/model";
import { definitionOf, executionOf } from "../aws/reads";
import { tail } from "../aws/history";
import { ofExecution } from "../aws/trail";
import { put, useParam } from "../app/address";
import { useLoad } from "../app/load";
import { Code, duration, Go, Ids, pretty, Problem, Status, statusText, to, WhyButton } from "../app/parts";
import RegionMap from "../app/Regions";
import { png, save } from "../app/save";
import { counts, read, statuses, type Visit } from "../model/history";
import { byState, denied, type Record_ } from "../model/inference";
import { flows, traffic } from "../model/profile";
import { calls, maps, within, type Picks } from "../model/run";
import { useI18n } from "../i18n";
import { useTexts } from "../i18n/page";
import runTexts from "../i18n/pages/run";
import Detail, { type Start } from "./run/Detail";
import Events from "./run/Events";
import Iterations from "./run/Iterations";
import States from "./run/States";
import StartExecution from "./StartExecution";
import "./run/run.css";

const TestState = later(() => import("../editor/TestState"));
const Confirm = later(() => import("./run/Confirm"));

const pollMs = 1000;
const slowestMs = 10_000; // of an execution in which nothing happens

export default function Execution({ arn }: { arn: string }) {
  const { t, time } = useI18n();
  const tr = useTexts(runTexts);
  const [, go] = useLocation();
  const [query, setQuery] = useSearchParams();
  // What is looked at is in the address: ?state=…&visit=…, and the iterations, ?it=4:Each claim.
  const visit = Number(query.get("visit") ?? NaN);
  const look = useCallback((state: string, visit?: number) => setQuery(put((q) => (q.set("state", state), visit === undefined ? q.delete("visit") : q.set("visit", String(visit)))), { replace: true }), [setQuery]);
  const select = useCallback((state: string) => look(state), [look]);
  const pick = useCallback((v: Visit) => look(v.name, v.id), [look]);
  const its = query.getAll("it").join("\n");
  const picks = useMemo<Picks>(
    () =>
      Object.fromEntries(
        its.split("\n").flatMap((it) => {
          const m = /^(\d+):(.+)$/.exec(it);
          return m ? [[m[2]!, Number(m[1])]] : [];
        }),
      ),
    [its],
  );
  const setPicks = (p: Picks) =>
    setQuery(
      put((q) => {
        q.delete("it");
        for (const [name, i] of Object.entries(p)) q.append("it", `${i}:${name}`);
      }),
      { replace: true },
    );
  const [tab, setTab] = useParam("tab", "states");
  const [dir, setDir] = useDirection();
  const detail = useRef<HTMLDivElement>(null);
  const [again, setAgain] = useState(false);
  const [asked, ask] = useState<"redrive" | "stop">();
  const [test, setTest] = useState<Start>();
  const [failed, setFailed] = useState<unknown>();
  const [loaded, setLoaded] = useState(0);
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
        x = await executionOf(arn, abortSignal);
        events.current = await tail(arn, events.current, abortSignal, setLoaded);
      }
      described.current = x;
      return { x, events: events.current };
    },
    [arn],
    (d) => (d.x.status === "RUNNING" ? Math.min(pollMs * 1.3 ** quiet.current, slowestMs) : undefined),
  );
  const definition = useLoad((signal) => definitionOf(arn, signal), [arn]);
  const region = arn.split(":")[3] ?? "";
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
  // What is looked at: everything, or chosen iterations of Map states.
  const visits = useMemo(() => within(h.visits, picks), [h, picks]);
  const made = useMemo(() => calls(h.visits, records), [h, records]);
  const choices = useMemo(() => maps(h, picks), [h, picks]);
  const st = useMemo(() => statuses(visits), [visits]);
  const times = useMemo(() => counts(visits), [visits]);
  const served = useMemo(() => byState(Object.keys(picks).length ? visits.flatMap((v) => made.get(v.id) ?? []) : records), [records, visits, made, picks]);
  const text = definition.data?.definition;
  const broken = h.visits.findLast((v) => v.status === "failed" && v.attempts.length > 0) ?? h.visits.findLast((v) => v.status === "failed");
  const lost = x?.status === "FAILED" || x?.status === "TIMED_OUT";
  // What failed is looked at first.
  const selected = query.get("state") ?? (lost ? broken?.name : undefined);
  // Of a state's visits the one that was chosen, else one that failed, else the last.
  const own = visits.filter((v) => v.name === selected);
  const shown = own.find((v) => v.id === visit) ?? own.find((v) => v.status === "failed") ?? own.at(-1);

  const exported = async (what: string) => {
    setFailed(undefined);
    try {
      if (what === "json") return save(`${x!.name}.json`, JSON.stringify({ execution: x, stateMachine: definition.data, events: run.data!.events, modelCalls: records.map((r) => JSON.parse(r.json || "{}")) }, (k, v) => (k === "$metadata" ? undefined : v), 2));
      const { toSvg } = await import("../graph/svg");
      const badge = Object.fromEntries(Object.entries(served).map(([k, v]) => [k, badgeText(v, t)]));
      const svg = toSvg(layout(toGraph(JSON.parse(text!), true), dir), dir, { status: st, badge, served, title: x!.name! });
      save(`${x!.name}.${what}`, what === "svg" ? svg : await png(svg), "image/svg+xml");
    } catch (e) {
      setFailed(e);
    }
  };
  if (!x) return run.error ? <Problem error={run.error} retry={run.reload} /> : <><Spinner size="large" />{loaded > 0 && <Box>{tr("loadingEvents", { n: loaded })}</Box>}</>;
  const refusal = records.find((r) => denied(r.errorCode) && (!broken || r.state === broken.name));
  return (
    <ContentLayout
      header={
        <Header
          variant="h1"
          actions={
            <SpaceBetween direction="horizontal" size="xs">
              {x.status === "RUNNING" && <Button onClick={() => ask("stop")}>{t("stop")}</Button>}
              {x.redriveStatus === "REDRIVABLE" && <Button onClick={() => ask("redrive")}>{t("redrive")}</Button>}
              <ButtonDropdown
                items={[
                  { id: "compare", text: tr("compare") },
                  { id: "svg", text: tr("exportSvg"), disabled: !text },
                  { id: "png", text: tr("exportPng"), disabled: !text },
                  { id: "json", text: tr("exportJson") },
                ]}
                onItemClick={(e) => (e.detail.id === "compare" ? go("/compare?a=" + encodeURIComponent(arn)) : void exported(e.detail.id))}
              >
                {tr("actions")}
              </ButtonDropdown>
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
        <LiveRegion hidden>{`${x.name}: ${statusText(x.status!, t)}`}</LiveRegion>
        <Problem error={run.error} retry={run.reload} />
        <Problem error={failed} />
        {(x.error || lost) && (
          <Alert
            type="error"
            header={broken ? t("executionFailed", { state: broken.name }) : t("executionFailedNoState")}
            action={
              <SpaceBetween direction="horizontal" size="xs">
                {broken && (
                  <Button
                    onClick={() => {
                      look(broken.name, broken.id);
                      detail.current?.focus();
                      detail.current?.scrollIntoView({ block: "nearest" });
                    }}
                  >
                    {t("showStep")}
                  </Button>
                )}
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
                ...(x.stateMachineAliasArn || x.stateMachineVersionArn ? [{ label: tr("version"), value: (x.stateMachineAliasArn ?? x.stateMachineVersionArn)!.split(":")[7] }] : []),
                ...(x.redriveCount ? [{ label: tr("redriveCount"), value: `${x.redriveCount} · ${time(x.redriveDate)}` }] : []),
                ...(x.mapRunArn ? [{ label: tr("parent"), value: <Go href={"/map-runs/" + encodeURIComponent(x.mapRunArn)}>{tr("mapRun")}</Go> }] : []),
              ]}
            />
            <Ids
              items={[
                [t("arn"), x.executionArn],
                [t("stateMachine"), x.stateMachineArn!.split("/")[0]!, to.machine(x.stateMachineArn!.split("/")[0]!)],
                [t("role"), definition.data?.roleArn, definition.data?.roleArn && to.iam("role", definition.data.roleArn.split("/").pop()!)],
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
              <RegionMap sources={[region]} flows={flows(records)} total={traffic(records)} denied={{ [region]: records.filter((r) => denied(r.errorCode)).length }} />
            )}
          </Container>
        )}
        <Grid gridDefinition={[{ colspan: { default: 12, s: 7 } }, { colspan: { default: 12, s: 5 } }]}>
          <Container
            header={
              <Header variant="h2" actions={<Direction dir={dir} onChange={setDir} />}>
                {t("graph")}
              </Header>
            }
          >
            <SpaceBetween size="s">
              {choices.length > 0 && <Iterations choices={choices} picks={picks} onPick={setPicks} />}
              {text ? (
                <AslGraph definition={text} statuses={st} counts={times} served={served} selected={selected} onSelect={select} dir={dir} height={600} />
              ) : definition.error ? (
                <Problem error={definition.error} retry={definition.reload} />
              ) : (
                <Spinner />
              )}
            </SpaceBetween>
          </Container>
          <Detail
            name={selected}
            visits={own}
            v={shown}
            choose={(id) => selected !== undefined && look(selected, id)}
            place={detail}
            records={records}
            made={made}
            definition={text}
            x={{ ...x, roleArn: definition.data?.roleArn }}
            h={h}
            events={run.data!.events}
            onTest={setTest}
          />
        </Grid>
        <Tabs
          ariaLabel={t("events")}
          activeTabId={tab}
          onChange={(e) => setTab(e.detail.activeTabId)}
          tabs={[
            { id: "states", label: t("states"), content: <States h={h} visits={visits} selected={shown?.id} onSelect={pick} records={records} made={made} /> },
            { id: "events", label: `${t("events")} (${run.data!.events.length})`, content: <Events events={run.data!.events} h={h} /> },
          ]}
        />
      </SpaceBetween>
      {again && <StartExecution machine={x.stateMachineAliasArn ?? x.stateMachineVersionArn ?? x.stateMachineArn!} input={pretty(x.input)} onDismiss={() => setAgain(false)} />}
      {test && <TestState {...test} onDismiss={() => setTest(undefined)} />}
      {asked && (
        <Confirm
          what={asked}
          x={x}
          h={h}
          refusal={refusal}
          onDismiss={() => ask(undefined)}
          onDone={() => {
            ask(undefined);
            described.current = undefined;
            run.reload();
          }}
        />
      )}
    </ContentLayout>
  );
}
