import { useMemo, useState } from "react";
import Alert from "@cloudscape-design/components/alert";
import Badge from "@cloudscape-design/components/badge";
import Box from "@cloudscape-design/components/box";
import Container from "@cloudscape-design/components/container";
import ContentLayout from "@cloudscape-design/components/content-layout";
import FormField from "@cloudscape-design/components/form-field";
import Grid from "@cloudscape-design/components/grid";
import Header from "@cloudscape-design/components/header";
import KeyValuePairs from "@cloudscape-design/components/key-value-pairs";
import Select from "@cloudscape-design/components/select";
import SpaceBetween from "@cloudscape-design/components/space-between";
import Spinner from "@cloudscape-design/components/spinner";
import Toggle from "@cloudscape-design/components/toggle";
import { useSearchParams } from "wouter";
import { sfn } from "../aws/clients";
import { tail } from "../aws/history";
import { ofExecution } from "../aws/trail";
import { pages, useLoad } from "../app/load";
import { Command, duration, Empty, Go, pretty, Problem, Status, statusText, to } from "../app/parts";
import Rows, { type Column } from "../app/rows";
import AslGraph from "../graph/AslGraph";
import { read, statuses } from "../model/history";
import { byState, shares } from "../model/inference";
import { calls, compare, diff, hops, type Pair } from "../model/run";
import { useI18n } from "../i18n";
import { useTexts } from "../i18n/page";
import runTexts from "../i18n/pages/run";
import "./run/run.css";

async function run(executionArn: string, abortSignal: AbortSignal) {
  const { m, c } = await sfn();
  const [x, d, events] = await Promise.all([
    c.send(new m.DescribeExecutionCommand({ executionArn }), { abortSignal }),
    c.send(new m.DescribeStateMachineForExecutionCommand({ executionArn }), { abortSignal }),
    tail(executionArn, [], abortSignal),
  ]);
  const records = await ofExecution(executionArn, x.startDate, x.stopDate, abortSignal).catch(() => []); // Regions are extra here
  const h = read(events);
  return { x, d, h, records, made: calls(h.visits, records) };
}
type Run = Awaited<ReturnType<typeof run>>;

