// Tags as rows that can be added and removed.
import Button from "@cloudscape-design/components/button";
import FormField from "@cloudscape-design/components/form-field";
import Input from "@cloudscape-design/components/input";
import SpaceBetween from "@cloudscape-design/components/space-between";
import { useTexts } from "../../i18n/page";
import machineTexts from "../../i18n/pages/machine";

export type TagRow = { key: string; value: string };
const most = 50; // AWS's limit

export default function TagsForm({ value, onChange }: { value: TagRow[]; onChange: (t: TagRow[]) => void }) {
  const tr = useTexts(machineTexts);
  const set = (i: number, t: TagRow) => onChange(value.map((x, n) => (n === i ? t : x)));
  return (
    <SpaceBetween size="s">
      {value.map((x, i) => (
        <div className="tagrow" key={i}>
          <FormField label={tr("key")}>
            <Input value={x.key} onChange={(e) => set(i, { ...x, key: e.detail.value })} spellcheck={false} />
          </FormField>
          <FormField label={tr("value")}>
            <Input value={x.value} onChange={(e) => set(i, { ...x, value: e.detail.value })} spellcheck={false} />
          </FormField>
          <Button iconName="close" variant="icon" ariaLabel={`${tr("remove")}: ${x.key}`} onClick={() => onChange(value.filter((_, n) => n !== i))} />
        </div>
      ))}
      <Button onClick={() => onChange([...value, { key: "", value: "" }])} disabled={value.length >= most}>
        {tr("addTag")}
      </Button>
    </SpaceBetween>
  );
}
