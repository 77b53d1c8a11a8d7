import FormField from "@cloudscape-design/components/form-field";
import Select from "@cloudscape-design/components/select";
import { Status, statusText } from "../../app/parts";
import type { MapChoice, Picks } from "../../model/run";
import { useI18n } from "../../i18n";
import { useTexts } from "../../i18n/page";
import runTexts from "../../i18n/pages/run";

// Iterations chooses which iteration of each Map state is looked at, those that failed first.
export default function Iterations({ choices, picks, onPick }: { choices: MapChoice[]; picks: Picks; onPick: (p: Picks) => void }) {
  const { t } = useI18n();
  const tr = useTexts(runTexts);
  const set = (name: string, index: number | undefined) => {
    const { [name]: _, ...rest } = picks;
    onPick(index === undefined ? rest : { ...rest, [name]: index });
  };
  return (
    <div className="pick">
      {choices.map((m) => {
        const count = (...s: string[]) => m.iterations.filter((i) => s.includes(i.status)).length;
        const all = { value: "", label: tr("wholeRun"), description: tr("iterationCounts", { failed: count("failed", "aborted"), running: count("running"), succeeded: count("succeeded", "caught") }) };
        const options = [all, ...m.iterations.filter((i, n) => m.iterations.findIndex((o) => o.index === i.index) === n).map((i) => ({ value: String(i.index), label: tr("iterationN", { n: i.index }), labelTag: statusText(i.status, t) }))];
        const index = picks[m.name];
        const now = m.iterations.find((i) => i.index === index);
        return (
          <FormField key={m.name} label={tr("iterationOf", { map: m.name })} description={now ? <Status status={now.status} /> : tr("iterationHint")}>
            <Select
              selectedOption={options.find((o) => o.value === String(index ?? "")) ?? all}
              options={options}
              filteringType={options.length > 15 ? "auto" : "none"}
              virtualScroll={options.length > 100}
              onChange={(e) => set(m.name, e.detail.selectedOption.value === "" ? undefined : Number(e.detail.selectedOption.value))}
            />
          </FormField>
        );
      })}
    </div>
  );
}
