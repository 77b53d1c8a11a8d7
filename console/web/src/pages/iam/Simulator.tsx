import { useState } from "react";
import { useSearchParams } from "wouter";
import Alert from "@cloudscape-design/components/alert";
import Box from "@cloudscape-design/components/box";
import Button from "@cloudscape-design/components/button";
import Container from "@cloudscape-design/components/container";
import ContentLayout from "@cloudscape-design/components/content-layout";
import FormField from "@cloudscape-design/components/form-field";
import Grid from "@cloudscape-design/components/grid";
import Header from "@cloudscape-design/components/header";
import Select from "@cloudscape-design/components/select";
import SpaceBetween from "@cloudscape-design/components/space-between";
import Spinner from "@cloudscape-design/components/spinner";
import StatusIndicator from "@cloudscape-design/components/status-indicator";
import Table from "@cloudscape-design/components/table";
import Textarea from "@cloudscape-design/components/textarea";
import type { EvaluationResult } from "@aws-sdk/client-iam";
import { iam, noteError } from "../../aws/clients";
import { entities } from "../../aws/people";
import { lookup } from "../../aws/trail";
import { useLoad } from "../../app/load";
import { Empty, Problem } from "../../app/parts";
import { keys, list, question, type Question } from "../../model/simulation";
import { useI18n } from "../../i18n";
import { useTexts } from "../../i18n/page";
import texts from "../../i18n/pages/iam";

const most = 10; // pages of answers

// Simulator asks of a record's call again, or of anything.
export default function Simulator() {
  const { time } = useI18n();
  const say = useTexts(texts);
  const [query] = useSearchParams();
  const id = query.get("event");
  const record = useLoad(async (signal) => (id ? ((await lookup({ key: "EventId", value: id }, 1, signal, query.get("in") ?? undefined)).items[0] ?? null) : undefined), [id]);
  const r = record.data;
  return (
    <ContentLayout header={<Header variant="h1" description={say("principalHint")}>{say("simulator")}</Header>}>
      <SpaceBetween size="m">
        <Problem error={record.error} retry={record.reload} />
        {r === null && <Alert type="warning">{say("noRecord")}</Alert>}
        {r && <Alert type="info">{say("fromRecord", { name: r.name, time: time(r.time) })}</Alert>}
        {id && record.loading ? <Spinner size="large" /> : <SimulatorForm start={r ? question(r) : { principal: query.get("principal") ?? "", actions: [], resources: [], keys: [] }} />}
      </SpaceBetween>
    </ContentLayout>
  );
}

export function SimulatorForm({ start, fixed = false }: { start: Question; fixed?: boolean }) {
  const { t } = useI18n();
  const say = useTexts(texts);
  const [principal, setPrincipal] = useState(start.principal);
  const [f, setF] = useState({ actions: start.actions.join("\n"), resources: start.resources.join("\n"), keys: start.keys.map((k) => `${k.key} = ${k.value}`).join("\n"), policy: "" });
  const [results, setResults] = useState<EvaluationResult[]>();
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>();
  const who = useLoad(async () => (fixed ? [] : [...(await entities("role")).items, ...(await entities("user")).items]), []);
  const options = (who.data ?? []).map((e) => ({ value: e.arn, label: e.name, description: e.arn }));
  const run = async () => {
    setBusy(true);
    setError(undefined);
    try {
      const { m, c } = await iam();
      const out: EvaluationResult[] = [];
      let Marker: string | undefined;
      const resources = list(f.resources);
      for (let i = 0; i < most; i++) {
        const r = await c.send(
          new m.SimulatePrincipalPolicyCommand({
            PolicySourceArn: principal,
            ActionNames: list(f.actions),
            ResourceArns: resources.length ? resources : undefined,
            ContextEntries: keys(f.keys).map((k) => ({ ContextKeyName: k.key, ContextKeyType: "string", ContextKeyValues: [k.value] })),
            PolicyInputList: f.policy.trim() ? [f.policy] : undefined,
            Marker,
          }),
        );
        out.push(...(r.EvaluationResults ?? []));
        if (!r.IsTruncated) break;
        Marker = r.Marker;
      }
      setResults(out);
    } catch (e) {
      noteError(e);
      setError(e);
    }
    setBusy(false);
  };
  const area = (k: "actions" | "resources" | "keys" | "policy", label: string, hint: string, rows: number) => (
    <FormField label={label} description={hint} stretch>
      <Textarea value={f[k]} onChange={(e) => setF({ ...f, [k]: e.detail.value })} rows={rows} spellcheck={false} />
    </FormField>
  );
  return (
    <SpaceBetween size="m">
      <Container
        footer={
          <Button variant="primary" loading={busy} disabled={!principal || !f.actions.trim()} onClick={() => void run()}>
            {say("run")}
          </Button>
        }
      >
        <SpaceBetween size="m">
          <Problem error={error ?? who.error} />
          {!fixed && (
            <FormField label={say("principal")} stretch>
              <Select
                placeholder={say("choosePrincipal")}
                options={options}
                selectedOption={options.find((o) => o.value === principal) ?? (principal ? { value: principal, label: principal } : null)}
                onChange={(e) => setPrincipal(e.detail.selectedOption.value!)}
                filteringType="auto"
                statusType={who.loading ? "loading" : "finished"}
              />
            </FormField>
          )}
          <Grid gridDefinition={[{ colspan: { default: 12, s: 4 } }, { colspan: { default: 12, s: 8 } }, { colspan: { default: 12, s: 4 } }, { colspan: { default: 12, s: 8 } }]}>
            {area("actions", say("actions"), say("actionsHint"), 4)}
            {area("resources", say("resources"), say("resourcesHint"), 4)}
            {area("keys", say("keys"), say("keysHint"), 3)}
            {area("policy", say("besides"), say("besidesHint"), 3)}
          </Grid>
        </SpaceBetween>
      </Container>
      {results === undefined ? (
        <Box color="text-body-secondary">{say("nothingYet")}</Box>
      ) : (
        <Table
          items={results}
          trackBy={(r) => r.EvalActionName + " " + r.EvalResourceName}
          wrapLines
          enableKeyboardNavigation
          ariaLabels={{ tableLabel: say("decision") }}
          empty={<Empty title={t("noMatches")} />}
          columnDefinitions={[
            {
              id: "decision",
              header: say("decision"),
              isRowHeader: true,
              minWidth: 180,
              cell: (r) => <StatusIndicator type={r.EvalDecision === "allowed" ? "success" : "error"}>{say(r.EvalDecision as "allowed")}</StatusIndicator>,
            },
            { id: "action", header: say("action"), cell: (r) => r.EvalActionName, minWidth: 160 },
            { id: "resource", header: say("resource"), cell: (r) => <span className="arn">{r.EvalResourceName}</span>, minWidth: 220 },
            { id: "by", header: say("decidedBy"), cell: (r) => (r.MatchedStatements ?? []).map((s) => `${s.SourcePolicyId} (${s.StartPosition?.Line}:${s.StartPosition?.Column})`).join(", ") || "–" },
            {
              id: "missing",
              header: say("missing"),
              cell: (r) => [...new Set([...(r.MissingContextValues ?? []), ...(r.ResourceSpecificResults ?? []).flatMap((x) => x.MissingContextValues ?? [])])].join(", ") || "–",
            },
          ]}
        />
      )}
    </SpaceBetween>
  );
}
