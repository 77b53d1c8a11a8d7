import Badge from "@cloudscape-design/components/badge";
import FormField from "@cloudscape-design/components/form-field";
import Select from "@cloudscape-design/components/select";
import SpaceBetween from "@cloudscape-design/components/space-between";
import StatusIndicator from "@cloudscape-design/components/status-indicator";
import { useLoad } from "../../app/load";
import { backends } from "../../aws/rest";
import { current } from "../../aws/session";
import { useI18n } from "../../i18n";
import { useTexts } from "../../i18n/page";
import texts from "../../i18n/pages/playground";
import { chosen, type Choice } from "../../model/converse";

// Picker chooses as Bedrock's console does: category, model, then on-demand or a profile.
export default function Picker({ all, id, loading, regions, served, onChange }: { all: readonly Choice[]; id: string; loading: boolean; regions: readonly string[]; served?: string; onChange: (id: string) => void }) {
  const { t } = useI18n();
  const say = useTexts(texts);
  const is = chosen(all, id);
  const providers = [...new Set(all.map((c) => c.provider))];
  const models = all.filter((c) => c.provider === is?.provider).map((c) => ({ value: c.model, label: c.name, description: c.model }));
  const ways = [...(is?.ways ?? [])].map((w) => ({ value: w.id, label: w.profile ? w.label : say("onDemand", { region: current().region }), description: w.id }));
  const first = (c: Choice | undefined) => c && onChange((c.ways.find((w) => w.profile) ?? c.ways[0]!).id);
  const backed = useLoad(async (signal) => (is ? await backends(is.model, signal) : undefined), [is?.model]);
  const made = (backed.data ?? []).filter((b) => b.simulated && (regions.length === 0 || regions.includes(b.region) || regions.includes("")));
  const status = loading ? ("loading" as const) : ("finished" as const);
  return (
    <SpaceBetween size="s">
      <FormField label={say("category")}>
        <Select options={providers.map((value) => ({ value }))} selectedOption={is ? { value: is.provider } : null} placeholder={say("choose")} onChange={(e) => first(all.find((c) => c.provider === e.detail.selectedOption.value))} filteringType="auto" statusType={status} />
      </FormField>
      <FormField label={t("model")}>
        <Select options={models} selectedOption={models.find((m) => m.value === is?.model) ?? (id ? { value: id } : null)} placeholder={t("chooseModel")} onChange={(e) => first(all.find((c) => c.model === e.detail.selectedOption.value))} filteringType="auto" statusType={status} />
      </FormField>
      <FormField label={say("inference")}>
        <Select options={ways} selectedOption={ways.find((w) => w.value === id) ?? (id ? { value: id } : null)} placeholder={say("choose")} onChange={(e) => onChange(e.detail.selectedOption.value!)} filteringType={ways.length > 8 ? "auto" : "none"} statusType={status} />
      </FormField>
      {made.length > 0 && <StatusIndicator type="warning">{say("simulated")}</StatusIndicator>}
      {regions.length > 0 && (
        <SpaceBetween direction="horizontal" size="xxs">
          {(served && !regions.includes(served) ? [...regions, served] : regions).map((r) => (
            <Badge key={r} color={served === r ? "green" : "grey"}>
              {r || t("anyRegion")}
            </Badge>
          ))}
        </SpaceBetween>
      )}
    </SpaceBetween>
  );
}
