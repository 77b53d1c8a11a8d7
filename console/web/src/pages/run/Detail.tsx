import { useMemo, useState, type ReactNode, type RefObject } from "react";
import type { DescribeExecutionCommandOutput, HistoryEvent } from "@aws-sdk/client-sfn";
import Alert from "@cloudscape-design/components/alert";
import Box from "@cloudscape-design/components/box";
import Button from "@cloudscape-design/components/button";
import Container from "@cloudscape-design/components/container";
import ExpandableSection from "@cloudscape-design/components/expandable-section";
import Header from "@cloudscape-design/components/header";
import KeyValuePairs from "@cloudscape-design/components/key-value-pairs";
import Select from "@cloudscape-design/components/select";
import SpaceBetween from "@cloudscape-design/components/space-between";
import Spinner from "@cloudscape-design/components/spinner";
import Tabs from "@cloudscape-design/components/tabs";
import { sfn } from "../../aws/clients";
import { useLoad } from "../../app/load";
import { Code, duration, Go, pretty, Problem, Status, statusText, to, WhyButton } from "../../app/parts";
import type { History, Visit } from "../../model/history";
import { denied, type Record_ } from "../../model/inference";
import { context, evaluation, expressions, find, result, type Expression } from "../../model/definition";
import { changes, hops, variables } from "../../model/run";
import { useI18n } from "../../i18n";
import { useTexts } from "../../i18n/page";
import runTexts from "../../i18n/pages/run";
import Events from "./Events";

export type Start = { definition: string; state: string; input: string; variables: string; context: string; result?: string; role?: string };
type Props = {
  name?: string;
  visits: Visit[]; // of the state, in the iterations looked at
  v?: Visit; // the one that is shown
  choose: (id: number | undefined) => void;
  records: Record_[];
  made: Map<number, Record_[]>;
  definition?: string;
  x: DescribeExecutionCommandOutput & { roleArn?: string };
  h: History;
  events: readonly HistoryEvent[];
  onTest: (s: Start) => void;
  place: RefObject<HTMLDivElement | null>; // where the focus goes of who wants to see it
};

