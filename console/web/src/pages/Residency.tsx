import { useEffect, useMemo, useState } from "react";
import { useSearchParams } from "wouter";
import Alert from "@cloudscape-design/components/alert";
import Badge from "@cloudscape-design/components/badge";
import Box from "@cloudscape-design/components/box";
import Button from "@cloudscape-design/components/button";
import Container from "@cloudscape-design/components/container";
import ContentLayout from "@cloudscape-design/components/content-layout";
import FormField from "@cloudscape-design/components/form-field";
import Header from "@cloudscape-design/components/header";
import Input from "@cloudscape-design/components/input";
import SegmentedControl from "@cloudscape-design/components/segmented-control";
import Select from "@cloudscape-design/components/select";
import SpaceBetween from "@cloudscape-design/components/space-between";
import Spinner from "@cloudscape-design/components/spinner";
import StatusIndicator from "@cloudscape-design/components/status-indicator";
import Table from "@cloudscape-design/components/table";
import { applyMode, Mode } from "@cloudscape-design/global-styles";
import { cloudtrail } from "../aws/clients";
import { initialDark } from "../app/prefs";
import { current } from "../aws/session";
import { lookup } from "../aws/trail";
import { download } from "../app/download";
import { useLoad } from "../app/load";
import { Meter } from "../app/Regions";
import { Empty, Go, Problem, to } from "../app/parts";
import { boundary, call, csv, operations, report, went, type By, type Call, type Group } from "../model/residency";
import { useI18n, type Key } from "../i18n";
import { useTexts } from "../i18n/page";
import texts from "../i18n/pages/residency";
import ReportProof, { type Checked } from "./trail/ReportProof";
import "./residency.css";

const ranges: [string, Key, number][] = [
  ["1h", "last1h", 3600_000],
  ["24h", "last24h", 24 * 3600_000],
  ["90d", "last90d", 90 * 24 * 3600_000],
];
const perLoad = 40; // pages of 50 records of each operation
const last = (arn: string) => (arn.startsWith("arn:") ? arn.split(/[:/]/).pop()! : arn);

