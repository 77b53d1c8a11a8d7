// One state, tested by the server: with a mock, or for real as a role.
import { useState } from "react";
import type { TestStateCommandOutput } from "@aws-sdk/client-sfn";
import Alert from "@cloudscape-design/components/alert";
import Box from "@cloudscape-design/components/box";
import Button from "@cloudscape-design/components/button";
import ExpandableSection from "@cloudscape-design/components/expandable-section";
import FormField from "@cloudscape-design/components/form-field";
import Grid from "@cloudscape-design/components/grid";
import Input from "@cloudscape-design/components/input";
import KeyValuePairs from "@cloudscape-design/components/key-value-pairs";
import Modal from "@cloudscape-design/components/modal";
import SegmentedControl from "@cloudscape-design/components/segmented-control";
import Select from "@cloudscape-design/components/select";
import SpaceBetween from "@cloudscape-design/components/space-between";
import StatusIndicator from "@cloudscape-design/components/status-indicator";
import Textarea from "@cloudscape-design/components/textarea";
import { noteError, sfn } from "../aws/clients";
import { Code, pretty, Problem } from "../app/parts";
import { find } from "../model/definition";
import { change } from "./design";
import { useI18n } from "../i18n";
import { useTexts } from "../i18n/page";
import testTexts from "../i18n/pages/test";

export type TestProps = {
  definition: string;
  state: string;
  input?: string;
  variables?: string;
  context?: string;
  result?: string;
  role?: string;
  onDismiss: () => void;
  onUse?: (state: object) => void; // the state as it was changed here
};

const steps = ["input", "afterInputPath", "afterParameters", "afterArguments", "result", "afterResultSelector", "afterResultPath", "afterItemsPath", "afterItemsPointer", "afterItemSelector", "afterItemBatcher", "variables", "errorDetails"] as const;
const levels = ["INFO", "DEBUG", "TRACE"] as const;
const checks = ["STRICT", "PRESENT", "NONE"] as const;
const marks = { SUCCEEDED: "success", FAILED: "error", RETRIABLE: "warning", CAUGHT_ERROR: "warning" } as const;