export default function Detail({ name, visits: all, v, choose, records, made, definition, x, h, events, onTest, place }: Props) {
  const { t, clock } = useI18n();
  const tr = useTexts(runTexts);
  const [tab, setTab] = useState("input");
  // failed visits first: they are what is looked for
  const options = [...all]
    .sort((a, b) => Number(b.status === "failed") - Number(a.status === "failed") || a.id - b.id)
    .map((v) => ({ value: String(v.id), label: v.where || `#${v.id}`, description: clock(v.from), labelTag: statusText(v.status, t) }));
  const own = (v && made.get(v.id)) ?? records.filter((r) => r.state === name);
  const found = useMemo(() => (name ? find(definition, name) : undefined), [definition, name]);
  const ownEvents = useMemo(() => (v ? events.filter((e) => h.visitOf.get(e.id!) === v) : []), [events, h, v]);
  const list = useMemo(() => (found?.language === "JSONata" ? expressions(found.state) : []), [found]);
  const tabs: { id: string; label: string; content: ReactNode }[] = [];
  if (v) {
    tabs.push({ id: "input", label: t("input"), content: <Code text={pretty(v.input)} /> });
    tabs.push({ id: "output", label: t("output"), content: <Code text={pretty(v.output)} /> });
    tabs.push({
      id: "expressions",
      label: list.length ? `${tr("expressions")} (${list.length})` : tr("expressions"),
      content: found?.language === "JSONPath" ? <Box>{tr("notJsonata")}</Box> : list.length === 0 ? <Box>{tr("noExpressions")}</Box> : <Expressions list={list} v={v} state={found!.state} x={x} key={v.id} />,
    });
    tabs.push({ id: "variables", label: tr("variables"), content: <Variables v={v} /> });
    if (v.attempts.length > 0) tabs.push({ id: "attempts", label: `${t("attempts")} (${v.attempts.length})`, content: <Attempts v={v} /> });
  }
  if (own.length > 0) tabs.push({ id: "inferences", label: `${t("inferences")} (${own.length})`, content: <Inferences records={own} /> });
  if (v) tabs.push({ id: "events", label: `${tr("eventsOf")} (${ownEvents.length})`, content: <Events events={ownEvents} h={h} compact key={v.id} /> });
  tabs.push({ id: "definition", label: t("definition"), content: <Code text={JSON.stringify(found?.state ?? {}, null, 2)} /> });
  return (
    <div ref={place} tabIndex={-1} role="group" aria-label={t("stateDetail")} className="detail">
    <Container
      fitHeight
      header={
        <Header
          variant="h2"
          actions={
            name &&
            definition && (
              <Button
                onClick={() =>
                  onTest({
                    definition,
                    state: name,
                    input: pretty(v?.input ?? x.input ?? "{}"),
                    variables: v ? texts(variables(v)) : "{}",
                    context: v ? context(x, v) : "{}",
                    result: v && found ? pretty(result(v, found.state)) : undefined,
                    role: x.roleArn,
                  })
                }
              >
                {tr("testHere")}
              </Button>
            )
          }
        >
          {name ?? t("stateDetail")}
        </Header>
      }
    >
      {!name ? (
        t("nothingSelected")
      ) : (
        <SpaceBetween size="m">
          {!v && t("notVisited")}
          {v && all.length > 1 && <Select ariaLabel={t("visitOf")} selectedOption={options.find((o) => o.value === String(v.id)) ?? null} options={options} filteringType={all.length > 10 ? "auto" : "none"} onChange={(e) => choose(Number(e.detail.selectedOption.value))} />}
          {v && (
            <KeyValuePairs
              columns={2}
              items={[
                { label: t("status"), value: <Status status={v.status} /> },
                { label: t("duration"), value: duration(v.from, v.to, t) },
                { label: t("type"), value: v.type },
                { label: t("resource"), value: <span className="arn">{v.resource ?? "–"}</span> },
                ...(v.mapRun ? [{ label: tr("mapRun"), value: <Go href={"/map-runs/" + encodeURIComponent(v.mapRun)}>{tr("openMapRun")}</Go> }] : []),
              ]}
            />
          )}
          {v?.error && (
            <Alert type={v.status === "caught" ? "warning" : "error"} header={v.error}>
              <span className="arn">{v.cause}</span>
            </Alert>
          )}
          <Tabs ariaLabel={t("stateDetail")} activeTabId={tabs.some((q) => q.id === tab) ? tab : tabs[0]!.id} onChange={(e) => setTab(e.detail.activeTabId)} tabs={tabs} />
        </SpaceBetween>
      )}
    </Container>
    </div>
  );
}

// texts makes a document of variables, each of which is one.
const texts = (vars: Record<string, string>) => pretty(`{${Object.entries(vars).map(([k, v]) => `${JSON.stringify(k)}:${v}`).join(",")}}`);

