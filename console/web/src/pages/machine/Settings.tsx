// How a state machine logs and traces, as a form.
import type { LoggingConfiguration } from "@aws-sdk/client-sfn";
import ColumnLayout from "@cloudscape-design/components/column-layout";
import FormField from "@cloudscape-design/components/form-field";
import Input from "@cloudscape-design/components/input";
import Select from "@cloudscape-design/components/select";
import Toggle from "@cloudscape-design/components/toggle";
import { useTexts } from "../../i18n/page";
import machineTexts from "../../i18n/pages/machine";

export type Settings = { level: string; data: boolean; group: string; tracing: boolean };
export const noSettings: Settings = { level: "OFF", data: false, group: "", tracing: false };

export const settingsOf = (d: { loggingConfiguration?: LoggingConfiguration; tracingConfiguration?: { enabled?: boolean } }): Settings => ({
  level: d.loggingConfiguration?.level ?? "OFF",
  data: d.loggingConfiguration?.includeExecutionData ?? false,
  group: d.loggingConfiguration?.destinations?.[0]?.cloudWatchLogsLogGroup?.logGroupArn ?? "",
  tracing: d.tracingConfiguration?.enabled ?? false,
});

export const loggingOf = (s: Settings): LoggingConfiguration => ({
  level: s.level as "ALL",
  includeExecutionData: s.data,
  ...(s.group.trim() ? { destinations: [{ cloudWatchLogsLogGroup: { logGroupArn: s.group.trim() } }] } : {}),
});

const levels = { OFF: "logOff", ERROR: "logError", FATAL: "logFatal", ALL: "logAll" } as const;

export default function SettingsForm({ value, onChange, disabled = false }: { value: Settings; onChange: (s: Settings) => void; disabled?: boolean }) {
  const tr = useTexts(machineTexts);
  const options = (Object.keys(levels) as (keyof typeof levels)[]).map((l) => ({ value: l as string, label: tr(levels[l]) }));
  return (
    <ColumnLayout columns={2}>
      <FormField label={tr("logLevel")}>
        <Select selectedOption={options.find((o) => o.value === value.level) ?? options[0]!} options={options} disabled={disabled} onChange={(e) => onChange({ ...value, level: e.detail.selectedOption.value! })} />
      </FormField>
      <FormField label={tr("tracing")} description={tr("tracingHint")}>
        <Toggle checked={value.tracing} disabled={disabled} onChange={(e) => onChange({ ...value, tracing: e.detail.checked })}>
          {tr("tracingOn")}
        </Toggle>
      </FormField>
      {value.level !== "OFF" && (
        <FormField label={tr("logGroup")} description={tr("logGroupHint")}>
          <Input value={value.group} disabled={disabled} spellcheck={false} placeholder="arn:aws:logs:REGION:ACCOUNT:log-group:NAME:*" onChange={(e) => onChange({ ...value, group: e.detail.value })} />
        </FormField>
      )}
      {value.level !== "OFF" && (
        <FormField label={tr("logging")}>
          <Toggle checked={value.data} disabled={disabled} onChange={(e) => onChange({ ...value, data: e.detail.checked })}>
            {tr("logData")}
          </Toggle>
        </FormField>
      )}
    </ColumnLayout>
  );
}