export default function TestState(p: TestProps) {
  const { t } = useI18n();
  const tr = useTexts(testTexts);
  const found = find(p.definition, p.state);
  // What calls, or runs other states, can be mocked; the others compute only.
  const task = ["Task", "Map", "Parallel"].includes(String(found?.state.Type));
  const [state, setState] = useState(() => JSON.stringify(found?.state ?? {}, null, 2));
  const [input, setInput] = useState(p.input ?? "{}");
  const [variables, setVariables] = useState(p.variables ?? "{}");
  const [context, setContext] = useState(p.context ?? "{}");
  const [answer, setAnswer] = useState<"result" | "error" | "live">(task ? "result" : "live");
  const [result, setResult] = useState(p.result ?? "{}");
  const [failure, setFailure] = useState({ error: "States.TaskFailed", cause: "" });
  const [role, setRole] = useState(p.role ?? "");
  const [level, setLevel] = useState<(typeof levels)[number]>("DEBUG");
  const [check, setCheck] = useState<(typeof checks)[number]>("STRICT");
  const [retries, setRetries] = useState("0");
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>();
  const [got, setGot] = useState<TestStateCommandOutput>();
  const wrong = (text: string, what: string) => {
    try {
      JSON.parse(text || "{}");
      return "";
    } catch (e) {
      return tr("notJson", { what, why: (e as Error).message });
    }
  };
  const mocked = answer === "result";
  const bad = [wrong(state, tr("state")), wrong(input, tr("input")), wrong(variables, tr("variables")), wrong(context, tr("context")), task && mocked ? wrong(result, tr("resultLabel")) : ""].find(Boolean);
  const run = async () => {
    setBusy(true);
    setError(undefined);
    try {
      const { m, c } = await sfn();
      const vars = Object.keys(JSON.parse(variables || "{}")).length > 0;
      // A context goes with a mock only.
      const mocking = task && answer !== "live";
      const ctx = mocking && Object.keys(JSON.parse(context || "{}")).length > 0;
      const retrier = Number(retries) > 0 && Array.isArray(JSON.parse(state).Retry) ? { retrierRetryCount: Number(retries) } : undefined;
      setGot(
        await c.send(
          new m.TestStateCommand({
            // The state in its definition, from which it has its query language.
            definition: change(p.definition, p.state, JSON.parse(state)),
            stateName: p.state,
            input: input || "{}",
            inspectionLevel: level,
            variables: vars ? variables : undefined,
            context: ctx ? context : undefined,
            roleArn: task && !mocking && role.trim() ? role.trim() : undefined,
            mock: !mocking ? undefined : mocked ? { result, fieldValidationMode: check } : { errorOutput: { error: failure.error, cause: failure.cause }, fieldValidationMode: check },
            stateConfiguration: retrier,
          }),
        ),
      );
    } catch (e) {
      noteError(e);
      setError(e);
      setGot(undefined);
    } finally {
      setBusy(false);
    }
  };
  const see = got?.inspectionData as Record<string, any> | undefined;
  const area = (label: string, value: string, set: (v: string) => void, rows: number) => (
    <FormField label={label} stretch errorText={wrong(value, label)}>
      <div className="code-area">
        <Textarea value={value} onChange={(e) => set(e.detail.value)} rows={rows} spellcheck={false} ariaLabel={label} />
      </div>
    </FormField>
  );
  const changed = p.onUse && found && !bad && state !== JSON.stringify(found.state, null, 2);
  return (
    <Modal
      visible
      size="max"
      header={tr("title", { state: p.state })}
      onDismiss={p.onDismiss}
      closeAriaLabel={t("close")}
      footer={
        <Box float="right">
          <SpaceBetween direction="horizontal" size="xs">
            <Button variant="link" onClick={p.onDismiss}>
              {t("close")}
            </Button>
            {changed && <Button onClick={() => p.onUse!(JSON.parse(state))}>{tr("useState")}</Button>}
            <Button variant="primary" onClick={() => void run()} loading={busy} disabled={bad !== undefined}>
              {tr(got ? "again" : "run")}
            </Button>
          </SpaceBetween>
        </Box>
      }
    >
      <SpaceBetween size="m">
        <Box color="text-body-secondary">{tr("hint")}</Box>
        <Grid gridDefinition={[{ colspan: { default: 12, s: 6 } }, { colspan: { default: 12, s: 6 } }]}>
          <SpaceBetween size="m">
            {area(tr("state"), state, setState, 12)}
            {area(tr("input"), input, setInput, 6)}
            {task && <FormField label={tr("with")} stretch>
              <SegmentedControl
                label={tr("with")}
                selectedId={answer}
                onChange={(e) => setAnswer(e.detail.selectedId as typeof answer)}
                options={[
                  { id: "result", text: tr("mockResult") },
                  { id: "error", text: tr("mockError") },
                  { id: "live", text: tr("live") },
                ]}
              />
            </FormField>}
            {mocked && area(tr("resultLabel"), result, setResult, 6)}
            {answer === "error" && (
              <Grid gridDefinition={[{ colspan: 6 }, { colspan: 6 }]}>
                <FormField label={tr("errorName")}>
                  <Input value={failure.error} onChange={(e) => setFailure({ ...failure, error: e.detail.value })} spellcheck={false} />
                </FormField>
                <FormField label={tr("errorCause")}>
                  <Input value={failure.cause} onChange={(e) => setFailure({ ...failure, cause: e.detail.value })} />
                </FormField>
              </Grid>
            )}
            {task && answer === "live" && (
              <FormField label={tr("role")} stretch>
                <Input value={role} onChange={(e) => setRole(e.detail.value)} spellcheck={false} placeholder="arn:aws:iam::…:role/…" />
              </FormField>
            )}
            <Grid gridDefinition={[{ colspan: { default: 12, xs: 6 } }, { colspan: { default: 12, xs: 6 } }]}>
              <FormField label={tr("level")}>
                <Select
                  selectedOption={{ value: level, label: tr(level === "INFO" ? "levelInfo" : level === "DEBUG" ? "levelDebug" : "levelTrace") }}
                  options={levels.map((l) => ({ value: l, label: tr(l === "INFO" ? "levelInfo" : l === "DEBUG" ? "levelDebug" : "levelTrace") }))}
                  onChange={(e) => setLevel(e.detail.selectedOption.value as typeof level)}
                />
              </FormField>
              {answer !== "live" && (
                <FormField label={tr("validation")}>
                  <Select
                    selectedOption={{ value: check, label: tr(check === "STRICT" ? "validationStrict" : check === "PRESENT" ? "validationPresent" : "validationNone") }}
                    options={checks.map((l) => ({ value: l, label: tr(l === "STRICT" ? "validationStrict" : l === "PRESENT" ? "validationPresent" : "validationNone") }))}
                    onChange={(e) => setCheck(e.detail.selectedOption.value as typeof check)}
                  />
                </FormField>
              )}
            </Grid>
            <ExpandableSection headerText={tr("more")} defaultExpanded={variables !== "{}"}>
              <SpaceBetween size="m">
                {area(tr("variables"), variables, setVariables, 4)}
                {task && answer !== "live" && area(tr("context"), context, setContext, 4)}
                <FormField label={tr("retryCount")}>
                  <Input value={retries} onChange={(e) => setRetries(e.detail.value)} type="number" inputMode="numeric" />
                </FormField>
              </SpaceBetween>
            </ExpandableSection>
          </SpaceBetween>
          <div aria-live="polite">
            <SpaceBetween size="m">
              <Box variant="h3">{tr("result")}</Box>
              <Problem error={error} />
              {!got && !error && <Box color="text-body-secondary">{tr("noResult")}</Box>}
              {got && (
                <KeyValuePairs
                  columns={2}
                  items={[
                    { label: tr("status"), value: <StatusIndicator type={marks[got.status as keyof typeof marks] ?? "info"}>{got.status && got.status in marks ? tr(`st_${got.status}` as "st_SUCCEEDED") : got.status}</StatusIndicator> },
                    { label: tr("next"), value: got.nextState ?? "–" },
                  ]}
                />
              )}
              {got?.error && (
                <Alert type={got.status === "FAILED" ? "error" : "warning"} header={got.error}>
                  <span className="arn">{got.cause}</span>
                </Alert>
              )}
              {got?.output !== undefined && (
                <div>
                  <Box variant="awsui-key-label">{tr("output")}</Box>
                  <Code text={pretty(got.output)} />
                </div>
              )}
              {see && steps.map((k) => see[k] !== undefined && see[k] !== null && (
                <ExpandableSection key={k} headerText={tr(`step_${k}`)} defaultExpanded={k === "afterArguments" || k === "result" || k === "variables"}>
                  <Code text={typeof see[k] === "string" ? pretty(see[k]) : JSON.stringify(see[k], null, 2)} />
                </ExpandableSection>
              ))}
            </SpaceBetween>
          </div>
        </Grid>
      </SpaceBetween>
    </Modal>
  );
}