function Variables({ v }: { v: Visit }) {
  const tr = useTexts(runTexts);
  const all = useMemo(() => changes(v), [v, v.assigned]);
  if (all.length === 0) return <Box>{tr("noVariables")}</Box>;
  const cell = (s: string | undefined) => (s === undefined ? <i>{tr("unset")}</i> : s.length > 60 ? <Code text={pretty(s)} /> : <code className="mono">{s}</code>);
  return (
    <table className="plain">
      <thead>
        <tr>
          <th>{tr("variable")}</th>
          <th>{tr("before")}</th>
          <th>{tr("after")}</th>
        </tr>
      </thead>
      <tbody>
        {all.map((c) => (
          <tr key={c.name} className={c.before === c.after ? "" : "changed"}>
            <th scope="row">${c.name}</th>
            <td>{cell(c.before)}</td>
            <td>{cell(c.after)}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

type Value = { text?: string; problem?: string };

// Expressions has their values from TestState, which knows this run's input, variables and result
// and calls nobody. All are asked for at once; where one of them fails, each by itself.
function Expressions({ list, v, state, x }: { list: Expression[]; v: Visit; state: Record<string, any>; x: Props["x"] }) {
  const tr = useTexts(runTexts);
  const answer = result(v, state);
  const values = useLoad(
    async (abortSignal) => {
      const { m, c } = await sfn();
      const ask = async (some: Expression[]): Promise<Value[]> => {
        const r = await c.send(new m.TestStateCommand({ ...evaluation(some, answer), input: v.input, variables: texts(variables(v)), context: context(x, v) }), { abortSignal });
        if (r.status !== "SUCCEEDED") {
          if (some.length === 1) return [{ problem: r.cause ?? r.error ?? "" }];
          return (await Promise.all(some.map((e) => ask([e])))).flat();
        }
        const got = JSON.parse(r.output ?? "[]") as { v?: unknown }[];
        return some.map((e, i) => (e.after && answer === undefined ? { problem: tr("needsResult") } : "v" in (got[i] ?? {}) ? { text: JSON.stringify(got[i]!.v, null, 2) } : {}));
      };
      return ask(list);
    },
    [v.id, v.to?.getTime(), answer],
  );
  return (
    <SpaceBetween size="s">
      <Box color="text-body-secondary">{tr("evaluatedHint")}</Box>
      <Problem error={values.error} retry={values.reload} />
      {list.map((e, i) => {
        const got = values.data?.[i];
        return (
          <div key={e.where} className="expr">
            <Box variant="awsui-key-label">{e.where}</Box>
            <pre className="payload mono">{e.text}</pre>
            <div className="expr-value">
              <span aria-hidden="true">⇒</span>
              {values.loading && !got ? (
                <span>
                  <Spinner /> {tr("evaluating")}
                </span>
              ) : got?.problem !== undefined ? (
                <Box color="text-status-error">{got.problem}</Box>
              ) : got?.text === undefined ? (
                <i>{tr("noValue")}</i>
              ) : (
                <pre className="payload mono">{got.text}</pre>
              )}
            </div>
          </div>
        );
      })}
    </SpaceBetween>
  );
}

function Attempts({ v }: { v: Visit }) {
  const { t, clock } = useI18n();
  const tr = useTexts(runTexts);
  return (
    <SpaceBetween size="s">
      {v.attempts.map((a, i) => {
        const next = v.attempts[i + 1];
        return (
          <div key={a.id} className="expr">
            <Box variant="awsui-key-label">{tr("attemptAt", { n: i + 1, at: clock(a.from) })}</Box>
            <Status status={a.error ? "FAILED" : a.aborted ? "ABORTED" : a.to ? "SUCCEEDED" : "RUNNING"} /> {duration(a.from, a.to, t)}
            {next && a.to && <> · {tr("backoff", { d: duration(a.to, next.from, t) })}</>}
            {a.error && (
              <div className="arn">
                <b>{a.error}</b> {a.cause}
              </div>
            )}
            {a.parameters !== undefined && (
              <ExpandableSection headerText={tr("parameters")} variant="inline">
                <Code text={pretty(a.parameters)} />
              </ExpandableSection>
            )}
            {a.output !== undefined && (
              <ExpandableSection headerText={tr("answer")} variant="inline">
                <Code text={pretty(a.output)} />
              </ExpandableSection>
            )}
          </div>
        );
      })}
    </SpaceBetween>
  );
}

const mostShown = 50;

function Inferences({ records }: { records: Record_[] }) {
  const { t, time } = useI18n();
  return (
    <SpaceBetween size="s">
      {records.slice(0, mostShown).map((r) => (
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
              {t("attemptsTitle")}: {hops(r)} ({r.attempts.map((a) => a.error).filter(Boolean).join(", ")})
            </div>
          )}
        </div>
      ))}
    </SpaceBetween>
  );
}
