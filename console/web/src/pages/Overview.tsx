import { useRef } from "react";
import { useLocation } from "wouter";
import Box from "@cloudscape-design/components/box";
import Button from "@cloudscape-design/components/button";
import ColumnLayout from "@cloudscape-design/components/column-layout";
import Container from "@cloudscape-design/components/container";
import ContentLayout from "@cloudscape-design/components/content-layout";
import Header from "@cloudscape-design/components/header";
import SegmentedControl from "@cloudscape-design/components/segmented-control";
import SpaceBetween from "@cloudscape-design/components/space-between";
import Table from "@cloudscape-design/components/table";
import { sfn } from "../aws/clients";
import { current } from "../aws/session";
import { ofModels } from "../aws/trail";
import { useParam } from "../app/address";
import { pages, useLoad } from "../app/load";
import { Command, duration, Empty, Go, Problem, Status, to, WhyButton } from "../app/parts";
import RegionMap from "../app/Regions";
import Backends, { Simulated, useBackends } from "./Backends";
import { flows, traffic, underlying } from "../model/profile";
import { denied, type Record_ } from "../model/inference";
import { useI18n } from "../i18n";

const day = 24 * 3600_000;
const looked = 20; // machines whose executions are shown here, the newest ones
const every = 5000; // while something runs
const overlap = 10_000; // records come a moment after their calls

