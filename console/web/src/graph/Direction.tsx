import SegmentedControl from "@cloudscape-design/components/segmented-control";
import { useI18n } from "../i18n";
import type { Dir } from "./layout";

// Direction chooses which way a graph flows.
export default function Direction({ dir, onChange }: { dir: Dir; onChange: (d: Dir) => void }) {
  const { t } = useI18n();
  return (
    <SegmentedControl
      selectedId={dir}
      onChange={(e) => onChange(e.detail.selectedId as Dir)}
      label={t("layout")}
      options={[
        { id: "TB", text: t("layoutVertical") },
        { id: "LR", text: t("layoutHorizontal") },
      ]}
    />
  );
}