export default function Residency() {
  const { t, time, number } = useI18n();
  const say = useTexts(texts);
  const [query, setQuery] = useSearchParams();
  const region = current().region;
  const range = ranges.find(([id]) => id === query.get("period")) ?? ranges[1]!;
  const by = (["profile", "principal", "workflow"] as const).find((b) => b === query.get("by")) ?? "profile";
  const text = query.get("boundary") ?? (region.startsWith("ap-northeast-") && region !== "ap-northeast-2" ? "jp" : "");
  const [typed, setTyped] = useState(text);
  const [loads, setLoads] = useState(1);
  const [proof, setProof] = useState<Checked>();
  const change = (m: Record<string, string>) => setQuery({ period: range[0], by, boundary: text, ...m }, { replace: true });
  const { data, error, loading, reload } = useLoad(
    async (signal) => {
      const start = new Date(Date.now() - range[2]);
      const all = await Promise.all(operations.map((value) => lookup({ key: "EventName", value, start }, perLoad * loads, signal)));
      return { at: new Date(), more: all.some((x) => x.more), calls: all.flatMap((x) => x.items).filter((r) => r.source === "bedrock.amazonaws.com").map(call) };
    },
    [range[0], loads],
  );
  const trails = useLoad(async (abortSignal) => {
    const { m, c } = await cloudtrail();
    const r = await c.send(new m.DescribeTrailsCommand({}), { abortSignal });
    return Promise.all(
      (r.trailList ?? []).filter((x) => x.LogFileValidationEnabled).map(async (x) => ({ name: x.Name!, at: (await c.send(new m.GetTrailStatusCommand({ Name: x.TrailARN }), { abortSignal })).LatestDigestDeliveryTime })),
    );
  }, []);
  useEffect(() => {
    // paper is light
    const light = () => applyMode(Mode.Light);
    const back = () => applyMode(initialDark() ? Mode.Dark : Mode.Light);
    window.addEventListener("beforeprint", light);
    window.addEventListener("afterprint", back);
    return () => {
      window.removeEventListener("beforeprint", light);
      window.removeEventListener("afterprint", back);
    };
  }, []);
  const inside = useMemo(() => (text.trim() ? boundary(text) : undefined), [text]);
  const wrong = boundary(typed) === undefined;
  const r = useMemo(() => report(data?.calls ?? [], by, inside), [data, by, inside]);
  const named = (k: string) => (k ? last(k) : say(by === "workflow" ? "noWorkflow" : "noProfile"));
  const where = (c: Call) =>
    [c.region, c.reached.length > 0 && say("reached", { regions: c.reached.join(", ") }), c.may.length > 0 && say("may", { regions: c.may.join(", ") })].filter(Boolean).join("; ");
  const file = `residency-${region}-${(data?.at ?? new Date()).toISOString().slice(0, 10)}`;
  return (
    <ContentLayout
      header={
        <Header
          variant="h1"
          description={say("hint", { region })}
          actions={
            <div className="noprint">
              <SpaceBetween direction="horizontal" size="xs">
                <Button iconName="refresh" ariaLabel={t("refresh")} onClick={reload} loading={loading} />
                <Button iconName="download" disabled={!data} onClick={() => download(file + ".csv", "text/csv", "\ufeff" + csv(data!.calls, inside))}>
                  {say("exportCsv")}
                </Button>
                <Button
                  iconName="download"
                  disabled={!data}
                  onClick={() => download(file + ".json", "application/json", JSON.stringify({ made: data!.at, region, period: range[0], boundary: inside, complete: !data!.more, report: { ...r, outside: r.outside.map((c) => c.record.requestId) }, proof, records: data!.calls.map((c) => JSON.parse(c.record.json)) }, null, 2))}
                >
                  {say("exportJson")}
                </Button>
                <Button variant="primary" onClick={() => print()}>
                  {say("print")}
                </Button>
              </SpaceBetween>
            </div>
          }
        >
          {say("title")}
        </Header>
      }
    >
      <SpaceBetween size="m">
        <div className="fields">
          <FormField label={say("period")}>
            <Select selectedOption={{ value: range[0], label: t(range[1]) }} options={ranges.map(([value, k]) => ({ value, label: t(k) }))} onChange={(e) => change({ period: e.detail.selectedOption.value! })} />
          </FormField>
          <FormField label={say("boundary")} description={say("boundaryHint")} errorText={wrong && say("badBoundary", { text: typed })}>
            <Input
              value={typed}
              placeholder={say("noBoundary")}
              onChange={(e) => {
                setTyped(e.detail.value);
                if (boundary(e.detail.value)) change({ boundary: e.detail.value });
              }}
              spellcheck={false}
            />
          </FormField>
        </div>
        <Problem error={error} retry={reload} />
        {data?.more && (
          <Alert type="info" action={<Button loading={loading} onClick={() => setLoads((n) => n + 1)}>{say("readMore")}</Button>}>
            {say("partly", { n: number(data.calls.length) })}
          </Alert>
        )}
        {!data ? (
          loading && <Spinner size="large" />
        ) : data.calls.length === 0 ? (
          <Container>
            <Empty title={say("nothing")}>
              {say("nothingHint")}
              <Go href={to.playground()}>{t("playground")}</Go>
            </Empty>
          </Container>
        ) : (
          <SpaceBetween size="m">
            {inside &&
              (r.outside.length === 0 ? (
                <Alert type="success">{say("inside", { boundary: text, n: number(r.answered), regions: r.total.shares.map((s) => s.region).join(", ") || "–" })}</Alert>
              ) : (
                <Alert type="error" header={say("left", { n: number(r.outside.length), all: number(r.total.calls), boundary: text })}>
                  {say("first", { time: time(r.outside[0]!.record.time), regions: where(r.outside[0]!) })} · {r.outside[0]!.profile || r.outside[0]!.record.model} · {last(r.outside[0]!.principal)} · <Go href={to.record(r.outside[0]!.record.id)}>{t("openRecord")}</Go>
                </Alert>
              ))}
            {r.unknown > 0 && <Alert type="warning">{say("unknown", { n: number(r.unknown) })}</Alert>}
            <Container header={<Header variant="h2" description={say("regionsHint", { calls: number(r.total.calls), failed: number(r.total.failed), tokens: number(r.total.tokens) })}>{say("regions")}</Header>}>
              <Shares g={r.total} inside={inside} />
            </Container>
            <Table
              items={r.groups}
              trackBy="key"
              wrapLines
              enableKeyboardNavigation
              ariaLabels={{ tableLabel: say(by) }}
              header={
                <Header
                  variant="h2"
                  counter={`(${r.groups.length})`}
                  actions={
                    <div className="noprint">
                      <SegmentedControl label={say("countBy")} selectedId={by} options={(["profile", "principal", "workflow"] as const).map((id) => ({ id, text: say(id) }))} onChange={(e) => change({ by: e.detail.selectedId as By })} />
                    </div>
                  }
                >
                  {say(by)}
                </Header>
              }
              columnDefinitions={[
                { id: "key", header: t("name"), isRowHeader: true, cell: (g: Group) => <span className="arn" title={g.key}>{by === "workflow" && g.key ? <Go href={to.machine(g.key)}>{named(g.key)}</Go> : named(g.key)}</span>, minWidth: 180 },
                { id: "calls", header: say("calls"), cell: (g) => number(g.calls), minWidth: 90 },
                { id: "tokens", header: say("tokens"), cell: (g) => number(g.tokens), minWidth: 90 },
                {
                  id: "regions",
                  header: say("regions"),
                  minWidth: 200,
                  cell: (g) => (
                    <SpaceBetween direction="horizontal" size="xxs">
                      {g.shares.map((s) => (
                        <Badge key={s.region} color={inside && !inside.includes(s.region) ? "red" : "grey"}>{`${s.region} ${Math.round((100 * s.calls) / Math.max(1, g.calls - g.failed))}%`}</Badge>
                      ))}
                    </SpaceBetween>
                  ),
                },
                ...(inside
                  ? [
                      { id: "left", header: say("leftN"), cell: (g: Group) => (g.outside ? <StatusIndicator type="error">{number(g.outside)}</StatusIndicator> : "0") },
                      { id: "first", header: say("firstOutside"), cell: (g: Group) => (g.first ? <Go href={to.record(g.first.record.id)}>{time(g.first.record.time)}</Go> : "–") },
                    ]
                  : []),
              ]}
            />
            <Container header={<Header variant="h2">{say("proof")}</Header>}>
              <SpaceBetween size="m">
                <ReportProof at={data.at} calls={data.calls} command={`tokaido residency report${inside ? " --boundary " + text.replace(/\s+/g, "") : ""}`} report={setProof} />
                <div>
                  <Box variant="awsui-key-label">{say("digests")}</Box>
                  {trails.error !== undefined ? (
                    <Problem error={trails.error} />
                  ) : (trails.data ?? []).length === 0 ? (
                    say("noTrails")
                  ) : (
                    trails.data!.map((x) => <div key={x.name}>{say("digestsAt", { name: x.name, time: time(x.at) })}</div>)
                  )}
                </div>
                <Box color="text-body-secondary" fontSize="body-s">
                  {say("made", { time: time(data.at), who: current().session?.arn ?? "" })}
                </Box>
              </SpaceBetween>
            </Container>
            {r.outside.length > 0 && (
              <Table
                items={r.outside.slice(0, 100)}
                trackBy={(c) => c.record.id}
                wrapLines
                enableKeyboardNavigation
                ariaLabels={{ tableLabel: say("outside") }}
                header={<Header variant="h2" counter={`(${r.outside.length})`}>{say("outside")}</Header>}
                columnDefinitions={[
                  { id: "time", header: t("time"), isRowHeader: true, cell: (c) => <Go href={to.record(c.record.id)}>{time(c.record.time)}</Go>, minWidth: 180 },
                  { id: "regions", header: say("regions"), cell: (c) => where(c) || went(c).join(", "), minWidth: 160 },
                  { id: "model", header: t("model"), cell: (c) => <span className="arn">{c.profile || c.record.model}</span>, minWidth: 160 },
                  { id: "who", header: t("userName"), cell: (c) => <span className="arn" title={c.principal}>{last(c.principal)}</span> },
                ]}
              />
            )}
          </SpaceBetween>
        )}
      </SpaceBetween>
    </ContentLayout>
  );
}