export default function Compare() {
  const { t, time } = useI18n();
  const tr = useTexts(runTexts);
  const [query, setQuery] = useSearchParams();
  const [a, b] = [query.get("a") ?? "", query.get("b") ?? ""];
  const [only, setOnly] = useState(true);
  const [selected, select] = useState<Pair>();
  const first = useLoad(async (s) => (a ? run(a, s) : undefined), [a]);
  const second = useLoad(async (s) => (b ? run(b, s) : undefined), [b]);
  const machine = first.data?.x.stateMachineArn;
  const others = useLoad(
    async (abortSignal) => {
      if (!machine) return undefined;
      const { m, c } = await sfn();
      return pages(2, async (nextToken) => {
        const r = await c.send(new m.ListExecutionsCommand({ stateMachineArn: machine, maxResults: 200, nextToken }), { abortSignal });
        return { items: (r.executions ?? []).filter((x) => x.executionArn !== a), next: r.nextToken };
      });
    },
    [machine, a],
  );
  const options = (others.data?.items ?? []).map((x) => ({ value: x.executionArn!, label: x.name!, description: time(x.startDate), labelTag: statusText(x.status!, t) }));
  const [f, s] = [first.data, second.data];
  const pairs = useMemo(() => {
    if (!f || !s) return [];
    const regions = (r: Run) => (v: { id: number }) => (r.made.get(v.id) ?? []).map((c) => c.served ?? c.errorCode ?? "").join();
    return compare(f.h, s.h, regions(f), regions(s));
  }, [f, s]);
  const rows = only ? pairs.filter((p) => p.differs.length > 0) : pairs;
  const label = { status: "difStatus", path: "difPath", input: "difInput", output: "difOutput", regions: "difRegions" } as const;
  const region = (r: Run | undefined, id: number | undefined) => (id === undefined ? "" : (r?.made.get(id) ?? []).map(hops).filter(Boolean).join(", "));
  const columns: Column<Pair>[] = [
    { id: "name", header: t("name"), width: 150, grow: 2, cell: (p) => p.name },
    { id: "where", header: t("iteration"), width: 110, grow: 1, cell: (p) => p.where || "–" },
    { id: "a", header: tr("first"), width: 190, grow: 1, cell: (p) => (p.a ? <><Status status={p.a.status} /> {duration(p.a.from, p.a.to, t)}</> : tr("notRun")) },
    { id: "b", header: tr("second"), width: 190, grow: 1, cell: (p) => (p.b ? <><Status status={p.b.status} /> {duration(p.b.from, p.b.to, t)}</> : tr("notRun")) },
    { id: "regions", header: t("inferenceRegion"), width: 160, grow: 1, cell: (p) => ([region(f, p.a?.id), region(s, p.b?.id)].filter(Boolean).join(" | ") || "–") },
    {
      id: "differs",
      header: tr("differs"),
      width: 220,
      grow: 1,
      cell: (p) => (
        <SpaceBetween direction="horizontal" size="xxs">
          {p.differs.map((d) => (
            <Badge key={d} color={d === "status" || d === "path" ? "red" : "blue"}>
              {tr(label[d])}
            </Badge>
          ))}
        </SpaceBetween>
      ),
    },
  ];
  const side = (r: Run | undefined, which: "first" | "second") => (
    <Container header={<Header variant="h2">{r ? <Go href={to.execution(r.x.executionArn!)}>{r.x.name}</Go> : tr(which)}</Header>} fitHeight>
      {r && (
        <SpaceBetween size="m">
          <KeyValuePairs
            columns={3}
            items={[
              { label: t("status"), value: <Status status={r.x.status} /> },
              { label: t("duration"), value: duration(r.x.startDate, r.x.stopDate, t) },
              { label: t("inferenceRegion"), value: shares(r.records).map((q) => `${q.region} ×${q.calls}`).join(", ") || "–" },
            ]}
          />
          <AslGraph definition={r.d.definition!} statuses={statuses(r.h.visits)} served={byState(r.records)} selected={selected?.name} onSelect={(n) => select(pairs.find((p) => p.name === n))} height={420} />
        </SpaceBetween>
      )}
    </Container>
  );
  return (
    <ContentLayout header={<Header variant="h1" description={tr("compareHint")}>{tr("compareTitle")}</Header>}>
      <SpaceBetween size="m">
        <Problem error={first.error ?? second.error ?? others.error} retry={() => [first, second, others].forEach((l) => l.error !== undefined && l.reload())} />
        <Container>
          <FormField label={tr("compareChoose")} stretch>
            {others.data && options.length === 0 && !b ? (
              <Empty title={tr("compareNone")}>
                <Command text={`aws stepfunctions start-execution --state-machine-arn ${machine ?? ""}`} />
              </Empty>
            ) : (
              <Select
                selectedOption={options.find((o) => o.value === b) ?? (s ? { value: b, label: s.x.name! } : null)}
                options={options}
                placeholder={tr("comparePlaceholder")}
                filteringType="auto"
                statusType={others.loading ? "loading" : "finished"}
                onChange={(e) => {
                  select(undefined);
                  setQuery({ a, b: e.detail.selectedOption.value! }, { replace: true });
                }}
              />
            )}
          </FormField>
        </Container>
        {(first.loading && !f) || (b && second.loading && !s) ? <Spinner size="large" /> : null}
        {f && s && f.d.definition !== s.d.definition && <Alert type="info">{tr("definitionsDiffer")}</Alert>}
        {f && s && (
          <SpaceBetween size="m">
            <Grid gridDefinition={[{ colspan: { default: 12, s: 6 } }, { colspan: { default: 12, s: 6 } }]}>
              {side(f, "first")}
              {side(s, "second")}
            </Grid>
            <Container
              header={
                <Header variant="h2" counter={`(${rows.length})`} actions={<Toggle checked={only} onChange={(e) => setOnly(e.detail.checked)}>{tr("onlyDifferent")}</Toggle>}>
                  {t("states")}
                </Header>
              }
            >
              <Rows label={tr("compareTitle")} items={rows} columns={columns} trackBy={(p) => p.key} selected={selected?.key} onSelect={select} height={340} empty={<Empty title={tr("noDifference")} />} />
            </Container>
            {selected ? (
              <Grid gridDefinition={[{ colspan: { default: 12, s: 6 } }, { colspan: { default: 12, s: 6 } }]}>
                <Container header={<Header variant="h3">{`${selected.name} · ${t("input")}`}</Header>}>
                  <Diff a={selected.a?.input} b={selected.b?.input} />
                </Container>
                <Container header={<Header variant="h3">{`${selected.name} · ${t("output")}`}</Header>}>
                  <Diff a={selected.a?.output ?? selected.a?.error} b={selected.b?.output ?? selected.b?.error} />
                </Container>
              </Grid>
            ) : (
              <Grid gridDefinition={[{ colspan: { default: 12, s: 6 } }, { colspan: { default: 12, s: 6 } }]}>
                <Container header={<Header variant="h3">{tr("inputs")}</Header>}>
                  <Diff a={f.x.input} b={s.x.input} />
                </Container>
                <Container header={<Header variant="h3">{tr("outputs")}</Header>}>
                  <Diff a={f.x.output ?? f.x.error} b={s.x.output ?? s.x.error} />
                </Container>
              </Grid>
            )}
          </SpaceBetween>
        )}
      </SpaceBetween>
    </ContentLayout>
  );
}

function Diff({ a, b }: { a?: string; b?: string }) {
  const tr = useTexts(runTexts);
  const lines = useMemo(() => diff(pretty(a), pretty(b)), [a, b]);
  if (!lines) return <Box>{tr("tooLong")}</Box>;
  return (
    <div className="diff mono" tabIndex={0} role="group" aria-label={tr("compareTitle")}>
      {lines.map((l, i) => (
        <div key={i} className={l.kind}>
          {{ same: "  ", less: "− ", more: "+ " }[l.kind]}
          {l.text}
        </div>
      ))}
    </div>
  );
}