export default function Overview() {
  const { t, time, number } = useI18n();
  const [, go] = useLocation();
  const region = current().region;
  const [kind, setKind] = useParam("runs", "all");
  const flow = useLoad(
    async (abortSignal) => {
      const { m, c } = await sfn();
      const machines = await pages(20, async (nextToken) => {
        const r = await c.send(new m.ListStateMachinesCommand({ maxResults: 1000, nextToken }), { abortSignal });
        return { items: r.stateMachines ?? [], next: r.nextToken };
      });
      const newest = machines.items
        .filter((x) => x.type === "STANDARD")
        .sort((a, b) => b.creationDate!.getTime() - a.creationDate!.getTime())
        .slice(0, looked);
      const lists = await Promise.all(newest.map((x) => c.send(new m.ListExecutionsCommand({ stateMachineArn: x.stateMachineArn, maxResults: 100 }), { abortSignal })));
      const all = lists.flatMap((l) => l.executions ?? []).sort((a, b) => b.startDate!.getTime() - a.startDate!.getTime());
      return { machines: machines.items.length, more: machines.more || newest.length < machines.items.filter((x) => x.type === "STANDARD").length || lists.some((l) => l.nextToken), all };
    },
    [],
    (d) => (d.all.some((x) => x.status === "RUNNING") ? every : every * 3),
  );
  // Of what was read before only what is new is asked for.
  const calls = useRef(new Map<string, Record_>());
  const read = useRef({ until: 0, more: false });
  const models = useLoad(
    async (signal) => {
      const now = Date.now();
      const r = await ofModels(new Date(Math.max(now - day, read.current.until - overlap)), 10, signal);
      for (const x of r.items) calls.current.set(x.id, x);
      read.current = { until: now, more: read.current.more || r.more };
      const all = [...calls.current.values()].filter((x) => x.time.getTime() > now - day).sort((a, b) => b.time.getTime() - a.time.getTime());
      return { more: read.current.more, calls: all, denials: all.filter((x) => denied(x.errorCode)) };
    },
    [],
    () => every * 3,
  );
  const used = (models.data || models.error !== undefined) && [...new Set((models.data?.calls ?? []).map((r) => underlying(r.model ?? "")).filter(Boolean))].sort();
  const backends = useBackends(used || undefined);
  const running = flow.data?.all.filter((x) => x.status === "RUNNING").length ?? 0;
  const failed = flow.data?.all.filter((x) => x.status === "FAILED" || x.status === "TIMED_OUT").length ?? 0;
  const tile = (label: string, n: number | undefined, more: boolean | undefined, href: string) => (
    <div>
      <Box variant="awsui-key-label">{label}</Box>
      <Box fontSize="display-l" fontWeight="bold">
        {n === undefined ? "–" : <Go href={href} size="display-l">{`${number(n)}${more ? "+" : ""}`}</Go>}
      </Box>
    </div>
  );
  const kinds: Record<string, (s: string | undefined) => boolean> = { all: () => true, running: (s: string | undefined) => s === "RUNNING", failed: (s: string | undefined) => s === "FAILED" || s === "TIMED_OUT" };
  const listed = (flow.data?.all ?? []).filter((x) => (kinds[kind] ?? kinds.all!)(x.status));
  return (
    <ContentLayout header={<Header variant="h1" description={`${t("tagline")} · ${region}`}>{t("overview")}</Header>}>
      <SpaceBetween size="m">
        {backends.data && <Simulated all={backends.data} />}
        <Problem error={flow.error} retry={flow.reload} />
        <Container>
          <ColumnLayout columns={4} variant="text-grid" minColumnWidth={150}>
            {tile(t("machinesN"), flow.data?.machines, false, "/state-machines")}
            {tile(t("runningN"), flow.data && running, flow.data?.more, "/?runs=running")}
            {tile(t("failedRecent"), flow.data && failed, flow.data?.more, "/?runs=failed")}
            {tile(t("deniedToday"), models.data?.denials.length, models.data?.more, "/events?range=24h&f=" + encodeURIComponent("errorCode:AccessDenied"))}
          </ColumnLayout>
        </Container>
        <div className="wide2">
        <Container
          header={
            <Header variant="h2" description={t("inferencesTodayHint")} counter={models.data && `(${models.data.calls.length}${models.data.more ? "+" : ""})`}>
              {t("inferencesToday")}
            </Header>
          }
        >
          {models.error !== undefined ? (
            <Problem error={models.error} retry={models.reload} />
          ) : (
            models.data?.calls.length === 0 ? (
              <Empty title={t("noInference")}>
                <Button onClick={() => go(to.playground())}>{t("playground")}</Button>
                <Command text={`aws bedrock-runtime converse --model-id jp.anthropic.claude-sonnet-4-5-20250929-v1:0 --messages '[{"role":"user","content":[{"text":"Hello"}]}]' --endpoint-url ${location.origin} --region ${region}`} />
              </Empty>
            ) : (
            <RegionMap sources={[region]} flows={flows(models.data?.calls ?? [])} total={traffic(models.data?.calls ?? [])} denied={{ [region]: (models.data?.calls ?? []).filter((r) => denied(r.errorCode)).length }} />
            )
          )}
        </Container>
        <Backends {...backends} />
        </div>
        <div className="wide2">
        <Table
          header={
            <Header
              variant="h2"
              actions={
                <SegmentedControl
                  label={t("status")}
                  selectedId={kind in kinds ? kind : "all"}
                  onChange={(e) => setKind(e.detail.selectedId)}
                  options={[
                    { id: "all", text: t("anyStatus") },
                    { id: "running", text: t("stRunning") },
                    { id: "failed", text: t("stFailed") },
                  ]}
                />
              }
            >
              {t("recentExecutions")}
            </Header>
          }
          items={listed.slice(0, 8)}
          trackBy="executionArn"
          loading={!flow.data && flow.loading}
          loadingText={t("loading")}
          enableKeyboardNavigation
          wrapLines
          ariaLabels={{ tableLabel: t("recentExecutions") }}
          empty={
            (flow.data?.all.length ?? 0) > 0 ? (
              <Empty title={t("noMatches")}>
                <Button onClick={() => setKind("all")}>{t("clearFilter")}</Button>
              </Empty>
            ) : (
            <Empty title={t(flow.data?.machines ? "noExecutions" : "emptyMachines", { region })}>
              {flow.data?.machines ? <Button onClick={() => go("/state-machines")}>{t("stateMachines")}</Button> : <Button onClick={() => go("/state-machines/create")}>{t("create")}</Button>}
              <Command text={`export AWS_ENDPOINT_URL=${location.origin} AWS_REGION=${region}`} />
            </Empty>
            )
          }
          columnDefinitions={[
            { id: "name", header: t("name"), cell: (x) => <Go href={to.execution(x.executionArn!)}>{x.name}</Go>, isRowHeader: true, minWidth: 120 },
            { id: "machine", header: t("stateMachine"), cell: (x) => <Go href={to.machine(x.stateMachineArn!)}>{x.stateMachineArn!.split(":")[6]}</Go> },
            { id: "status", header: t("status"), cell: (x) => <Status status={x.status} />, minWidth: 130 },
            { id: "started", header: t("started"), cell: (x) => time(x.startDate), minWidth: 180 },
            { id: "duration", header: t("duration"), cell: (x) => duration(x.startDate, x.stopDate, t) },
          ]}
        />
        <Table
          header={<Header variant="h2">{t("recentDenials")}</Header>}
          items={(models.data?.denials ?? []).slice(0, 5)}
          trackBy="id"
          loading={!models.data && models.loading}
          loadingText={t("loading")}
          enableKeyboardNavigation
          wrapLines
          ariaLabels={{ tableLabel: t("recentDenials") }}
          empty={<Empty title={t("noDenials")} />}
          columnDefinitions={[
            { id: "time", header: t("time"), cell: (r) => <Go href={to.record(r.id)}>{time(r.time)}</Go>, isRowHeader: true, minWidth: 180 },
            { id: "name", header: t("eventName"), cell: (r) => r.name },
            { id: "user", header: t("userName"), cell: (r) => r.user },
            { id: "model", header: t("model"), cell: (r) => <span className="arn">{r.model ?? "–"}</span>, minWidth: 200 },
            { id: "why", header: t("actions"), cell: (r) => <WhyButton message={r.errorMessage ?? ""} requestId={r.requestId} executionArn={r.executionArn} />, minWidth: 120 },
          ]}
        />
        </div>
      </SpaceBetween>
    </ContentLayout>
  );
}