// Shares is a plain table, so that it prints as it looks.
function Shares({ g, inside }: { g: Group; inside: string[] | undefined }) {
  const { number } = useI18n();
  const say = useTexts(texts);
  const answered = Math.max(1, g.calls - g.failed);
  return (
    <div className="scroll" tabIndex={0} role="region" aria-label={say("regions")}>
      <table className="shares">
        <thead>
          <tr>
            <th scope="col">{say("regions")}</th>
            <th scope="col" className="w">{say("share")}</th>
            <th scope="col" className="num">{say("calls")}</th>
            <th scope="col" className="num">{say("tokens")}</th>
            {inside && <th scope="col">{say("within")}</th>}
          </tr>
        </thead>
        <tbody>
          {g.shares.map((s) => {
            const out = inside !== undefined && !inside.includes(s.region);
            const p = Math.round((100 * s.calls) / answered);
            return (
              <tr key={s.region}>
                <th scope="row">{s.region}</th>
                <Meter percent={p} out={out} />
                <td className="num">{number(s.calls)}</td>
                <td className="num">{number(s.tokens)}</td>
                {inside && <td>{out ? <StatusIndicator type="error">{say("no")}</StatusIndicator> : <StatusIndicator type="success">{say("yes")}</StatusIndicator>}</td>}
              </tr>
            );
          })}
        </tbody>
      </table>
    </div>
  );
}
